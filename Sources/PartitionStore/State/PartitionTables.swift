import DurableFiles
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
        /// What is being read of the file as it is.
        var image: TableImage?
    }

    let partition: PartitionID
    private let directory: String
    private let contents = Mutex(Contents())
    private let use: TableUse
    /// When the tables were last used, on `use.clock`; 0 while they are closed.
    private let lastUse = Atomic<UInt64>(0)

    var path: String { directory + "/state.db" }

    init(partition: PartitionID, parts: String, use: TableUse) {
        self.partition = partition
        self.use = use
        directory = parts + "/" + Self.name(of: partition)
    }

    /// What files of the partition are called.
    static func name(of partition: PartitionID) -> String {
        let digits = String(partition.rawValue, radix: 16)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
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
            try create(template, &contents)
            guard let file = try opened(&contents) else { return 0 }
            try file.apply(records)
            return file.logBytes
        }
    }

    /// Makes everything applied durable, unless the file must stay as it is for a snapshot.
    /// - Parameter heldLogBytesMax: a snapshot for which the write-ahead log grew larger is given up.
    /// - Returns: up to where.
    func checkpoint(heldLogBytesMax: Int) throws(StoreError) -> LogPosition {
        try contents.withLock { (contents) throws(StoreError) in
            guard let file = try opened(&contents) else { return .zero }
            if let image = contents.image {
                guard !image.isHeld || file.logBytes > heldLogBytesMax else { return image.end.position }
                image.giveUp()
                contents.image = nil
            }
            _ = try settle(file, &contents)
            return file.applied.position
        }
    }

    /// - Returns: whether everything is in the file itself.
    private func settle(_ file: StateFile, _ contents: inout Contents) throws(StoreError) -> Bool {
        let isWhole = try file.checkpoint()
        if contents.isNameUnsynced {
            try DurableFile.syncDirectory(directory)
            try DurableFile.syncDirectory(DurableFile.parent(of: directory))
            contents.isNameUnsynced = false
        }
        return isWhole
    }

    // MARK: Snapshots

    /// Keeps the file as it is now, with everything applied so far in it, or as somebody keeps it already.
    /// - Returns: nil if not everything could be copied into the file.
    func holdImage(template: [UInt8], pins: JournalPins) throws(StoreError) -> TableImage? {
        try contents.withLock { (contents) throws(StoreError) in
            guard !contents.isEnded else { throw .closed }
            if let image = contents.image, image.addUser() { return image }
            try create(template, &contents)
            guard let file = try opened(&contents), try settle(file, &contents) else { return nil }
            let image = TableImage(
                end: file.applied, byteCount: try file.fileBytes(),
                pin: pins.pin(partition, after: file.applied.position))
            contents.image = image
            return image
        }
    }

    /// Some bytes of the file as it was when it began to be held.
    func read(_ range: Range<Int>, of image: TableImage) throws(SnapshotError) -> [UInt8] {
        try contents.withLock { (contents) throws(SnapshotError) in
            guard contents.image === image, image.isHeld else { throw .outgrown }
            do throws(StoreError) {
                guard let file = try opened(&contents) else { throw .closed }
                return try file.readFile(range)
            } catch {
                throw .store(error)
            }
        }
    }

    /// Takes tables that came as a snapshot instead of those that are there.
    func replace(from incoming: IncomingTables, image: UInt64) throws(StoreError) {
        try contents.withLock { (contents) throws(StoreError) in
            contents.image?.giveUp()
            contents.image = nil
            close(&contents)
            try incoming.putInPlace(partition, image: image)
            contents.isPresent = true
            contents.isNameUnsynced = false
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

    /// Makes the tables unless they are there. Their name is synced at the first checkpoint only: until then
    /// the journal has every record of the partition, and a missing file is the same as an empty one.
    private func create(_ template: [UInt8], _ contents: inout Contents) throws(StoreError) {
        guard !contents.isPresent else { return }
        if !DurableFile.exists(directory) { try DurableFile.createDirectory(directory, syncName: false) }
        // A log that outlived its database in a power failure must not be taken for the new one's.
        try DurableFile.remove(path + "-wal")
        try DurableFile.replace(path, with: template, syncName: false)
        contents.isPresent = true
        contents.isNameUnsynced = true
    }

    private var what: String { "partition \(partition.rawValue) (\(path))" }
}
