import Identifiers
import Synchronization

/// One partition's tables, made when its first record is applied, behind a lock: readers of the partition
/// wait for each other and for one apply transaction at most.
final class PartitionTables: Sendable {
    private struct Contents {
        var file: StateFile?
        /// The file's name is not yet known to survive a power failure.
        var isNameUnsynced = false
    }

    let partition: PartitionID
    private let directory: String
    private let contents = Mutex(Contents())

    private var path: String { directory + "/state.db" }

    init(partition: PartitionID, parts: String) {
        self.partition = partition
        let digits = String(partition.rawValue, radix: 16)
        directory = parts + "/" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    /// Opens the file if it is there and says how far it was applied.
    func openIfPresent() throws(StoreError) -> LogEnd {
        try contents.withLock { (contents) throws(StoreError) in
            guard DurableFile.exists(path) else { return .empty }
            // It was found after a restart: whether its name was ever synced is unknown.
            contents.isNameUnsynced = true
            let file = try StateFile(path: path, what: what)
            contents.file = file
            return file.applied
        }
    }

    /// Runs `body` on the tables; nil if the partition has none yet.
    func read<Result: Sendable>(
        _ body: (StateFile) throws(StoreError) -> Result?
    ) throws(StoreError) -> Result? {
        try contents.withLock { (contents) throws(StoreError) in
            guard let file = contents.file else { return nil }
            return try body(file)
        }
    }

    /// Applies records that follow what was applied, and makes the tables if need be.
    /// - Parameter template: the bytes of an empty file.
    /// - Returns: the bytes in the write-ahead log.
    func apply(_ records: [SealedRecord], template: [UInt8]) throws(StoreError) -> Int {
        try contents.withLock { (contents) throws(StoreError) in
            if contents.file == nil {
                contents.file = try create(template)
                contents.isNameUnsynced = true
            }
            guard let file = contents.file else { return 0 }
            try file.apply(records)
            return file.logBytes
        }
    }

    /// Makes everything applied durable.
    /// - Returns: up to where.
    func checkpoint() throws(StoreError) -> LogPosition {
        try contents.withLock { (contents) throws(StoreError) in
            guard let file = contents.file else { return .zero }
            try file.checkpoint()
            if contents.isNameUnsynced {
                try DurableFile.syncDirectory(directory)
                try DurableFile.syncDirectory(DurableFile.parent(of: directory))
                contents.isNameUnsynced = false
            }
            return file.applied.position
        }
    }

    func close() { contents.withLock { $0.file = nil } }

    /// The name is synced at the first checkpoint only: until then the journal has every record of the
    /// partition, and a missing file is the same as an empty one.
    private func create(_ template: [UInt8]) throws(StoreError) -> StateFile {
        if !DurableFile.exists(directory) { try DurableFile.createDirectory(directory, syncName: false) }
        // A log that outlived its database in a power failure must not be taken for the new one's.
        try DurableFile.remove(path + "-wal")
        try DurableFile.replace(path, with: template, syncName: false)
        return try StateFile(path: path, what: what)
    }

    private var what: String { "partition \(partition.rawValue) (\(path))" }
}
