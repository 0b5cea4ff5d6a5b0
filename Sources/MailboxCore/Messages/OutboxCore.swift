import ByteCoding
import Identifiers

/// The messages of a partition's actors to others that are not known to have arrived (W60). Decisions only.
///
/// To each partition leads one stream of a direction, numbered without a gap. A message is part of the record
/// of its turn; it is shipped when that is committed (R17), one batch of a stream at a time, again and again
/// until the destination has acknowledged it. Then a later record deletes it.
public struct OutboxCore: Sendable {
    public struct Stream: Hashable, Comparable, Sendable {
        public var destination: PartitionID
        public var flow: MessageFlow

        public init(destination: PartitionID, flow: MessageFlow) {
            self.destination = destination
            self.flow = flow
        }

        public static func < (a: Self, b: Self) -> Bool { (a.flow, a.destination) < (b.flow, b.destination) }
    }

    /// A batch to be carried. Its result is told with the number of the attempt.
    public struct Shipment: Sendable {
        public var batch: MessageBatch
        public var attempt: UInt64
        public var stream: Stream { Stream(destination: batch.destination, flow: batch.flow) }
    }

    public static let version: UInt8 = 1
    /// Messages of a stream that wait, at the most; further ones are refused. Answers are never refused: a
    /// request is not taken unless its answer has room.
    public static let countMax = 4_096
    public static let bytesMax = 8 << 20
    /// How long a batch may be on its way before it is sent again, in microseconds.
    public static let attemptMicros: UInt64 = 10_000_000
    /// The waits between attempts double from the first to the last.
    public static let retryMicros: ClosedRange<UInt64> = 20_000...5_000_000

    private struct Entry: Sendable {
        var message: ActorMessage
        /// Where its record is in the log.
        var position: LogPosition
    }

    private struct State: Sendable {
        /// The destination has everything up to this number.
        var acknowledged: UInt64 = 0
        /// Storage has nothing up to this number.
        var trimmed: UInt64 = 0
        /// Follow what is acknowledged.
        var entries: [Entry] = []
        var bytes = 0
        var attempt: (number: UInt64, until: UInt64)?
        var failures: UInt64 = 0
        /// 0: as soon as there is something.
        var retryAt: UInt64 = 0

        var last: UInt64 { acknowledged + UInt64(entries.count) }

        mutating func fail(at now: UInt64) {
            attempt = nil
            failures = min(failures + 1, 16)
            retryAt = now + min(retryMicros.lowerBound << (failures - 1), retryMicros.upperBound)
        }
    }

    private var streams: [Stream: State] = [:]
    /// Those with messages.
    private var busy: Set<Stream> = []
    private var nextAttempt: UInt64 = 1
    /// Messages that are acknowledged and still stored.
    public private(set) var untrimmed: UInt64 = 0
    /// The streams that have such.
    private var untrimmedStreams: Set<Stream> = []

    public init() {}

    /// Whether everything is known to have arrived.
    public var isEmpty: Bool { busy.isEmpty }

    /// Messages that are not known to have arrived.
    public var count: Int { busy.reduce(0) { $0 + (streams[$1]?.entries.count ?? 0) } }

    /// Takes up a stored item; called for all in the order of their identifiers.
    public mutating func restore(id: [UInt8], value: [UInt8]) throws(WireError) {
        let (stream, number) = try Self.readID(id)
        var state = streams.removeValue(forKey: stream) ?? State()
        if number == 0 {
            var reader = ByteReader(value)
            let version = try reader.byte()
            guard version == Self.version else {
                throw .version(
                    what: "line of an outbox", found: UInt64(version), newest: UInt64(Self.version))
            }
            state.acknowledged = try reader.varint().countable("a message's number")
            try reader.finish()
            guard state.entries.isEmpty else { throw .invalid("the line of a stream behind its messages") }
            state.trimmed = state.acknowledged
        } else {
            guard number == state.last + 1 else {
                throw .invalid("message \(number) of a stream follows message \(state.last)")
            }
            let message = try ActorMessage.decode(value)
            guard message.isAnswer == (stream.flow == .answer) else {
                throw .invalid("a message in the stream of the other direction")
            }
            state.entries.append(Entry(message: message, position: .zero))
            state.bytes += message.byteCount
            busy.insert(stream)
        }
        streams[stream] = state
    }

    /// Whether that many messages to a partition, of that many bytes together, may be posted.
    public func hasRoom(
        for count: Int, _ bytes: Int, to destination: PartitionID, flow: MessageFlow = .request
    ) -> Bool {
        guard let state = streams[Stream(destination: destination, flow: flow)], !state.entries.isEmpty
        else { return count <= Self.countMax }
        return state.entries.count + count <= Self.countMax && state.bytes + bytes <= Self.bytesMax
    }

    /// Takes a message, which goes into the record at that position.
    /// - Returns: its number in its stream, and what to store in that record.
    public mutating func post(
        _ message: ActorMessage, to destination: PartitionID, at position: LogPosition
    ) -> (number: UInt64, operation: TurnOperation) {
        let stream = Stream(destination: destination, flow: message.isAnswer ? .answer : .request)
        var state = streams.removeValue(forKey: stream) ?? State()
        state.entries.append(Entry(message: message, position: position))
        state.bytes += message.byteCount
        let number = state.last
        streams[stream] = state
        busy.insert(stream)
        return (number, .ofPartition(.put(.outbox, id: Self.id(stream, number), message.encoded())))
    }

