import DurableFiles
import Foundation
import Identifiers
import ReplicationCore
import Synchronization

/// Tables that come in as snapshots, in the directory `incoming`, and how they get into place.
///
/// A file that is being written is called `00c7.new`. Once it is whole, proven and synced, it is renamed to
/// `00c7.` and a number drawn for it alone. Then the journal says that the partition's log begins anew with
/// the tables of that number; that row is what decides. Then the file takes the place of the tables. So a
/// crash leaves the old tables and the old log, or a row that names a file which is still here: then the
/// start goes on where it ended. Whatever else lies here at a start is of no use.
final class IncomingTables: Sendable {
    private let directory: String
    private let parts: String
    private struct State {
        /// Partitions with an import under way, and who waits for its end.
        var imports: [PartitionID: (@Sendable (Result<Void, SnapshotError>) -> Void)?] = [:]
        var isClosed = false
    }
    private let state = Mutex(State())

    init(directory: String, parts: String) {
        self.directory = directory
        self.parts = parts
    }

    // MARK: Imports under way

    /// - Throws: `.busy` if the partition has an import already.
    func begin(_ partition: PartitionID) throws(SnapshotError) {
        try state.withLock { (state) throws(SnapshotError) in
            guard !state.isClosed else { throw .store(.closed) }
            guard state.imports[partition] == nil else { throw .busy }
            state.imports.updateValue(nil, forKey: partition)
        }
    }

    /// Whether the partition's import is still under way, and the store is open.
    func isUnderWay(_ partition: PartitionID) -> Bool { state.withLock { $0.imports[partition] != nil } }

    func wait(for partition: PartitionID, _ reply: @escaping @Sendable (Result<Void, SnapshotError>) -> Void)
    {
        state.withLock { $0.imports[partition] = .some(reply) }
    }

    func end(_ partition: PartitionID, _ result: Result<Void, SnapshotError>) {
        let reply = state.withLock { $0.imports.removeValue(forKey: partition) }
        reply??(result)
    }

    /// The store is closed.
    func endAll() {
        let imports = state.withLock { state in
            defer { state.imports = [:] }
            state.isClosed = true
            return state.imports
        }
        for partition in imports.keys.sorted() { imports[partition]??(.failure(.store(.closed))) }
    }

    /// The process crashes: nobody is answered.
    func abandon() {
        let forgotten = state.withLock { state in
            defer { state.imports = [:] }
            state.isClosed = true
            return state.imports
        }
        withExtendedLifetime(forgotten) {}
    }

    // MARK: Files

    func newPath(_ partition: PartitionID) -> String {
        directory + "/" + PartitionTables.name(of: partition) + ".new"
    }

    func path(_ partition: PartitionID, image: UInt64) -> String {
        let digits = String(image, radix: 16)
        return directory + "/" + PartitionTables.name(of: partition) + "."
            + String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// Makes the directory unless it is there.
    func prepare() throws(StoreError) { try DurableFile.createDirectory(directory) }

    /// Gives a file its number; it is whole and synced.
    func name(_ partition: PartitionID, image: UInt64) throws(StoreError) {
        try DurableFile.rename(newPath(partition), to: path(partition, image: image))
        try DurableFile.syncDirectory(directory)
    }

    /// Deletes what has come of an import. What cannot be deleted goes at the next start.
    func remove(_ partition: PartitionID, image: UInt64) {
        for suffix in ["", "-wal", "-shm"] { try? DurableFile.remove(newPath(partition) + suffix) }
        try? DurableFile.remove(path(partition, image: image))
    }

    /// Puts tables in the place of those that are there, which nobody has open. The journal has said so.
    func putInPlace(_ partition: PartitionID, image: UInt64) throws(StoreError) {
        let home = parts + "/" + PartitionTables.name(of: partition)
        if !DurableFile.exists(home) { try DurableFile.createDirectory(home, syncName: false) }
        // The old tables' log must be gone for good before the new ones have their name: it would be taken
        // for theirs.
        for suffix in ["-wal", "-shm"] { try DurableFile.remove(home + "/state.db" + suffix) }
        try DurableFile.syncDirectory(home)
        try DurableFile.rename(path(partition, image: image), to: home + "/state.db")
        for changed in [home, parts, directory] { try DurableFile.syncDirectory(changed) }
    }

    // MARK: The start

    /// Goes on with what the journal has decided and a crash has interrupted.
    func recover(_ openJournal: () throws(StoreError) -> JournalDatabase) throws(StoreError) {
        let found = Set(try DurableFile.names(in: directory))
        guard found.contains(where: { !$0.hasSuffix(".new") }) else { return }
        var decided: [(PartitionID, LogReset)] = []
        try openJournal().forEachRow { (key, row) throws(StoreError) in
            do {
                try RowEntries.forEach(row, try BatchHeader.decode(row)) { entry in
                    guard case .control(let control) = entry, case .reset(let reset) = control.kind else {
                        return
                    }
                    decided.append((control.partition, reset))
                }
            } catch {
                throw .damaged(what: "the journal", detail: "row \(key): \(error)")
            }
        }
        for (partition, reset) in decided {
            let name = path(partition, image: reset.image).split(separator: "/").last.map(String.init)
            guard let name, found.contains(name) else { continue }
            try putInPlace(partition, image: reset.image)
        }
    }

    /// Deletes what is of no use, once the journal is proven.
    func removeLeftovers() throws(StoreError) {
        for name in try DurableFile.names(in: directory) { try DurableFile.remove(directory + "/" + name) }
    }
}
