import Apus
import ByteCoding
import DequeModule
import Identifiers
import PartitionStore
import TimeAndChance

/// The owner's side of one partition in one epoch: where its log ends, what waits for a commit (R17), and
/// what else is there for as long as the epoch lasts. Another epoch gets another object.
/// Belongs to one shard and is touched on its thread only.
final class PartitionLog {
    /// What came before turns may run.
    enum Arrival {
        case request(ShardRequest)
        case subscriber(Shard.Subscriber, ActorAddress)
    }

    enum Phase {
        /// Turns may not run yet.
        case leading
        /// Turns may run as soon as the tables have everything before the epoch.
        case catchingUp
        case serving
        /// Everybody in it has left memory in good order: what comes waits, until the epoch ends or goes on.
        case handingOver
        /// The epoch is over: nothing is appended, and nothing that waits for a commit happens.
        case over
    }

    let id: PartitionID
    let epoch: Epoch
    /// What the tables must have before turns may run: the end of the log before the epoch, or where its
    /// handover stopped.
    private(set) var start: LogPosition
    var phase = Phase.leading
    private(set) var position: LogPosition
    private(set) var hash: UInt64
    private(set) var committed: LogPosition
    private var clock: PartitionClock
    let mail = PartitionMail()
    /// What may happen only after the record at that position is committed, in the order of the positions.
    private var gate = Deque<(position: LogPosition, release: Release)>()
    /// Requests that were begun and are not answered.
    var open = OpenSet<ShardRequest>()
    /// It is about to have another owner: no step begins any more. Called when nothing of the epoch is left
    /// to be done.
    var onHandedOver: (@Sendable () -> Void)?
    /// What came before turns may run, in order.
    var arrivals: [Arrival] = []
    var actors: [ActorID: LiveActor] = [:]

    init(id: PartitionID, end: LogEnd, epoch: Epoch, reading: ClockReading) {
        self.id = id
        self.epoch = epoch
        start = end.position
        position = end.position
        hash = end.hash
        // Nothing runs before `.serve`, and then all of it is.
        committed = end.position
        clock = PartitionClock(last: Timestamp(rawValue: end.time), reading: reading)
    }

    var isServing: Bool { phase == .serving }
    var isOver: Bool { phase == .over }
    /// Whether its owner has begun to serve it.
    var isTakenOver: Bool { isServing || phase == .handingOver || isResumed && !isOver }
    /// Whether what is sent to others and comes from them is known here already.
    private(set) var isResumed = false
    /// Whether new steps wait.
    var holdsSteps: Bool { onHandedOver != nil }

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

    /// Lets `release` happen when everything up to a position is committed.
    func hold(_ release: Release, at position: LogPosition) {
        var place = gate.endIndex
        while place > gate.startIndex, gate[place - 1].position > position { place -= 1 }
        gate.insert((position, release), at: place)
    }

    var isCommitted: Bool { committed >= position }

    func commit(_ position: LogPosition) { committed = max(committed, position) }

    /// Takes out the next thing that may happen now.
    func popReleased() -> Release? {
        guard let first = gate.first, first.position <= committed else { return nil }
        return gate.removeFirst().release
    }

    /// The handover came to nothing: turns may run again when the tables have everything.
    func resume() {
        (start, isResumed, phase) = (position, true, .catchingUp)
    }

    /// Ends the epoch.
    /// - Returns: what will not happen any more.
    func end() -> [Release] {
        phase = .over
        onHandedOver = nil
        defer { gate = [] }
        return gate.map(\.release)
    }
}

/// What waits for a commit. An enumeration, because the commonest case then needs no closure.
enum Release {
    case call(() -> Void)
    /// The step's record was the last thing that its run waits for.
    case step(StepExecution, value: any Sendable)
    /// Wants to know also if the epoch has ended first.
    case told((_ isCommitted: Bool) -> Void)

    func perform() {
        switch self {
        case .call(let body): body()
        case .step(let step, let value): step.resume(.success(.fresh(value)))
        case .told(let body): body(true)
        }
    }

    /// The epoch is over; requests and the calls of runs hear of it by themselves.
    func drop() {
        if case .told(let body) = self { body(false) }
    }
}
