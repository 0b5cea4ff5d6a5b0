import Apus
import ByteCoding
import DequeModule
import Identifiers
import PartitionStore
import TimeAndChance

/// The owner's side of one partition: where its log ends, and what waits for a commit (R17).
/// Belongs to one shard and is touched on its thread only.
final class PartitionLog {
    let id: PartitionID
    private(set) var epoch: Epoch
    private(set) var position: LogPosition
    private(set) var hash: UInt64
    private(set) var committed: LogPosition
    private var clock: PartitionClock
    /// What may happen only after the record at that position is committed, in the order of the positions.
    let mail = PartitionMail()
    private var gate = Deque<(position: LogPosition, release: Release)>()

    init(id: PartitionID, end: LogEnd, epoch: Epoch, reading: ClockReading) {
        self.id = id
        self.epoch = epoch
        position = end.position
        hash = end.hash
        // What was recovered from this node's own journal is durable on all replicas, which is this node.
        committed = end.position
        clock = PartitionClock(last: Timestamp(rawValue: end.time), reading: reading)
    }

    /// Partition time.
    func now(_ reading: ClockReading) -> Timestamp { clock.advance(to: reading) }

    /// Makes the next record of the log from what a turn did.
    func seal(_ body: consuming TurnBody, _ reading: ClockReading) -> SealedRecord {
        let time = clock.advance(to: reading).rawValue
        position = position.next
        let (bytes, hash) = body.sealed(
            partition: id, epoch: epoch, position: position, time: time, previousHash: hash)
        self.hash = hash
        return SealedRecord(partition: id, position: position, hash: hash, bytes: bytes)
    }

    /// Makes the first record of an owner.
    func sealEpochStart(_ body: [UInt8], _ reading: ClockReading) -> SealedRecord {
        position = position.next
        let record = JournalRecord(
            kind: .epochStart, partition: id, epoch: epoch, position: position,
            time: clock.advance(to: reading).rawValue, previousHash: hash, body: body)
        let (bytes, hash) = record.encoded()
        self.hash = hash
        return SealedRecord(partition: id, position: position, hash: hash, bytes: bytes)
    }

    /// Lets `release` happen when everything appended so far is committed.
    func hold(_ release: Release) { gate.append((position, release)) }

    var isCommitted: Bool { committed >= position }

    func commit(_ position: LogPosition) { committed = max(committed, position) }

    /// Takes out the next thing that may happen now.
    func popReleased() -> Release? {
        guard let first = gate.first, first.position <= committed else { return nil }
        return gate.removeFirst().release
    }
}

/// What waits for a commit. An enumeration, because the commonest case then needs no closure.
enum Release {
    case call(() -> Void)
    /// The step's record was the last thing that its run waits for.
    case step(StepExecution, value: any Sendable)

    func perform() {
        switch self {
        case .call(let body): body()
        case .step(let step, let value): step.resume(.success(.fresh(value)))
        }
    }
}
