import Identifiers

/// Why a WebSocket message is no frame of the protocol. It ends the connection, and only that one.
public enum FrameError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Not one well-formed JSON object.
    case malformed(JSONError)
    /// No `type`, or one that this version does not know.
    case unknownType(String?)
    /// A member that the type needs is absent or has another form.
    case field(String)
    /// The kind or the key is not one.
    case address(AddressError)

    public var description: String {
        switch self {
        case .malformed(let error): "the message is \(error)"
        case .unknownType(let name?): "unknown frame type \"\(name.prefix(40))\""
        case .unknownType(nil): "the frame has no type"
        case .field(let name): "the member \"\(name)\" is absent or malformed"
        case .address(let error): error.description
        }
    }

    /// The WebSocket close code (RFC 6455 section 7.4.1) that goes with it.
    public var closeCode: UInt16 {
        if case .malformed(let error) = self, error.reason == .notUTF8 { return 1007 }
        return 1002
    }
}

/// The members of one frame by place, found in a single pass without allocation.
struct Envelope {
    enum Field: CaseIterable {
        case type, id, version, session, node, kind, key, action, queue, event, input, body, payload
        case seq, acked, timeoutMs, ifAbsent, output, document, accepted, completed, timedOut, created
        case destroyed, subscribed, error, delayMs, priority, dedupKey
        case timeLeftMs, epoch, after, waitMs

        /// The name on the wire is the name of the case.
        var name: String {
            switch self {
            case .type: "type"
            case .id: "id"
            case .version: "version"
            case .session: "session"
            case .node: "node"
            case .kind: "kind"
            case .key: "key"
            case .action: "action"
            case .queue: "queue"
            case .event: "event"
            case .input: "input"
            case .body: "body"
            case .payload: "payload"
            case .seq: "seq"
            case .acked: "acked"
            case .timeoutMs: "timeoutMs"
            case .ifAbsent: "ifAbsent"
            case .output: "output"
            case .document: "document"
            case .accepted: "accepted"
            case .completed: "completed"
            case .timedOut: "timedOut"
            case .created: "created"
            case .destroyed: "destroyed"
            case .subscribed: "subscribed"
            case .error: "error"
            case .delayMs: "delayMs"
            case .priority: "priority"
            case .dedupKey: "dedupKey"
            case .timeLeftMs: "timeLeftMs"
            case .epoch: "epoch"
            case .after: "after"
            case .waitMs: "waitMs"
            }
        }
    }

    private struct Entry {
        var name: Range<Int>
        var field: Field?
        var value: Range<Int>
    }

    /// More than any frame has; a message with more is refused before it costs quadratic time.
    static let membersMax = 24
    private var entries: [Entry] = []

    init(_ bytes: borrowing Span<UInt8>) throws(FrameError) {
        var found: [Entry] = []
        found.reserveCapacity(12)
        try JSONScanner.members(bytes, wrap: FrameError.malformed) { (name, value) throws(FrameError) in
            let field = Self.field(name, bytes)
            for entry in found {
                let isSame = field == nil ? Self.areEqual(entry.name, name, bytes) : entry.field == field
                guard !isSame else {
                    throw .malformed(JSONError(reason: .duplicateMember, offset: name.lowerBound))
                }
            }
            guard found.count < Self.membersMax else {
                throw .field("(more than \(Self.membersMax) members)")
            }
            found.append(Entry(name: name, field: field, value: value))
        }
        entries = found
    }

    subscript(field: Field) -> JSONSlice? {
        for entry in entries where entry.field == field { return JSONSlice(place: entry.value) }
        return nil
    }

    /// Finds a known name by its length and first bytes; a name written with escapes is compared as the text
    /// it is.
    private static func field(_ name: Range<Int>, _ bytes: borrowing Span<UInt8>) -> Field? {
        guard !name.isEmpty else { return nil }
        for index in name where bytes[index] == UInt8(ascii: "\\") {
            guard let text = JSONSlice.text(of: name, in: bytes) else { return nil }
            return Field.allCases.first { $0.name == text }
        }
        guard let candidate = candidate(count: name.count, first: bytes[name.lowerBound], name, bytes) else {
            return nil
        }
        var index = name.lowerBound
        for byte in candidate.name.utf8 {
            guard bytes[index] == byte else { return nil }
            index += 1
        }
        return candidate
    }

