import ByteCoding
import Identifiers

/// What an actor remembers of the requests that it has executed, so that a repeated one changes nothing twice
/// (A13).
///
/// A session's requests are remembered until the client says that it has seen the replies of all up to a
/// sequence (the scheme of Ongaro, "Consensus: bridging theory and practice", 6.3); a request below that line
/// is refused, never executed again. Idempotency keys are remembered for 24 hours of partition time.
public struct DeduplicationCore: Sendable {
    /// What is remembered of a request.
    public enum Outcome: Hashable, Sendable {
        /// A recorded reply, as encoded by the host.
        case reply([UInt8])
        /// It enqueued that message, which is not completed yet.
        case message(UInt64)
        /// The actor was destroyed before there was a reply, or the reply told of an actor that is gone.
        case destroyed
    }

    public enum Verdict: Hashable, Sendable {
        case new
        case known(Outcome)
        case expired
    }

    /// A change to store: identifier and value, or a range to delete.
    public enum Change: Hashable, Sendable {
        case put(id: [UInt8], [UInt8])
        case delete(id: [UInt8])
        case deleteRange(from: [UInt8], through: [UInt8])
    }

    public static let version: UInt8 = 1
    /// How long keys and silent sessions are remembered, in microseconds.
    public static let retentionMicros: UInt64 = 24 * 3600 * 1_000_000
    /// The acknowledged line moves in steps of this many requests, so that not every record carries it.
    public static let trimStep: UInt64 = 64
    public static let keyBytesMax = 255

    private struct Session: Sendable {
        /// Everything up to here is forgotten, and that is stored.
        var floor: UInt64
        var lastUsed: UInt64
        var outcomes: [UInt64: Outcome]
    }

    private var sessions: [SessionID: Session] = [:]
    private var keys: [RequestIdentityID: (outcome: Outcome, time: UInt64)] = [:]
    private var nextSweep: UInt64 = 0

    public init() {}

    public var isEmpty: Bool { sessions.isEmpty && keys.isEmpty }

    public func check(_ identity: RequestIdentityID) -> Verdict {
        switch identity {
        case .session(let id, let sequence):
            guard let session = sessions[id] else { return .new }
            if let outcome = session.outcomes[sequence] { return .known(outcome) }
            return sequence <= session.floor ? .expired : .new
        case .key, .message:
            return keys[identity].map { .known($0.outcome) } ?? .new
        }
    }

    /// Remembers the outcome of a request, in place of an earlier one of the same request.
    /// - Parameter acknowledged: the session has seen the replies of all requests up to this one.
    /// - Returns: what to store in the same record as the effect.
    public mutating func record(
        _ identity: RequestIdentityID, _ outcome: Outcome, acknowledged: UInt64 = 0, at time: UInt64
    ) -> [Change] {
        var changes: [Change] = [.put(id: identity.encoded, Self.encode(outcome, time))]
        switch identity {
        case .key, .message:
            keys[identity] = (outcome, time)
        case .session(let id, let sequence):
            var session = sessions.removeValue(forKey: id) ?? Session(floor: 0, lastUsed: time, outcomes: [:])
            session.outcomes[sequence] = outcome
            session.lastUsed = max(session.lastUsed, time)
            let line = min(acknowledged, sequence > 0 ? sequence - 1 : 0)
            if line >= session.floor + Self.trimStep {
                changes.append(
                    .deleteRange(
                        from: RequestIdentityID.session(id, sequence: 0).encoded,
                        through: RequestIdentityID.session(id, sequence: line).encoded))
                session.floor = line
                session.outcomes = session.outcomes.filter { $0.key > line }
                changes.append(.put(id: Self.floorID(id), Self.encodeFloor(line, time)))
            }
            sessions[id] = session
        }
        changes += sweep(time)
        return changes
    }

