import DurableFiles
import Foundation
import Identifiers

/// Opens a data directory step by step: lock, identity, tables, journal, replay.
struct Opening {
    private let configuration: StoreConfiguration
    private let directory: String
    private var identityPath: String { directory + "/identity" }
    private var lanePath: String { directory + "/lanes/0" }
    private var partsPath: String { directory + "/parts" }

    init(_ configuration: StoreConfiguration) {
        self.configuration = configuration
        directory = configuration.directory
    }

    func open() throws(StoreError) -> PartitionStore {
        guard HashRing(partitionCount: configuration.partitionCount, seed: (0, 0)) != nil else {
            throw .configuration(
                "\(configuration.partitionCount) partitions are not a power of two from 1 to 65536")
        }
        try DurableFile.createDirectory(directory)
        let lock = try DirectoryLock(directory: directory)
        let identity = try nextIdentity()
        let template = try StateFile.template(scratch: partsPath + "/template")
        let tables = TableSet(
            partitionCount: configuration.partitionCount, parts: partsPath,
            openMax: configuration.openTablesMax)
        let incoming = IncomingTables(directory: directory + "/incoming", parts: partsPath)
        try incoming.recover { () throws(StoreError) in
            try RecoveredJournal.open(directory: lanePath, configuration: configuration)
        }
        let applied = try openTables(tables)
        let recovered = try RecoveredJournal.read(
            directory: lanePath, configuration: configuration, applied: applied)
        if !configuration.isReplicated {
            try replay(recovered.unapplied, into: tables, template: template)
        }
        // Starts the log file from its beginning, so that what an interrupted commit left behind cannot later
        // be taken for lost commits.
        try recovered.database.checkpoint()
        try incoming.removeLeftovers()
        let witness = try WitnessFile(path: lanePath + "/witness")
        try witness.write(Witness(sequence: recovered.sequence, hash: recovered.hash))
        try witness.sync()
        let stopping = Stopping()
        let ends = recovered.ends
        let logs = recovered.logs
        let positions = ends.map(\.position)
        let applier = Applier(
            tables: tables, applied: configuration.isReplicated ? applied.map(\.position) : positions,
            template: template, incoming: incoming, configuration: configuration, stopping: stopping,
            lock: lock)
        if configuration.isReplicated { applier.hold(recovered.unapplied) }
        let pins = JournalPins()
        let writer = LaneWriter(
            recovered: recovered, witness: witness, applier: applier, pins: pins,
            configuration: configuration)
        let lane = Lane(
            writer: writer, ends: positions, applier: applier, witnessInterval: configuration.witnessInterval,
            stopping: stopping)
        return PartitionStore(
            identity: identity, ends: ends, logs: logs, lane: lane, applier: applier,
            snapshots: SnapshotWork(
                pins: pins, incoming: incoming, chunkBytes: configuration.snapshotChunkBytes),
            stopping: stopping, lock: lock)
    }

    /// Reads the identity and makes its next incarnation durable; formats an empty directory.
    private func nextIdentity() throws(StoreError) -> StoreIdentity {
        guard let bytes = try DurableFile.read(identityPath) else { return try format() }
        var identity = try IdentityFile.decode(bytes)
        guard identity.ring.partitionCount == configuration.partitionCount else {
            throw .configuration(
                "\(directory) was made with \(identity.ring.partitionCount) partitions, the configuration "
                    + "says \(configuration.partitionCount)")
        }
        guard identity.incarnation.rawValue < .max else {
            throw .damaged(what: "the file identity", detail: "the incarnation cannot be counted further")
        }
        identity.incarnation.rawValue += 1
        try DurableFile.replace(identityPath, with: IdentityFile.encode(identity))
        return identity
    }

    /// Lays out a new directory. The identity comes last: a directory without one was never in use.
    private func format() throws(StoreError) -> StoreIdentity {
        let used = try DurableFile.names(in: partsPath).contains { Int($0, radix: 16) != nil }
        let witness = try DurableFile.read(lanePath + "/witness").flatMap { Witness($0) }
        guard !used, witness?.sequence ?? 0 == 0 else {
            throw .damaged(what: "the data directory \(directory)", detail: "the file identity is missing")
        }
        for path in [directory + "/lanes", lanePath, partsPath] { try DurableFile.createDirectory(path) }
        for suffix in ["", "-wal", "-shm"] { try DurableFile.remove(lanePath + "/journal.db" + suffix) }
        try JournalDatabase.create(path: lanePath + "/journal.db")
        try DurableFile.replace(lanePath + "/witness", with: Witness(sequence: 0, hash: 0).encoded())
        try DurableFile.syncDirectory(lanePath)
        var generator = SystemRandomNumberGenerator()
        let seed: (UInt64, UInt64) = (generator.next(), generator.next())
        guard let ring = HashRing(partitionCount: configuration.partitionCount, seed: seed) else {
            throw .configuration("\(configuration.partitionCount) partitions are not possible")
        }
        let identity = StoreIdentity(
            cluster: .random(using: &generator), node: NodeID(rawValue: 1), store: .random(using: &generator),
            incarnation: Incarnation(rawValue: 1), ring: ring)
        try DurableFile.replace(identityPath, with: IdentityFile.encode(identity))
        return identity
    }

    /// Opens the tables that exist.
    /// - Returns: how far each partition was applied.
    private func openTables(_ tables: TableSet) throws(StoreError) -> [LogEnd] {
        var applied = [LogEnd](repeating: .empty, count: tables.count)
        for name in try DurableFile.names(in: partsPath) {
            guard let index = Int(name, radix: 16) else { continue }
            guard 0..<tables.count ~= index else {
                throw .damaged(what: partsPath, detail: "there is no partition \(name)")
            }
            applied[index] = try tables[index].openIfPresent()
            tables.closeIdle()
        }
        return applied
    }

    private func replay(
        _ unapplied: [[SealedRecord]], into tables: TableSet, template: [UInt8]
    ) throws(StoreError) {
        for (index, records) in unapplied.enumerated() where !records.isEmpty {
            var start = 0
            while start < records.count {
                let end = min(records.count, start + configuration.applyRecordsMax)
                _ = try tables[index].apply(Array(records[start..<end]), template: template)
                start = end
            }
            tables.closeIdle()
        }
    }
}
