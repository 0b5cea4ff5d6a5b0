import ByteCoding
import DurableFiles
import FaultyDisk
import Identifiers
import ReplicationCore

@testable import PartitionStore

extension DiskTrial {
    // MARK: While it lives

    /// Follows what the store reports as durable, and what it reads.
    func hear() throws {
        for news in heard.take() {
            switch news {
            case .commit(let commit, let isAfterFailure):
                guard !isAfterFailure else { throw broken("acknowledged after an error (R14)") }
                try hear(commit)
                note("durable \(commit.marks.map { "\($0.partition.rawValue):\($0.position.rawValue)" })")
            case .read(let partition, let after, let records):
                try check(records, partition, after)
            case .installed(let partition): installing.remove(partition)
            }
        }
    }

    private func hear(_ commit: GroupCommit) throws {
        let least = batches.last { $0.batch <= commit.batch }?.end ?? 0
        var logs = durable
        var count = 0
        func isMet() -> Bool {
            count >= least
                && commit.marks.allSatisfy {
                    logs.logs[Int($0.partition.rawValue)].end.position == $0.position
                }
        }
        // A row has one entry at least.
        repeat {
            guard count < pending.count else {
                throw broken("reported as durable, and was never appended: \(commit)")
            }
            logs.add(pending[count])
            noteReset(pending[count])
            count += 1
        } while !isMet()
        durable = logs
        pending.removeFirst(count)
        batches = batches.map { ($0.batch, max(0, $0.end - count)) }
    }

    /// What a snapshot brings is committed.
    private func noteReset(_ entry: TrialEntry) {
        guard case .reset(let partition, let records) = entry else { return }
        committed[partition] = LogPosition(rawValue: UInt64(records.count))
    }

    /// Reads records back from the journal.
    func read(_ store: PartitionStore) {
        let partition = Int.random(in: 0..<partitions, using: &random)
        let end = durable.logs[partition].end.position.rawValue
        let after = LogPosition(rawValue: UInt64.random(in: 0...end, using: &random))
        store.readLog(of: PartitionID(partition), after: after, bytesMax: 5_000) { [heard] in
            heard.read(partition, after: after, $0)
        }
    }

    private func check(_ records: [LogRecord]?, _ partition: Int, _ after: LogPosition) throws {
        // Deleted, because the tables have it; or the disk failed.
        guard let records else {
            guard after < committed[partition] || disk.hasFailed else {
                throw broken("what is not applied was deleted")
            }
            return
        }
        let log = durable.logs[partition].records
        if records.isEmpty, Int(after.rawValue) < log.count { throw broken("the log is too short") }
        for (index, record) in records.enumerated() {
            let place = Int(after.rawValue) + index
            guard place < log.count, record.bytes == log[place].sealed.bytes,
                record.mark.hash == log[place].end.hash
            else { throw broken("record \(place + 1) of partition \(partition) is read as another one") }
        }
    }

    /// What is applied is what the committed records add up to.
    func checkTables(_ store: PartitionStore) throws {
        guard !disk.hasFailed else { return }
        for partition in 0..<partitions {
            let applied = store.appliedPosition(of: PartitionID(partition))
            let log = durable.logs[partition].records
            guard applied <= committed[partition], Int(applied.rawValue) <= log.count else {
                throw broken("partition \(partition) has applied \(applied.rawValue), not committed")
            }
            if tables[partition].applied > applied { tables[partition] = TrialTables() }
            for record in log[Int(tables[partition].applied.rawValue)..<Int(applied.rawValue)] {
                tables[partition].apply(record)
            }
            try compare(store, partition)
        }
    }

    private func compare(_ store: PartitionStore, _ partition: Int) throws {
        let id = PartitionID(partition)
        let found: [StoredActor]
        do throws(StoreError) {
            found = try store.actors(in: id, kind: nil, limit: 100_000, after: nil)
        } catch {
            if disk.hasFailed { return }
            throw broken("partition \(partition) cannot be read: \(error)")
        }
        let expected = tables[partition].actors
        guard found.count == expected.count else {
            throw broken("partition \(partition) has \(found.count) actors, not \(expected.count)")
        }
        for actor in found {
            guard let known = expected[actor.id.rawValue], known.address == actor.address,
                known.state == actor.state
            else { throw broken("actor \(actor.id.rawValue) of partition \(partition) is another one") }
            let items = try store.items(of: actor.id, in: id, space: .history)
            guard items.count == known.items.count, items.allSatisfy({ known.items[$0.id] == $0.body }) else {
                throw broken("actor \(actor.id.rawValue) of partition \(partition) has other items")
            }
        }
    }