    /// Forgets keys and sessions that were silent for the retention time; looks at most once an hour.
    private mutating func sweep(_ time: UInt64) -> [Change] {
        guard time >= nextSweep else { return [] }
        nextSweep = time + Self.retentionMicros / 24
        guard time > Self.retentionMicros else { return [] }
        let line = time - Self.retentionMicros
        var changes: [Change] = []
        let old = keys.filter { $0.value.time < line }.keys.map { (key: $0, id: $0.encoded) }
        for (key, id) in old.sorted(by: { $0.id.lexicographicallyPrecedes($1.id) }) {
            keys[key] = nil
            changes.append(.delete(id: id))
        }
        for id in sessions.filter({ $0.value.lastUsed < line }).keys.sorted() {
            sessions[id] = nil
            changes.append(.delete(id: Self.floorID(id)))
            changes.append(
                .deleteRange(
                    from: RequestIdentityID.session(id, sequence: 0).encoded,
                    through: RequestIdentityID.session(id, sequence: .max).encoded))
        }
        return changes
    }

    /// What a new actor of the same key takes over from a destroyed one: the newest memories, up to that many
    /// bytes in storage. A session's requests of which the memory is left behind are refused from then on; an
    /// idempotency key that is left behind is forgotten.
    /// - Parameter survives: what an outcome is once the actor is gone.
    public func inheritance(
        bytesMax: Int, _ survives: (Outcome) -> Outcome
    ) -> (core: DeduplicationCore, changes: [Change]) {
        var memories: [(identity: RequestIdentityID, id: [UInt8], outcome: Outcome, time: UInt64)] = []
        func add(_ identity: RequestIdentityID, _ outcome: Outcome, _ time: UInt64) {
            memories.append((identity, identity.encoded, survives(outcome), time))
        }
        for (key, memory) in keys { add(key, memory.outcome, memory.time) }
        for (id, session) in sessions {
            for (sequence, outcome) in session.outcomes {
                add(.session(id, sequence: sequence), outcome, session.lastUsed)
            }
        }
        memories.sort { one, other in
            one.time == other.time
                ? other.id.lexicographicallyPrecedes(one.id) : one.time > other.time
        }
        var floors = sessions.mapValues(\.floor)
        var heir = DeduplicationCore()
        var changes: [Change] = []
        var bytes = 0
        for memory in memories {
            let value = Self.encode(memory.outcome, memory.time)
            bytes += memory.id.count + value.count
            if bytes <= bytesMax {
                changes.append(.put(id: memory.id, value))
                heir.take(memory.identity, memory.outcome, memory.time)
            } else if case .session(let id, let sequence) = memory.identity {
                floors[id] = max(floors[id] ?? 0, sequence)
            }
        }
        for (id, floor) in floors.sorted(by: { $0.key < $1.key }) where floor > 0 {
            let time = sessions[id]?.lastUsed ?? 0
            heir.restore(id, time) { $0.floor = floor }
            changes.append(.put(id: Self.floorID(id), Self.encodeFloor(floor, time)))
        }
        return (heir, changes)
    }

    private mutating func take(_ identity: RequestIdentityID, _ outcome: Outcome, _ time: UInt64) {
        switch identity {
        case .key, .message: keys[identity] = (outcome, time)
        case .session(let id, let sequence): restore(id, time) { $0.outcomes[sequence] = outcome }
        }
    }

    /// Takes up a stored item.
    public mutating func restore(id: [UInt8], value: [UInt8]) throws(WireError) {
        var reader = ByteReader(value)
        let version = try reader.byte()
        guard version == Self.version else {
            throw .version(what: "deduplication entry", found: UInt64(version), newest: UInt64(Self.version))
        }
        let time = try reader.varint()
        if id.first == 0 {
            guard id.count == 17 else { throw .invalid("a session's line has 17 bytes, not \(id.count)") }
            var idReader = ByteReader(id[1...])
            let session = SessionID(
                high: try idReader.fixed(UInt64.self), low: try idReader.fixed(UInt64.self))
            let floor = try reader.varint().countable("a session's line")
            try reader.finish()
            restore(session, time) { $0.floor = floor }
            return
        }
        let outcome: Outcome
        switch try reader.byte() {
        case 0: outcome = .reply(try reader.blob())
        case 1: outcome = .message(try reader.varint())
        case 2: outcome = .destroyed
        case let tag: throw .unknown(what: "deduplication outcome", value: UInt64(tag))
        }
        try reader.finish()
        take(try RequestIdentityID.decode(id), outcome, time)
    }

