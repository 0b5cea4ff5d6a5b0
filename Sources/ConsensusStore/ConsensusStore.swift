import ConsensusCore
import DurableFiles
import Identifiers

/// What one replica of the control plane's log may never forget: `Raft.PersistentState` in a SQLite file.
///
/// Not thread-safe: one thread owns it, and waits in `apply` for the disk.
public final class ConsensusStore {
    private let database: ConsensusDatabase
    private let witness: WitnessFile
    private let logBytesMax: Int
    private var ledger: Ledger
    private var failure: ConsensusStoreError?

    /// How large the files may get.
    public struct Limits: Sendable {
        /// Above this the write-ahead log is copied into the database.
        public var logBytesMax = 4 << 20
        /// Pages of 4 KiB in the database; nil for as many as the disk holds.
        public var pagesMax: Int?

        public init() {}
    }

    private init(
        database: ConsensusDatabase, witness: WitnessFile, ledger: Ledger, logBytesMax: Int
    ) {
        self.database = database
        self.witness = witness
        self.ledger = ledger
        self.logBytesMax = logBytesMax
    }

    /// Opens the files in `directory` and proves every byte that counts; nothing is repaired, and no log is
    /// ever shorter than it was.
    /// - Parameters:
    ///   - replica: whose files they must be.
    ///   - initial: what to begin with if nothing was ever written here. Whoever gives it knows that this
    ///     replica never voted or accepted an entry (R12); without it, missing files are damage.
    public static func open(
        directory: String, replica: ReplicaID, creating initial: Raft.PersistentState? = nil,
        limits: Limits = Limits()
    ) throws(ConsensusStoreError) -> (store: ConsensusStore, state: Raft.PersistentState) {
        let path = directory + "/control.db"
        let witnessPath = directory + "/witness"
        if let initial { try create(initial, replica, directory, path: path, witnessPath: witnessPath) }
        guard DurableFile.exists(path) else { throw .damaged(path: path, detail: "it is missing") }
        guard let witnessed = try WitnessFile.read(path: witnessPath) else {
            throw .damaged(path: witnessPath, detail: "it is missing")
        }
        let database = try ConsensusDatabase(path: path, pagesMax: limits.pagesMax)
        try database.check()
        let seal = try database.readSeal()
        // The database is written before its witness, so a crash between the two leaves it one ahead.
        guard seal == witnessed || seal.sequence == witnessed.sequence + 1 else {
            throw .damaged(
                path: path,
                detail: "it ends with transaction \(seal.sequence), its witness with \(witnessed.sequence)")
        }
        let (state, ledger) = try database.readState(seal)
        guard seal.replica == replica, witnessed.replica == replica else {
            throw .foreign(path: path, owner: seal.replica)
        }
        // What is read here counts as durable from now on, but a process that crashed in a commit may have
        // left it in the system's cache only.
        try database.checkpoint()
        let witness = try WitnessFile(path: witnessPath)
        try witness.write(seal)
        let store = ConsensusStore(
            database: database, witness: witness, ledger: ledger, logBytesMax: limits.logBytesMax)
        return (store, state)
    }

    /// Lays out the files unless they are there. The database gets its name last, and until it has one the
    /// witness says that nothing was written.
    private static func create(
        _ initial: Raft.PersistentState, _ replica: ReplicaID, _ directory: String, path: String,
        witnessPath: String
    ) throws(ConsensusStoreError) {
        guard !DurableFile.exists(path) else { return }
        if let witnessed = try WitnessFile.read(path: witnessPath) {
            guard witnessed.replica == replica else {
                throw .foreign(path: witnessPath, owner: witnessed.replica)
            }
            guard witnessed.sequence == 0 else { throw .damaged(path: path, detail: "it is missing") }
        }
        try DurableFile.createDirectory(directory, syncName: false)
        // Also if it was there: a crash may have come before its name was durable.
        try DurableFile.syncDirectory(DurableFile.parent(of: directory))
        let temporary = path + ".new"
        for file in [temporary, path] {
            for suffix in ["", "-wal", "-shm"] { try DurableFile.remove(file + suffix) }
        }
        var ledger = Ledger(replica: replica)
        let write = RecordedWrite(initial)
        try ledger.apply(write)
        try ConsensusDatabase.create(path: temporary, write, seal: ledger.seal)
        try WitnessFile.create(path: witnessPath, ledger.seal)
        try DurableFile.syncDirectory(directory)
        try DurableFile.rename(temporary, to: path)
        try DurableFile.syncDirectory(directory)
    }

    /// Makes a write durable as a whole, with the meaning of `Raft.PersistentState.apply`.
    ///
    /// After an error nothing is known about that write, and the process must stop (R14): the store refuses
    /// everything from then on with the same error.
    public func apply(_ write: Raft.Write) throws(ConsensusStoreError) {
        if let failure { throw failure }
        do throws(ConsensusStoreError) {
            let recorded = RecordedWrite(write)
            let next = try ledger.following(recorded)
            try database.commit(recorded, seal: next.seal)
            try witness.write(next.seal)
            ledger = next
            if database.logBytes > logBytesMax { try database.checkpoint() }
        } catch {
            failure = error
            throw error
        }
    }
}