    // MARK: After a crash

    /// What is found must be everything that was reported as durable, then some of what was appended after
    /// it, in its order. It counts as durable from now on.
    func recognize(_ store: PartitionStore) throws {
        let found = (0..<partitions).map { store.logEnd(of: PartitionID($0)) }
        var logs = durable
        var count = 0
        while !matches(found, logs.ends) {
            guard count < pending.count else {
                throw broken(
                    "found \(Self.text(found)); durable were \(Self.text(durable.ends)), appended "
                        + Self.text(appended.ends))
            }
            logs.add(pending[count])
            noteReset(pending[count])
            count += 1
        }
        note("found \(Self.text(found)), \(count) of \(pending.count) that were not acknowledged")
        let promised = appended.logs.map(\.promised)
        durable = logs
        pending = []
        appended = durable
        if isReplicated {
            try recognizeEpochs(store, promised)
        } else {
            committed = found.map(\.position)
        }
        try checkTables(store)
    }

    private func recognizeEpochs(_ store: PartitionStore, _ promised: [Epoch]) throws {
        for partition in 0..<partitions {
            let log = store.recoveredLog(of: PartitionID(partition))
            guard log.promised >= durable.logs[partition].promised, log.promised <= promised[partition] else {
                throw broken("the epoch \(durable.logs[partition].promised.rawValue) is forgotten (R18)")
            }
            durable.logs[partition].promised = log.promised
            appended.logs[partition].promised = log.promised
            guard log.applied <= committed[partition] else { throw broken("more is applied than committed") }
            let records = durable.logs[partition].records
            guard log.tail.end == (records.last?.sealed.logRecord.mark ?? .origin) else {
                throw broken("partition \(partition) has another tail")
            }
        }
    }

    private func matches(_ found: [LogEnd], _ ends: [LogEnd]) -> Bool {
        zip(found, ends).allSatisfy {
            $0.position == $1.position && $0.hash == $1.hash && ($0.position == .zero || $0.epoch == $1.epoch)
        }
    }

    static func text(_ ends: [LogEnd]) -> String {
        "\(ends.map { "\($0.position.rawValue)/\($0.epoch.rawValue)" })"
    }

    // MARK: Rot

    /// A bit of the journal flips while nobody looks: that is found, or it does no harm.
    ///
    /// The witness is as new as the journal here. After a power failure it may be older, and then nothing in
    /// this directory knows of the last commits; the other replicas do (R13).
    func rot() throws {
        disk.heal()
        disk.setLying(false)
        heard = Heard()
        let store: PartitionStore
        do throws(StoreError) {
            store = try PartitionStore.open(configuration)
        } catch {
            throw broken("cannot be opened: \(error)")
        }
        self.store = store
        try recognize(store)
        store.start(onCommit: { [heard] in heard.commit($0) }, onFailure: { [heard] in heard.fail($0) })
        nextBatch = 0
        batches = []
        for _ in 0..<10 { try step() }
        while store.stepJournal() { try hear() }
        abandon()
        rots += 1
        let files = ["lanes/0/journal.db", "lanes/0/journal.db-wal", "lanes/0/witness", "identity"]
        var file = files[Int.random(in: 0..<files.count, using: &random)]
        if forgetsWitness {
            file = files[1]
            try DurableFile.replace(
                configuration.directory + "/lanes/0/witness", with: Witness(sequence: 0, hash: 0).encoded())
        }
        guard let place = disk.rot(configuration.directory + "/" + file, seed: random.next()) else { return }
        note("byte \(place) of \(file) rots")
        let again: PartitionStore
        do throws(StoreError) {
            again = try PartitionStore.open(configuration)
        } catch {
            damagesFound += 1
            return note("\(error)".replacing(disk.root, with: ""))
        }
        heard = Heard()
        defer { again.abandon() }
        try recognize(again)
    }
}
