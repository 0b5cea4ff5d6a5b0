import ActorHost
import ByteCoding
import Identifiers
import MailboxCore
import PartitionStore
import ReplicationCore
import WorkflowCore

/// What is committed in all partitions, known to nobody but the checks, and what must be true of each record
/// when it is (`cluster.md` 4.3: I12 to I16).
struct CommittedState {
    struct Partition {
        var position = LogPosition.zero
        var hash: UInt64 = 0
        var rows = PartitionRows()
        /// How far the streams from other partitions were performed, and those to others were posted.
        var performed: [[UInt8]: UInt64] = [:]
        var posted: [[UInt8]: UInt64] = [:]
        /// The last sequence of each actor's history, and where its operations stand.
        var sequences: [ActorID: UInt64] = [:]
        var paths: [ActorID: [HistoryPath: UInt64]] = [:]
        /// The last message of each actor.
        var messages: [ActorID: UInt64] = [:]
        /// Messages that were completed, and not put back.
        var done: [ActorID: Set<UInt64>] = [:]
    }

    /// A step as committed records show it.
    struct StepFact {
        var partition: PartitionID
        var epoch: Epoch
        var isDone: Bool
        /// When it may be tried again; microseconds since 1970.
        var retryAt: UInt64?
    }

    let identity: StoreIdentity
    private(set) var partitions: [Partition]
    /// Where replies to requests of clients' sessions were recorded.
    private(set) var replies: [[UInt8]: (partition: PartitionID, position: LogPosition, hash: UInt64)] = [:]
    private(set) var steps: [String: StepFact] = [:]
    private(set) var failure: String?
    private(set) var recordCount = 0

    /// How far the time of a process is off, at the most.
    private let timeErrorMicros: UInt64

    init(_ identity: StoreIdentity, timeErrorMicros: UInt64) {
        self.identity = identity
        self.timeErrorMicros = timeErrorMicros
        partitions = Array(repeating: Partition(), count: identity.ring.partitionCount)
    }

    subscript(_ partition: PartitionID) -> Partition { partitions[Int(partition.rawValue)] }

    private mutating func fail(_ reason: String) { if failure == nil { failure = reason } }

    /// Takes the next record of a partition.
    /// - Parameter now: what a wall clock shows that is right.
    mutating func commit(_ record: LogRecord, of partition: PartitionID, now: UInt64) {
        let index = Int(partition.rawValue)
        partitions[index].position = record.mark.position
        partitions[index].hash = record.mark.hash
        guard let turn = DecodedTurn(record) else { return }
        recordCount += 1
        for operation in turn.operations {
            check(operation, in: turn, at: index, now)
        }
        partitions[index].rows.apply(turn)
        checkTaken(turn, at: index)
        for operation in turn.operations {
            guard case .put(.deduplication, let id, let value) = operation, id.first == 1,
                Self.outcomeTag(value) == 0
            else { continue }
            // A new actor takes over the memory of the one that it replaces.
            guard replies[id] == nil else { continue }
            replies[id] = (partition, record.mark.position, record.mark.hash)
        }
    }

    private mutating func check(
        _ operation: TurnOperation, in turn: DecodedTurn, at index: Int, _ now: UInt64
    ) {
        switch operation {
        case .put(.history, _, let value):
            guard let entry = try? HistoryEntry.decode(value) else {
                return fail("I16: p\(index) \(turn.position.rawValue) has an entry that cannot be read")
            }
            check(entry, of: turn, at: index, now)
        case .delete(.history, let id):
            let old = partitions[index].rows.items(of: turn.subject, .history)[id]
            guard let old, let entry = try? HistoryEntry.decode(old) else { return }
            // Finished iterations of loops are pruned, nothing else.
            if !entry.path.components.contains(where: { if case .iteration = $0 { true } else { false } }) {
                fail("I16: the history of actor \(turn.subject.rawValue) of p\(index) loses \(entry.path)")
            }
        case .put(.deduplication, let id, let value) where id.first == 1:
            checkReply(id, value, turn, index)
        case .put(.message, let id, _):
            let number = (try? TurnOperation.itemNumber(id)) ?? 0
            checkArrival(number, turn, index)
        case .ofPartition(.put(.outbox, let id, _)) where id.count == 13:
            let (stream, number) = (Array(id[..<5]), Self.number(id[5...]))
            guard number > 0 else { return }
            if number != (partitions[index].posted[stream] ?? 0) + 1 {
                fail("I13: p\(index) posts message \(number) of stream \(stream) out of order")
            }
            partitions[index].posted[stream] = number
        case .ofPartition(.put(.inbox, let id, let value)):
            let number = Self.inboxNumber(value)
            if number != (partitions[index].performed[id] ?? 0) + 1 {
                fail(
                    "I13: p\(index) performs message \(number) of stream \(id) after message "
                        + "\(partitions[index].performed[id] ?? 0)")
            }
            partitions[index].performed[id] = number
        default: break
        }
    }

    /// I15: a message comes into a queue once; it is put back only by the record that lets go of it.
    private mutating func checkArrival(_ number: UInt64, _ turn: DecodedTurn, _ index: Int) {
        let actor = turn.subject
        if number > partitions[index].messages[actor] ?? 0 {
            partitions[index].messages[actor] = number
        } else if partitions[index].done[actor]?.contains(number) ?? false
            || !turn.entries.contains(where: { $0.operation == .completion(message: number) })
        {
            fail("I15: message \(number) of actor \(actor.rawValue) of p\(index) comes again")
        }
    }