    /// The batches to carry now: of each stream that has nothing on its way, what is committed.
    public mutating func ship(
        from source: PartitionID, committed: LogPosition, now: UInt64
    ) -> [Shipment] {
        var shipments: [Shipment] = []
        for stream in busy.sorted() {
            guard var state = streams[stream] else { continue }
            if let attempt = state.attempt {
                guard attempt.until <= now else { continue }
                // Nobody answered; it may have arrived all the same.
                state.attempt = nil
            } else if state.retryAt > now {
                continue
            }
            var messages: [ActorMessage] = []
            var bytes = 0
            for entry in state.entries {
                guard entry.position <= committed, messages.count < MessageBatch.messagesMax,
                    bytes < MessageBatch.bytesWanted
                else { break }
                messages.append(entry.message)
                bytes += entry.message.byteCount
            }
            if !messages.isEmpty {
                state.attempt = (nextAttempt, now + Self.attemptMicros)
                let batch = MessageBatch(
                    source: source, destination: stream.destination, flow: stream.flow,
                    acknowledged: state.acknowledged, first: state.acknowledged + 1, messages: messages)
                shipments.append(Shipment(batch: batch, attempt: nextAttempt))
                nextAttempt += 1
            }
            streams[stream] = state
        }
        return shipments
    }

    /// Takes note of what became of a batch.
    /// - Returns: how many messages the destination has that this partition does not know of: its log has
    ///   lost records that were committed, by a forced promotion.
    public mutating func noteResult(
        _ result: BatchResult, of stream: Stream, attempt: UInt64, now: UInt64
    ) -> UInt64 {
        guard var state = streams[stream] else { return 0 }
        defer {
            streams[stream] = state
            if state.entries.isEmpty { busy.remove(stream) }
        }
        let isCurrent = state.attempt?.number == attempt
        guard case .received(let through, let isHeld) = result else {
            if isCurrent { state.fail(at: now) }
            return 0
        }
        let lost = through > state.last ? through - state.last : 0
        // An answer that is late tells the truth, too.
        if through > state.acknowledged {
            let arrived = Int(min(UInt64(state.entries.count), through - state.acknowledged))
            for entry in state.entries.prefix(arrived) { state.bytes -= entry.message.byteCount }
            state.entries.removeFirst(arrived)
            untrimmed += through - state.acknowledged
            untrimmedStreams.insert(stream)
            state.acknowledged = through
            state.failures = 0
        }
        if isCurrent {
            state.attempt = nil
            state.retryAt = 0
            if isHeld { state.fail(at: now) }
        }
        return lost
    }

    /// The destination has come to be served anew: what waits for it is sent again at once.
    public mutating func retry(to destination: PartitionID) {
        for flow in MessageFlow.allCases {
            let stream = Stream(destination: destination, flow: flow)
            guard var state = streams[stream] else { continue }
            (state.attempt, state.failures, state.retryAt) = (nil, 0, 0)
            streams[stream] = state
        }
    }

    /// When `ship` must be called at the latest, if nothing happens before.
    public var nextDue: UInt64? {
        busy.lazy.compactMap { [streams] stream in
            streams[stream].flatMap { $0.attempt?.until ?? ($0.retryAt > 0 ? $0.retryAt : nil) }
        }.min()
    }

    /// What deletes from storage what is acknowledged; goes into the record that comes next.
    public mutating func trim() -> [TurnOperation] {
        guard untrimmed > 0 else { return [] }
        untrimmed = 0
        var operations: [TurnOperation] = []
        for stream in untrimmedStreams.sorted() {
            guard let state = streams[stream] else { continue }
            var line = ByteWriter(capacity: 12)
            line.byte(Self.version)
            line.varint(state.acknowledged)
            operations.append(
                .ofPartition(
                    .deleteRange(
                        .outbox, from: Self.id(stream, state.trimmed + 1),
                        through: Self.id(stream, state.acknowledged))))
            operations.append(.ofPartition(.put(.outbox, id: Self.id(stream, 0), line.bytes)))
            streams[stream]?.trimmed = state.acknowledged
        }
        untrimmedStreams.removeAll()
        return operations
    }

    /// A stream's items lie together, its line (number 0) in front.
    private static func id(_ stream: Stream, _ number: UInt64) -> [UInt8] {
        MessageFlow.id(stream.flow, stream.destination) + TurnOperation.itemID(number)
    }

    private static func readID(_ id: [UInt8]) throws(WireError) -> (Stream, number: UInt64) {
        guard id.count == 13 else { throw .invalid("a message's place has 13 bytes, not \(id.count)") }
        let (flow, destination) = try MessageFlow.readID(Array(id[..<5]))
        let number = try TurnOperation.itemNumber(Array(id[5...])).countable("a message's number")
        return (Stream(destination: destination, flow: flow), number)
    }
}

extension MessageFlow {
    /// Names a stream in storage: the direction, then the other partition, most significant byte first.
    static func id(_ flow: MessageFlow, _ partition: PartitionID) -> [UInt8] {
        [flow.rawValue] + withUnsafeBytes(of: partition.rawValue.bigEndian) { Array($0) }
    }

    static func readID(_ id: [UInt8]) throws(WireError) -> (MessageFlow, PartitionID) {
        guard id.count == 5 else { throw .invalid("a stream's name has 5 bytes, not \(id.count)") }
        var reader = ByteReader(id)
        let flow = try MessageFlow.read(&reader)
        return (flow, PartitionID(rawValue: (try reader.fixed(UInt32.self)).byteSwapped))
    }
}
