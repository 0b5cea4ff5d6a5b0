import ByteCoding

/// The recorded error of an attempt: what a person needs to understand it, never partial output (W17).
public struct FailureRecord: Hashable, Sendable {
    public var type: String
    public var message: String
    public init(type: String, message: String) {
        self.type = type
        self.message = message
    }
}

/// One failed try of a step's effect.
public struct AttemptRecord: Hashable, Sendable {
    /// Microseconds since 1970.
    public var startedAt: UInt64
    public var endedAt: UInt64
    public var failure: FailureRecord
    public init(startedAt: UInt64, endedAt: UInt64, failure: FailureRecord) {
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.failure = failure
    }
}

/// How a step stands.
public enum StepState: Hashable, Sendable {
    /// Its only attempt has begun. Recorded for steps that must not be tried twice.
    case started
    case completed(value: [UInt8])
    /// Will be tried again at that time. `interruptions` of its attempts were cut off by a stop in good
    /// order: they happened, and use up no retry.
    case retrying(at: UInt64, interruptions: UInt64 = 0)
    /// Ended for good; `timedOut` when its last attempt ran out of time.
    case failed(FailureRecord, timedOut: Bool)
}

/// How a turn of a run ended. A turn that threw changed nothing; that it threw is recorded, so that a replay
/// takes the same way.
public enum TurnState: Hashable, Sendable {
    case completed(value: [UInt8])
    case failed(FailureRecord)
}

/// A message as a run took it from a queue.
public struct TakenMessage: Hashable, Sendable {
    public var number: UInt64
    public var queue: String
    public var body: [UInt8]
    /// The deduplication identity under which a sender waits for the completion, if one does.
    public var requester: [UInt8]?
    /// 0 to 9; kept for the case that it is put back.
    public var priority: UInt8
    /// 1 for the first time that it is taken.
    public var delivery: UInt64

    public init(
        number: UInt64, queue: String, body: [UInt8], requester: [UInt8]?, priority: UInt8 = 0,
        delivery: UInt64 = 1
    ) {
        self.number = number
        self.queue = queue
        self.body = body
        self.requester = requester
        self.priority = priority
        self.delivery = delivery
    }
}

/// A message to another actor, and its place in the stream of messages to that actor's partition.
public struct SentMessage: Hashable, Sendable {
    /// The other actor, for people.
    public var target: String
    public var partition: UInt32
    public var number: UInt64

    public init(target: String, partition: UInt32, number: UInt64) {
        self.target = target
        self.partition = partition
        self.number = number
    }
}

/// How a call of another actor stands.
public enum CallState: Hashable, Sendable {
    case waiting
    /// The reply, as the host records it.
    case answered([UInt8])
    case timedOut
}

/// What is recorded of an operation.
public enum HistoryOperation: Hashable, Sendable {
    /// `attempts` counts every try, also those that ended with the process; `failures` keeps the last ones.
    case step(StepState, attempts: UInt64, failures: [AttemptRecord], startedAt: UInt64)
    case turn(TurnState)
    case sleep(until: UInt64, done: Bool)
    /// Waits for messages until the deadline; `taken` is nil while it waits and empty if it timed out.
    case next(deadline: UInt64?, taken: [TakenMessage]?)
    /// The loop stands at the beginning of `iteration`, with that state; `result` when it has ended.
    case loop(iteration: UInt64, state: [UInt8], result: [UInt8]?)
    case completion(message: UInt64)
    /// Waits for the answer until the deadline.
    case call(SentMessage, deadline: UInt64?, CallState)
    case send(SentMessage)

    public var kind: OperationKind {
        switch self {
        case .step: .step
        case .turn: .turn
        case .sleep: .sleep
        case .next: .next
        case .loop: .loop
        case .completion: .completion
        case .call: .call
        case .send: .send
        }
    }
}

/// The verbs of a workflow, as they stand in its history.
public enum OperationKind: UInt8, Sendable, CaseIterable {
    case step = 1, turn, sleep, next, loop, completion, call, send
}

/// One operation in the history of a run, found by its path and rewritten in place as the operation proceeds.
public struct HistoryEntry: Hashable, Sendable {
    /// Version 1 does not tell a taken message's priority and delivery, version 2 knows no messages to other
    /// actors, version 3 no interrupted attempts; what needs no more is still written so.
    public static let version: UInt8 = 4
    /// How many failed attempts a step's entry keeps.
    public static let failuresMax = 20