    /// I12: a request has one effect, and one reply.
    private mutating func checkReply(_ id: [UInt8], _ value: [UInt8], _ turn: DecodedTurn, _ index: Int) {
        guard !turn.creates else { return }
        let old = partitions[index].rows.items(of: turn.subject, .deduplication)[id]
        if replies[id] != nil || old.map({ Self.outcomeTag($0) == Self.outcomeTag(value) }) ?? false {
            fail("I12: request \(id.suffix(8)) of session \(id[1..<17]) has two effects on p\(index)")
        }
    }

    /// I15: what a run takes was in the queue before, and is not after.
    private mutating func checkTaken(_ turn: DecodedTurn, at index: Int) {
        let actor = turn.subject
        for entry in turn.entries {
            switch entry.operation {
            case .next(_, let taken?):
                for number in taken.map(\.number) {
                    if partitions[index].rows.items(of: actor, .message)[TurnOperation.itemID(number)] != nil
                    {
                        fail("I15: message \(number) of p\(index) stays in its queue after it was taken")
                    }
                    if partitions[index].done[actor]?.contains(number) ?? false {
                        fail("I15: message \(number) of p\(index) is taken after it was completed")
                    }
                }
            case .completion(let number):
                if partitions[index].rows.items(of: actor, .message)[TurnOperation.itemID(number)] == nil {
                    partitions[index].done[actor, default: []].insert(number)
                }
            default: break
            }
        }
    }

    private mutating func check(
        _ entry: HistoryEntry, of turn: DecodedTurn, at index: Int, _ now: UInt64
    ) {
        let actor = turn.subject
        let rows = partitions[index].rows
        let name = "\(entry.path) of actor \(actor.rawValue) of p\(index)"
        let old = rows.items(of: actor, .history)[TurnOperation.itemID(entry.sequence)]
            .flatMap { try? HistoryEntry.decode($0) }
        if let old {
            if old.path != entry.path || old.operation.kind != entry.operation.kind {
                fail("I16: \(name) takes the place of \(old.path)")
            }
            if Self.isFinal(old.operation), old.operation != entry.operation {
                fail("I16: \(name) was \(old.operation), and is \(entry.operation) now")
            }
        } else {
            if entry.sequence <= partitions[index].sequences[actor] ?? 0, entry.sequence > 0 {
                fail("I16: \(name) is written at \(entry.sequence), which was used before")
            }
            partitions[index].sequences[actor] = entry.sequence
            if partitions[index].paths[actor]?[entry.path] != nil { fail("I16: \(name) happens again") }
            partitions[index].paths[actor, default: [:]][entry.path] = entry.sequence
        }
        checkTime(entry.operation, old?.operation, name, turn.time, now)
        note(entry, turn, rows.rows[actor]?.stored.address)
    }

    private static func isFinal(_ operation: HistoryOperation) -> Bool {
        switch operation {
        case .step(.completed, _, _, _), .step(.failed, _, _, _), .turn, .sleep(_, done: true): true
        case .next(_, let taken): taken != nil
        case .call(_, _, let state): state != .waiting
        case .loop(_, _, let result): result != nil
        case .completion, .send: true
        default: false
        }
    }

    /// I14: no deadline has come before its time.
    private mutating func checkTime(
        _ operation: HistoryOperation, _ old: HistoryOperation?, _ name: String, _ time: UInt64, _ now: UInt64
    ) {
        var due: UInt64?
        switch operation {
        case .sleep(let until, true): due = until
        case .next(let deadline, let taken?) where taken.isEmpty: due = deadline
        case .call(_, let deadline, .timedOut): due = deadline
        default: break
        }
        if let due, due > time || due > now + timeErrorMicros {
            fail("I14: \(name) ends at \(time), before \(due)")
        }
        if case .sleep(let until, _) = operation, case .sleep(let before, _)? = old, until != before {
            fail("I14: \(name) was to end at \(before), and now at \(until)")
        }
    }

    private mutating func note(_ entry: HistoryEntry, _ turn: DecodedTurn, _ address: ActorAddress?) {
        guard case .step(let state, _, _, _) = entry.operation, let address else { return }
        let key = ActorHost.idempotencyKey(of: entry.path, actor: address, id: turn.subject, in: identity)
        var fact = StepFact(partition: turn.partition, epoch: turn.epoch, isDone: false)
        switch state {
        case .completed, .failed: fact.isDone = true
        case .retrying(let at, _): fact.retryAt = at
        case .started: break
        }
        steps[key] = fact
    }

    // MARK: What stands in items

    static func outcomeTag(_ value: [UInt8]) -> UInt8? {
        var reader = ByteReader(value)
        guard (try? reader.byte()) != nil, (try? reader.varint()) != nil else { return nil }
        return try? reader.byte()
    }

    private static func inboxNumber(_ value: [UInt8]) -> UInt64 {
        var reader = ByteReader(value)
        guard (try? reader.byte()) != nil else { return 0 }
        return (try? reader.varint()) ?? 0
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }
}
