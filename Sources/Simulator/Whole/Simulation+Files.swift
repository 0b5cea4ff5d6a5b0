import ByteCoding
import FaultyDisk
import Identifiers
import PartitionStore
import PlacementCore
import ReplicationCore
import TimeAndChance

/// Real stores under the processes. The machine's `SimulatedDisk` stays, as what the store was heard to have
/// made durable, and the store must have exactly that after each crash, or more of what was on its way.
extension Simulation {
    /// The files of a new disk, in plans that have such.
    func emptyFiles() -> MachineFiles? {
        guard settings.whole?.hasFiles ?? false else { return nil }
        return MachineFiles(isLying: settings.without?.disksLie ?? false)
    }

    /// Opens the store of a process that begins.
    /// - Returns: false if it cannot be opened.
    func openFiles(_ index: Int) -> Bool {
        guard let files = machines[index].files, files.store == nil else { return true }
        var configuration = StoreConfiguration(directory: files.disk.root + "/data")
        configuration.partitionCount = settings.partitions
        configuration.isReplicated = true
        configuration.isStepped = true
        let (clock, seed) = (whole?.clocks[index], chance(0...UInt64(UInt32.max)))
        configuration.clock = { .microseconds(Int64(clamping: clock?.now ?? 0)) }
        configuration.random = { seed }
        let store: PartitionStore
        do throws(StoreError) { store = try PartitionStore.open(configuration) } catch {
            checker.fail("I17: m\(index) cannot open a disk that is sound: \(error)")
            return false
        }
        let logs = (0..<settings.partitions).map { store.recoveredLog(of: PartitionID($0)) }
        recognize(logs, at: index, files)
        files.applied = logs.map(\.applied)
        files.heard = MachineFiles.Heard()
        let heard = files.heard
        store.start(onCommit: { heard.batch = max(heard.batch, $0.batch) }, onFailure: { _ in })
        files.store = store
        return true
    }

    /// I17: what was told to be durable is there, and nothing that was never written.
    private func recognize(_ logs: [RecoveredLog], at index: Int, _ files: MachineFiles) {
        var rest = files.unheard[...]
        while let wrong = difference(logs, index) {
            guard let next = rest.popFirst() else {
                return checker.fail("I17: the disk of m\(index) is not what was synced: \(wrong)")
            }
            machines[index].disk.partitions[Int(next.partition.rawValue)].apply(next.write)
        }
        files.unheard = []
    }

    private func difference(_ logs: [RecoveredLog], _ index: Int) -> String? {
        for (number, log) in logs.enumerated() {
            let stored = machines[index].disk.partitions[number]
            if log.tail.end != stored.end {
                return "p\(number) ends with \(log.tail.end), not with \(stored.end)"
            }
            let promised = max(stored.promised, stored.end.epoch)
            if log.promised != promised {
                return "p\(number) has promised \(log.promised), not \(promised)"
            }
        }
        return nil
    }

    /// The process ends, perhaps inside of an operation, perhaps because the power fails.
    func closeFiles(_ index: Int, _ process: SimulatedProcess) {
        guard let files = machines[index].files, let store = files.store else { return }
        files.keep(process.laneWrites)
        if happens(50) {
            files.disk.die(after: Int(chance(0...20)))
            _ = store.stepJournal()
            _ = store.stepTables(isRound: true)
        }
        store.abandon()
        files.store = nil
        if happens(60) {
            note("m\(index) loses power")
            files.disk.crash(seed: chance(0...UInt64(UInt32.max)))
        }
        files.disk.heal()
        files.disk.setLying(settings.without?.disksLie ?? false)
    }

    /// The journal writes what has gathered.
    /// - Returns: how many batches of those that wait are durable now.
    func writeJournal(_ index: Int, _ process: SimulatedProcess, through count: Int) -> Int {
        guard let files = machines[index].files, let store = files.store, count > 0 else { return count }
        let wanted = process.laneWrites[min(count, process.laneWrites.count) - 1].batch
        while files.heard.batch < wanted, store.stepJournal() {}
        return process.laneWrites.prefix { $0.batch <= files.heard.batch }.count
    }

    /// I6: what stands in the tables is what is committed.
    func checkTables(of number: Int, at index: Int, _ wanted: PartitionRows) throws {
        guard let store = machines[index].files?.store else { return }
        let partition = PartitionID(number)
        // A follower may not have heard yet that the end of its log is committed.
        let end = machines[index].disk.partitions[number].end.position
        store.commit([DurableMark(partition: partition, position: end)])
        while store.stepTables(isRound: true) {}
        let actors = try store.actors(in: partition, kind: nil, limit: 10_000, after: nil)
        guard actors.count == wanted.rows.count else {
            throw Violation(
                "I6: m\(index) has \(actors.count) actors in p\(number), not \(wanted.rows.count)")
        }
        for actor in actors where wanted.rows[actor.id]?.stored != actor {
            throw Violation("I6: m\(index) has another row for \(actor.address) in p\(number)")
        }
        for id in actors.map(\.id) + [.partition] {
            for space in ItemSpace.allCases where space.isOfPartition == (id == .partition) {
                let items = try store.items(of: id, in: partition, space: space)
                let own = wanted.items(of: id, space)
                guard items.count == own.count, items.allSatisfy({ own[$0.id] == $0.body }) else {
                    throw Violation("I6: m\(index) has other items \(space) of \(id.rawValue) in p\(number)")
                }
            }
        }
    }
}
