import DurableFiles
import Foundation
import Identifiers

/// Opens a data directory step by step: lock, identity, tables, journal, replay.
struct Opening {
    let configuration: StoreConfiguration
    let directory: String
    var identityPath: String { Self.identityPath(in: directory) }
    var lanePath: String { directory + "/lanes/0" }
    var partsPath: String { directory + "/parts" }

    static func identityPath(in directory: String) -> String { directory + "/identity" }

    init(_ configuration: StoreConfiguration) {
        self.configuration = configuration
        directory = configuration.directory
    }

    /// - Parameter lock: that of the directory, if the caller has it already; the store takes it over.
    func open(holding lock: DirectoryLock?) throws(StoreError) -> PartitionStore {
        guard HashRing(partitionCount: configuration.partitionCount, seed: (0, 0)) != nil else {
            throw .configuration(
                "\(configuration.partitionCount) partitions are not a power of two from 1 to 65536")
        }
        try DurableFile.createDirectory(directory)
        let lock = if let lock { lock } else { try DirectoryLock(directory: directory) }
        let identity = try identity()
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
            directory: directory, identity: identity, ends: ends, logs: logs, lane: lane, applier: applier,
            snapshots: SnapshotWork(
                queue: SnapshotQueue(isStepped: configuration.isStepped), pins: pins, incoming: incoming,
                chunkBytes: configuration.snapshotChunkBytes, random: configuration.random),
            stopping: stopping, lock: lock, isStepped: configuration.isStepped)
    }

    /// Opens the tables that exist.
    /// - Returns: how far each partition was applied.
    private func openTables(_ tables: TableSet) throws(StoreError) -> [LogEnd] {
        var applied = [LogEnd](repeating: .empty, count: tables.count)
        for name in try DurableFile.names(in: partsPath).sorted() {
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
