import Identifiers

/// What a node says over a WebSocket. One JSON object in one text message; see `docs/protocol.md`.
public enum ServerFrame: Hashable, Sendable {
    /// The answer to `hello`. `node` is for people and logs.
    case welcome(version: UInt64, node: String)
    /// The answer to the request `id`.
    case reply(id: UInt64, ActorReply)
    /// The subscription `id` is in place: every event from now on will come.
    case subscribed(id: UInt64)
    /// The failure of the request or subscription `id`.
    case error(id: UInt64, ActorError)
    /// An event for the subscription `id`.
    case event(id: UInt64, name: String, payload: Payload)
    case pong(id: UInt64)
}

extension ServerFrame {
    /// Appends the frame as JSON text.
    public func encode(into bytes: inout [UInt8]) {
        switch self {
        case .welcome(let version, let node):
            JSONWriter.append(raw: "{\"type\":\"welcome\",\"version\":", to: &bytes)
            JSONWriter.append(integer: version, to: &bytes)
            JSONWriter.append(raw: ",\"node\":", to: &bytes)
            JSONWriter.append(string: node, to: &bytes)
        case .reply(let id, let reply):
            JSONWriter.appendHead(type: "reply", id: id, to: &bytes)
            Self.append(reply, to: &bytes)
        case .subscribed(let id):
            JSONWriter.appendHead(type: "reply", id: id, to: &bytes)
            JSONWriter.append(raw: ",\"subscribed\":true", to: &bytes)
        case .error(let id, let error):
            JSONWriter.appendHead(type: "error", id: id, to: &bytes)
            JSONWriter.append(raw: ",\"error\":", to: &bytes)
            JSONWriter.append(error: error, to: &bytes)
        case .event(let id, let name, let payload):
            JSONWriter.appendHead(type: "event", id: id, to: &bytes)
            JSONWriter.append(raw: ",\"event\":", to: &bytes)
            JSONWriter.append(string: name, to: &bytes)
            JSONWriter.append(raw: ",\"payload\":", to: &bytes)
            bytes.append(contentsOf: payload.bytes)
        case .pong(let id):
            JSONWriter.appendHead(type: "pong", id: id, to: &bytes)
        }
        bytes.append(UInt8(ascii: "}"))
    }

    private static func append(_ reply: ActorReply, to bytes: inout [UInt8]) {
        switch reply {
        case .output(let output):
            JSONWriter.append(raw: ",\"output\":", to: &bytes)
            bytes.append(contentsOf: output.bytes)
        case .accepted(let message):
            JSONWriter.append(raw: ",\"accepted\":", to: &bytes)
            JSONWriter.append(integer: message, to: &bytes)
        case .completed(let response):
            JSONWriter.append(raw: ",\"completed\":", to: &bytes)
            bytes.append(contentsOf: response.bytes)
        case .timedOut: JSONWriter.append(raw: ",\"timedOut\":true", to: &bytes)
        case .created(let isNew, let document):
            JSONWriter.append(raw: isNew ? ",\"created\":true" : ",\"created\":false", to: &bytes)
            JSONWriter.append(raw: ",\"document\":", to: &bytes)
            bytes.append(contentsOf: document.bytes)
        case .document(let document):
            JSONWriter.append(raw: ",\"document\":", to: &bytes)
            bytes.append(contentsOf: document.bytes)
        case .destroyed: JSONWriter.append(raw: ",\"destroyed\":true", to: &bytes)
        }
    }

    /// Reads one message. Total: any bytes give a frame or a typed error.
    public static func decode(_ bytes: borrowing Span<UInt8>) throws(FrameError) -> ServerFrame {
        let envelope = try Envelope(bytes)
        guard let type = envelope[.type]?.string(in: bytes) else { throw .unknownType(nil) }
        switch type {
        case "reply":
            let id = try envelope.integer(.id, bytes)
            if envelope[.subscribed] != nil { return .subscribed(id: id) }
            return .reply(id: id, try reply(envelope, bytes))
        case "event":
            return .event(
                id: try envelope.integer(.id, bytes), name: try envelope.string(.event, bytes),
                payload: try envelope.payload(.payload, bytes))
        case "error":
            return .error(id: try envelope.integer(.id, bytes), try error(envelope, bytes))
        case "welcome":
            return .welcome(
                version: try envelope.integer(.version, bytes), node: try envelope.string(.node, bytes))
        case "pong": return .pong(id: try envelope.integer(.id, bytes))
        default: throw .unknownType(type)
        }
    }

    public static func decode(_ bytes: [UInt8]) throws(FrameError) -> ServerFrame { try decode(bytes.span) }

    private static func reply(
        _ envelope: Envelope, _ bytes: borrowing Span<UInt8>
    ) throws(FrameError) -> ActorReply {
        if let output = envelope[.output] { return .output(output.payload(in: bytes)) }
        if envelope[.accepted] != nil { return .accepted(try envelope.integer(.accepted, bytes)) }
        if let response = envelope[.completed] { return .completed(response.payload(in: bytes)) }
        if envelope[.timedOut] != nil { return .timedOut }
        if envelope[.destroyed] != nil { return .destroyed }
        if envelope[.created] != nil {
            let isNew = try envelope.boolean(.created, default: false, bytes)
            return .created(isNew, try envelope.payload(.document, bytes))
        }
        return .document(try envelope.payload(.document, bytes))
    }

    private static func error(
        _ envelope: Envelope, _ bytes: borrowing Span<UInt8>
    ) throws(FrameError) -> ActorError {
        guard let slice = envelope[.error] else { throw .field("error") }
        let inner = bytes.extracting(slice.place)
        guard let members = try? JSONSlice.members(of: inner),
            let group = members["group"]?.string(in: inner),
            let code = members["code"]?.string(in: inner), let message = members["message"]?.string(in: inner)
        else { throw .field("error") }
        let metadata = members["metadata"]?.stringMembers(in: inner) ?? [:]
        return ActorError(code, message, group: group, metadata: metadata)
    }
}