    /// Its place in the order in which operations were first recorded; its identifier in storage.
    public var sequence: UInt64
    public var path: HistoryPath
    /// Partition time of the last change, microseconds since 1970.
    public var recordedAt: UInt64
    public var operation: HistoryOperation

    public init(sequence: UInt64, path: HistoryPath, recordedAt: UInt64, operation: HistoryOperation) {
        self.sequence = sequence
        self.path = path
        self.recordedAt = recordedAt
        self.operation = operation
    }

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 96)
        encode(to: &writer)
        return writer.bytes
    }

    /// Encodes into memory that is used again: what the writer held before is forgotten.
    public func encode(to writer: inout ByteWriter) {
        writer.removeAll()
        let version = operation.version
        writer.byte(version)
        writer.varint(sequence)
        path.write(to: &writer)
        writer.varint(recordedAt)
        writer.byte(operation.kind.rawValue)
        operation.write(to: &writer, version)
    }

    public static func decode(_ bytes: [UInt8]) throws(WireError) -> HistoryEntry {
        var reader = ByteReader(bytes)
        let version = try reader.byte()
        guard 1...Self.version ~= version else {
            throw .version(what: "history entry", found: UInt64(version), newest: UInt64(Self.version))
        }
        let sequence = try reader.varint().countable("an entry's sequence")
        let path = try HistoryPath.read(&reader)
        let recordedAt = try reader.varint()
        let rawKind = try reader.byte()
        guard let kind = OperationKind(rawValue: rawKind), kind.version <= version else {
            throw .unknown(what: "operation", value: UInt64(rawKind))
        }
        let operation = try HistoryOperation.read(kind, &reader, version)
        try reader.finish()
        return HistoryEntry(sequence: sequence, path: path, recordedAt: recordedAt, operation: operation)
    }
}

extension OperationKind {
    /// The first version that knows it.
    fileprivate var version: UInt8 {
        switch self {
        case .step, .turn, .sleep, .next, .loop, .completion: 1
        case .call, .send: 3
        }
    }
}

extension HistoryOperation {
    /// The first version that can tell it.
    fileprivate var version: UInt8 {
        switch self {
        case .next(_, let taken?): taken.contains { $0.priority != 0 || $0.delivery != 1 } ? 2 : 1
        case .step(.retrying(_, let interruptions), _, _, _): interruptions > 0 ? 4 : 1
        default: kind.version
        }
    }

    fileprivate func write(to writer: inout ByteWriter, _ version: UInt8) {
        switch self {
        case .step(let state, let attempts, let failures, let startedAt):
            writer.varint(attempts)
            writer.varint(startedAt)
            writer.varint(failures.count)
            for failure in failures {
                writer.varint(failure.startedAt)
                writer.varint(failure.endedAt)
                failure.failure.write(to: &writer)
            }
            switch state {
            case .started: writer.byte(3)
            case .completed(let value):
                writer.byte(0)
                writer.blob(value)
            case .retrying(let at, let interruptions):
                writer.byte(1)
                writer.varint(at)
                if version > 3 { writer.varint(interruptions) }
            case .failed(let failure, let timedOut):
                writer.byte(2)
                failure.write(to: &writer)
                writer.bool(timedOut)
            }
        case .turn(.completed(let value)):
            writer.byte(0)
            writer.blob(value)
        case .turn(.failed(let failure)):
            writer.byte(1)
            failure.write(to: &writer)
        case .sleep(let until, let done):
            writer.varint(until)
            writer.bool(done)
        case .next(let deadline, let taken):
            writer.optional(deadline) { $0.varint($1) }
            writer.optional(taken) { writer, messages in
                writer.varint(messages.count)
                for message in messages { message.write(to: &writer, version) }
            }
        case .loop(let iteration, let state, let result):
            writer.varint(iteration)
            writer.blob(state)
            writer.optional(result) { $0.blob($1) }
        case .completion(let message):
            writer.varint(message)
        case .call(let sent, let deadline, let state):
            sent.write(to: &writer)
            writer.optional(deadline) { $0.varint($1) }
            switch state {
            case .waiting: writer.byte(0)
            case .answered(let reply):
                writer.byte(1)
                writer.blob(reply)
            case .timedOut: writer.byte(2)
            }
        case .send(let sent):
            sent.write(to: &writer)
        }
    }