    private mutating func restore(_ id: SessionID, _ time: UInt64, _ change: (inout Session) -> Void) {
        var session = sessions.removeValue(forKey: id) ?? Session(floor: 0, lastUsed: time, outcomes: [:])
        session.lastUsed = max(session.lastUsed, time)
        change(&session)
        sessions[id] = session
    }

    private static func encode(_ outcome: Outcome, _ time: UInt64) -> [UInt8] {
        var writer = ByteWriter(capacity: 32)
        writer.byte(version)
        writer.varint(time)
        switch outcome {
        case .reply(let bytes):
            writer.byte(0)
            writer.blob(bytes)
        case .message(let number):
            writer.byte(1)
            writer.varint(number)
        case .destroyed:
            writer.byte(2)
        }
        return writer.bytes
    }

    private static func floorID(_ session: SessionID) -> [UInt8] {
        var writer = ByteWriter(capacity: 17)
        writer.byte(0)
        writer.fixed(session.high)
        writer.fixed(session.low)
        return writer.bytes
    }

    private static func encodeFloor(_ floor: UInt64, _ time: UInt64) -> [UInt8] {
        var writer = ByteWriter(capacity: 16)
        writer.byte(version)
        writer.varint(time)
        writer.varint(floor)
        return writer.bytes
    }
}

/// A request's identity inside of one actor.
public enum RequestIdentityID: Hashable, Sendable {
    case session(SessionID, sequence: UInt64)
    case key(String)
    /// A message by its deduplication key, sent or waited for.
    case message(queue: String, key: String, isAwaited: Bool)

    /// The identifier in storage. A session's requests lie together, in the order of their sequences.
    public var encoded: [UInt8] {
        var writer = ByteWriter(capacity: 25)
        switch self {
        case .session(let id, let sequence):
            writer.byte(1)
            writer.fixed(id.high)
            writer.fixed(id.low)
            writer.raw(TurnOperation.itemID(sequence))
        case .key(let key):
            writer.byte(2)
            writer.raw(Array(key.utf8))
        case .message(let queue, let key, let isAwaited):
            writer.byte(isAwaited ? 4 : 3)
            writer.string(queue)
            writer.raw(Array(key.utf8))
        }
        return writer.bytes
    }

    public static func decode(_ id: [UInt8]) throws(WireError) -> RequestIdentityID {
        var reader = ByteReader(id)
        switch try reader.byte() {
        case 1:
            let session = SessionID(high: try reader.fixed(UInt64.self), low: try reader.fixed(UInt64.self))
            // Written most significant byte first; the reader takes the least significant first.
            let sequence = (try reader.fixed(UInt64.self)).byteSwapped
            try reader.finish()
            return .session(session, sequence: sequence)
        case 2:
            guard let key = String(validating: id[1...], as: UTF8.self) else { throw .notUTF8 }
            return .key(key)
        case let tag where tag == 3 || tag == 4:
            let queue = try reader.string()
            guard let key = String(validating: id[reader.offset...], as: UTF8.self) else { throw .notUTF8 }
            let message = Self.message(queue: queue, key: key, isAwaited: tag == 4)
            // It is what the item is stored under, so there must not be two of it.
            guard message.encoded == id else { throw .invalid("a message's key in another form") }
            return message
        case let tag:
            throw .unknown(what: "request identity", value: UInt64(tag))
        }
    }
}
