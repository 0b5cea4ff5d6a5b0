import Identifiers
import Synchronization

/// One partition's tables, made when its first record is applied, behind a lock: readers of the partition
/// wait for each other and for one apply transaction at most.
final class PartitionTables: Sendable {
    private struct Contents {
        var file: StateFile?
        /// There is a file, open or not.
        var isPresent = false
        /// Closed for good.
        var isEnded = false
        /// The file's name is not yet known to survive a power failure.
        var isNameUnsynced = false
    }

    let partition: PartitionID
    private let directory: String
    private let contents = Mutex(Contents())
    private let use: TableUse
    /// When the tables were last used, on `use.clock`; 0 while they are closed.
    private let lastUse = Atomic<UInt64>(0)

    private var path: String { directory + "/state.db" }

    init(partition: PartitionID, parts: String, use: TableUse) {
        self.partition = partition
        self.use = use
        let digits = String(partition.rawValue, radix: 16)
        directory = parts + "/" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    /// Opens the file if it is there and says how far it was applied.
    func openIfPresent() throws(StoreError) -> LogEnd {
        try contents.withLock { (contents) throws(StoreError) in
            guard DurableFile.exists(path) else { return .empty }
            // It was found after a restart: whether its name was ever synced is unknown.
            contents.isNameUnsynced = true
            contents.isPresent = true
            return try opened(&contents)?.applied ?? .empty
        }
    }

    /// Runs `body` on the tables; nil if the partition has none yet.
    func read<Result: Sendable>(
        _ body: (StateFile) throws(StoreError) -> Result?
    ) throws(StoreError) -> Result? {
        try contents.withLock { (contents) throws(StoreError) in
            guard let file = try opened(&contents) else { return nil }
            return try body(file)
        }
    }

    /// Applies records that follow what was applied, and makes the tables if need be.
    /// - Parameter template: the bytes of an empty file.
    /// - Returns: the bytes in the write-ahead log.
    func apply(_ records: [SealedRecord], template: [UInt8]) throws(StoreError) -> Int {
        try contents.withLock { (contents) throws(StoreError) in
            if !contents.isPresent {
                try create(template)
                contents.isPresent = true
                contents.isNameUnsynced = true
            }
            guard let file = try opened(&contents) else { return 0 }
            try file.apply(records)
            return file.logBytes
        }
    }

    /// Makes everything applied durable.
    /// - Returns: up to where.
    func checkpoint() throws(StoreError) -> LogPosition {
        try contents.withLock { (contents) throws(StoreError) in
            guard let file = try opened(&contents) else { return .zero }
            try file.checkpoint()
            if contents.isNameUnsynced {
                try DurableFile.syncDirectory(directory)
                try DurableFile.syncDirectory(DurableFile.parent(of: directory))
                contents.isNameUnsynced = false
            }
            return file.applied.position
        }
    }

    /// Closes the tables for good.
    func end() {
        contents.withLock { contents in
            contents.isEnded = true
            close(&contents)
        }
    }

    /// Closes the tables unless somebody uses them right now; the next use opens them again.
    func closeIfIdle() { _ = contents.withLockIfAvailable { close(&$0) } }

    /// The time of the last use, or nil if the tables are closed.
    var openSince: UInt64? {
        let time = lastUse.load(ordering: .relaxed)
        return time == 0 ? nil : time
    }

    private func close(_ contents: inout Contents) {
        guard contents.file != nil else { return }
        contents.file = nil
        lastUse.store(0, ordering: .relaxed)
        use.openCount.subtract(1, ordering: .relaxed)
    }

    private func opened(_ contents: inout Contents) throws(StoreError) -> StateFile? {
        guard !contents.isEnded else { throw .closed }
        guard contents.isPresent else { return nil }
        if contents.file == nil {
            contents.file = try StateFile(path: path, what: what)
            use.openCount.add(1, ordering: .relaxed)
        }
        lastUse.store(use.clock.add(1, ordering: .relaxed).newValue, ordering: .relaxed)
        return contents.file
    }

    /// The name is synced at the first checkpoint only: until then the journal has every record of the
    /// partition, and a missing file is the same as an empty one.
    private func create(_ template: [UInt8]) throws(StoreError) {
        if !DurableFile.exists(directory) { try DurableFile.createDirectory(directory, syncName: false) }
        // A log that outlived its database in a power failure must not be taken for the new one's.
        try DurableFile.remove(path + "-wal")
        try DurableFile.replace(path, with: template, syncName: false)
    }

    private var what: String { "partition \(partition.rawValue) (\(path))" }
}