    fileprivate static func read(
        _ kind: OperationKind, _ reader: inout ByteReader, _ version: UInt8
    ) throws(WireError) -> HistoryOperation {
        switch kind {
        case .step: return try readStep(&reader, version)
        case .turn:
            switch try reader.byte() {
            case 0: return .turn(.completed(value: try reader.blob()))
            case 1: return .turn(.failed(try FailureRecord.read(&reader)))
            case let tag: throw .unknown(what: "turn state", value: UInt64(tag))
            }
        case .sleep:
            let until = try reader.varint()
            return .sleep(until: until, done: try reader.bool())
        case .next:
            let deadline = try reader.optional { reader throws(WireError) in try reader.varint() }
            let taken = try reader.optional { reader throws(WireError) in
                let count = try reader.count("taken messages", limit: 100_000)
                var messages: [TakenMessage] = []
                for _ in 0..<count { messages.append(try TakenMessage.read(&reader, version)) }
                return messages
            }
            return .next(deadline: deadline, taken: taken)
        case .loop:
            let iteration = try reader.varint().countable("an iteration")
            let state = try reader.blob()
            let result = try reader.optional { reader throws(WireError) in try reader.blob() }
            return .loop(iteration: iteration, state: state, result: result)
        case .completion: return .completion(message: try reader.varint())
        case .call:
            let sent = try SentMessage.read(&reader)
            let deadline = try reader.optional { reader throws(WireError) in try reader.varint() }
            switch try reader.byte() {
            case 0: return .call(sent, deadline: deadline, .waiting)
            case 1: return .call(sent, deadline: deadline, .answered(try reader.blob()))
            case 2: return .call(sent, deadline: deadline, .timedOut)
            case let tag: throw .unknown(what: "call state", value: UInt64(tag))
            }
        case .send: return .send(try SentMessage.read(&reader))
        }
    }

    private static func readStep(
        _ reader: inout ByteReader, _ version: UInt8
    ) throws(WireError) -> HistoryOperation {
        let attempts = try reader.varint().countable("a step's attempts")
        let startedAt = try reader.varint()
        let count = try reader.count("failed attempts", limit: HistoryEntry.failuresMax)
        var failures: [AttemptRecord] = []
        for _ in 0..<count {
            let started = try reader.varint()
            let ended = try reader.varint()
            failures.append(
                AttemptRecord(startedAt: started, endedAt: ended, failure: try FailureRecord.read(&reader)))
        }
        let state: StepState
        switch try reader.byte() {
        case 0: state = .completed(value: try reader.blob())
        case 1:
            let at = try reader.varint()
            let interruptions = version > 3 ? try reader.varint().countable("a step's interruptions") : 0
            state = .retrying(at: at, interruptions: interruptions)
        case 2:
            let failure = try FailureRecord.read(&reader)
            state = .failed(failure, timedOut: try reader.bool())
        case 3: state = .started
        case let tag: throw .unknown(what: "step state", value: UInt64(tag))
        }
        return .step(state, attempts: attempts, failures: failures, startedAt: startedAt)
    }
}

extension FailureRecord {
    func write(to writer: inout ByteWriter) {
        writer.string(type)
        writer.string(message)
    }

    static func read(_ reader: inout ByteReader) throws(WireError) -> FailureRecord {
        let type = try reader.string()
        return FailureRecord(type: type, message: try reader.string())
    }
}

extension SentMessage {
    fileprivate func write(to writer: inout ByteWriter) {
        writer.string(target)
        writer.fixed(partition)
        writer.varint(number)
    }

    fileprivate static func read(_ reader: inout ByteReader) throws(WireError) -> SentMessage {
        let target = try reader.string()
        let partition = try reader.fixed(UInt32.self)
        return SentMessage(target: target, partition: partition, number: try reader.varint())
    }
}

extension TakenMessage {
    fileprivate func write(to writer: inout ByteWriter, _ version: UInt8) {
        writer.varint(number)
        writer.string(queue)
        writer.blob(body)
        writer.optional(requester) { $0.blob($1) }
        guard version > 1 else { return }
        writer.byte(priority)
        writer.varint(delivery)
    }

    fileprivate static func read(
        _ reader: inout ByteReader, _ version: UInt8
    ) throws(WireError) -> TakenMessage {
        let number = try reader.varint()
        let queue = try reader.string()
        let body = try reader.blob()
        let requester = try reader.optional { reader throws(WireError) in try reader.blob() }
        var message = TakenMessage(number: number, queue: queue, body: body, requester: requester)
        if version > 1 {
            message.priority = try reader.byte()
            message.delivery = try reader.varint()
        }
        return message
    }
}