    /// The one known name with that length and beginning.
    private static func candidate(
        count: Int, first: UInt8, _ name: Range<Int>, _ bytes: borrowing Span<UInt8>
    ) -> Field? {
        switch (count, first) {
        case (2, _): .id
        case (3, UInt8(ascii: "s")): .seq
        case (3, _): .key
        case (4, UInt8(ascii: "t")): .type
        case (4, UInt8(ascii: "k")): .kind
        case (4, UInt8(ascii: "b")): .body
        case (4, _): .node
        case (5, UInt8(ascii: "i")): .input
        case (5, UInt8(ascii: "a")): bytes[name.lowerBound + 1] == UInt8(ascii: "c") ? .acked : .after
        case (5, UInt8(ascii: "q")): .queue
        case (5, _): fiveLetters(second: bytes[name.lowerBound + 1])
        case (6, UInt8(ascii: "a")): .action
        case (6, UInt8(ascii: "w")): .waitMs
        case (6, _): .output
        case (7, UInt8(ascii: "s")): .session
        case (7, UInt8(ascii: "v")): .version
        case (7, UInt8(ascii: "p")): .payload
        case (7, UInt8(ascii: "d")): .delayMs
        case (7, _): .created
        case (8, UInt8(ascii: "d")): bytes[name.lowerBound + 1] == UInt8(ascii: "o") ? .document : .dedupKey
        case (8, UInt8(ascii: "p")): .priority
        case (8, UInt8(ascii: "a")): .accepted
        case (8, UInt8(ascii: "t")): .timedOut
        case (8, _): .ifAbsent
        case (9, UInt8(ascii: "t")): .timeoutMs
        case (9, UInt8(ascii: "c")): .completed
        case (9, _): .destroyed
        case (10, UInt8(ascii: "t")): .timeLeftMs
        case (10, _): .subscribed
        default: nil
        }
    }

    private static func fiveLetters(second: UInt8) -> Field {
        switch second {
        case UInt8(ascii: "v"): .event
        case UInt8(ascii: "p"): .epoch
        default: .error
        }
    }

    private static func areEqual(_ a: Range<Int>, _ b: Range<Int>, _ bytes: borrowing Span<UInt8>) -> Bool {
        guard a.count == b.count else { return false }
        for offset in 0..<a.count where bytes[a.lowerBound + offset] != bytes[b.lowerBound + offset] {
            return false
        }
        return true
    }
}

extension Envelope {
    func integer(_ field: Field, _ bytes: borrowing Span<UInt8>) throws(FrameError) -> UInt64 {
        guard let value = self[field]?.integer(in: bytes) else { throw .field(field.name) }
        return value
    }

    /// nil when the member is absent or null; an error when it is there and no such number.
    func optionalInteger(_ field: Field, _ bytes: borrowing Span<UInt8>) throws(FrameError) -> UInt64? {
        guard let slice = self[field], !slice.isNull(in: bytes) else { return nil }
        guard let value = slice.integer(in: bytes) else { throw .field(field.name) }
        return value
    }

    func messageOptions(_ bytes: borrowing Span<UInt8>) throws(FrameError) -> MessageOptions {
        var options = MessageOptions()
        if let delay = try optionalInteger(.delayMs, bytes) { options.delayMillis = delay }
        if let priority = try optionalInteger(.priority, bytes) {
            options.priority = UInt8(clamping: priority)
        }
        if self[.dedupKey] != nil { options.deduplicationKey = try string(.dedupKey, bytes) }
        return options
    }

    func boolean(
        _ field: Field, default value: Bool, _ bytes: borrowing Span<UInt8>
    ) throws(FrameError) -> Bool {
        guard let slice = self[field] else { return value }
        guard let found = slice.boolean(in: bytes) else { throw .field(field.name) }
        return found
    }

    func string(_ field: Field, _ bytes: borrowing Span<UInt8>) throws(FrameError) -> String {
        guard let text = self[field]?.string(in: bytes) else { throw .field(field.name) }
        return text
    }

    func payload(_ field: Field, _ bytes: borrowing Span<UInt8>) throws(FrameError) -> Payload {
        guard let slice = self[field] else { throw .field(field.name) }
        return slice.payload(in: bytes)
    }

    func session(_ bytes: borrowing Span<UInt8>) throws(FrameError) -> SessionID {
        guard let session = SessionID(try string(.session, bytes)) else { throw .field("session") }
        return session
    }

    func address(_ bytes: borrowing Span<UInt8>) throws(FrameError) -> ActorAddress {
        let name = try string(.kind, bytes)
        guard let parts = self[.key]?.strings(in: bytes) else { throw .field("key") }
        do throws(AddressError) {
            return ActorAddress(kind: try ActorKind(name), key: try ActorKey(parts))
        } catch { throw .address(error) }
    }
}
