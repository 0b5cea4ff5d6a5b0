import Identifiers

/// The wire protocol between clients and nodes: names and limits that both sides share.
public enum ClientWire {
    /// The newest version that this code speaks. Version 2 has the frame `map` more than version 1.
    public static let version: UInt64 = 2
    /// From this version on a node tells where actors live.
    public static let versionOfMaps: UInt64 = 2
    /// How long a node keeps an answer to `map` back at most, until there is something new.
    public static let mapWaitMillisMax: UInt64 = 30_000
    /// The WebSocket subprotocol of version 1 in JSON.
    public static let subprotocol = "apus.v1.json"
    /// The same frames in CBOR, each in a binary message.
    public static let subprotocolCBOR = "apus.v1.cbor"
    /// Where a node takes WebSocket connections.
    public static let path = "/connect"
    /// A message from a client, in bytes, after its fragments are joined.
    public static let messageBytesMax = 1 << 20
}

/// What a client says over a WebSocket. One JSON object in one text message; see `docs/protocol.md`.
public enum ClientFrame: Hashable, Sendable {
    /// The first frame of every connection, and only that.
    case hello(version: UInt64, session: SessionID)
    /// A request to an actor. `id` is the client's name for it on this connection.
    case request(id: UInt64, RequestFrame)
    /// Asks for later events; `id` names the subscription from then on.
    case subscribe(id: UInt64, ActorAddress, event: String)
    /// Ends the subscription `id`.
    case unsubscribe(id: UInt64)
    /// Says that nobody waits for the reply to `id` any more.
    case cancel(id: UInt64)
    /// Asks where actors live: what has changed after that version of the map (nil: everything), as soon as
    /// there is something, or that time is over. Since version 2.
    case map(id: UInt64, after: UInt64?, waitMillis: UInt64)
    case ping(id: UInt64)
}

/// The part of a request frame that goes to the node.
public struct RequestFrame: Hashable, Sendable {
    public enum Operation: Hashable, Sendable {
        case call(action: String, input: Payload)
        case send(queue: String, body: Payload, options: MessageOptions = MessageOptions())
        /// nil: wait as long as the connection lasts.
        case request(
            queue: String, body: Payload, timeoutMillis: UInt64?, options: MessageOptions = MessageOptions())
        /// `ifAbsent`: an actor that is there already is an answer, not an error.
        case create(input: Payload?, ifAbsent: Bool)
        case get
        case history
        case destroy
    }

    public var target: ActorAddress
    public var operation: Operation
    /// The request's place in its session, from 1; nil: not deduplicated.
    public var sequence: UInt64?
    /// The client has the replies of all requests of its session up to this sequence.
    public var acknowledged: UInt64
    /// How long the client waits yet, as it sends the frame; nil: it does not say.
    public var timeLeftMillis: UInt64?
    /// The client takes the node for the actor's owner in this epoch of its partition, and goes elsewhere if
    /// it is told a newer one; nil: the node is to pass the request on.
    public var epoch: Epoch?

    public init(
        target: ActorAddress, operation: Operation, sequence: UInt64? = nil, acknowledged: UInt64 = 0,
        timeLeftMillis: UInt64? = nil, epoch: Epoch? = nil
    ) {
        self.target = target
        self.operation = operation
        self.sequence = sequence
        self.acknowledged = acknowledged
        self.timeLeftMillis = timeLeftMillis
        self.epoch = epoch
    }
}

extension ClientFrame {
    /// Reads one message. Total: any bytes give a frame or a typed error.
    public static func decode(_ bytes: borrowing Span<UInt8>) throws(FrameError) -> ClientFrame {
        let envelope = try Envelope(bytes)
        guard let type = envelope[.type]?.string(in: bytes) else { throw .unknownType(nil) }
        switch type {
        case "call", "send", "request", "create", "get", "history", "destroy":
            let id = try envelope.integer(.id, bytes)
            return .request(id: id, try RequestFrame(type: type, envelope, bytes))
        case "hello":
            return .hello(
                version: try envelope.integer(.version, bytes), session: try envelope.session(bytes))
        case "subscribe":
            let id = try envelope.integer(.id, bytes)
            let event = try envelope.string(.event, bytes)
            return .subscribe(id: id, try envelope.address(bytes), event: event)
        case "unsubscribe": return .unsubscribe(id: try envelope.integer(.id, bytes))
        case "cancel": return .cancel(id: try envelope.integer(.id, bytes))
        case "map":
            return .map(
                id: try envelope.integer(.id, bytes), after: try envelope.optionalInteger(.after, bytes),
                waitMillis: try envelope.optionalInteger(.waitMs, bytes) ?? 0)
        case "ping": return .ping(id: try envelope.integer(.id, bytes))
        default: throw .unknownType(type)
        }
    }

    public static func decode(_ bytes: [UInt8]) throws(FrameError) -> ClientFrame { try decode(bytes.span) }

    /// Appends the frame as JSON text.
    public func encode(into bytes: inout [UInt8]) {
        switch self {
        case .hello(let version, let session):
            JSONWriter.append(raw: "{\"type\":\"hello\",\"version\":", to: &bytes)
            JSONWriter.append(integer: version, to: &bytes)
            JSONWriter.append(raw: ",\"session\":\"\(session)\"}", to: &bytes)
        case .request(let id, let frame): frame.encode(id: id, into: &bytes)
        case .subscribe(let id, let address, let event):
            JSONWriter.appendHead(type: "subscribe", id: id, to: &bytes)
            JSONWriter.append(address: address, to: &bytes)
            JSONWriter.append(raw: ",\"event\":", to: &bytes)
            JSONWriter.append(string: event, to: &bytes)
            JSONWriter.append(raw: "}", to: &bytes)
        case .unsubscribe(let id): Self.append(type: "unsubscribe", id: id, to: &bytes)
        case .cancel(let id): Self.append(type: "cancel", id: id, to: &bytes)
        case .map(let id, let after, let waitMillis):
            JSONWriter.appendHead(type: "map", id: id, to: &bytes)
            if let after { RequestFrame.append("after", after, to: &bytes) }
            if waitMillis > 0 { RequestFrame.append("waitMs", waitMillis, to: &bytes) }
            JSONWriter.append(raw: "}", to: &bytes)
        case .ping(let id): Self.append(type: "ping", id: id, to: &bytes)
        }
    }

    private static func append(type: String, id: UInt64, to bytes: inout [UInt8]) {
        JSONWriter.appendHead(type: type, id: id, to: &bytes)
        JSONWriter.append(raw: "}", to: &bytes)
    }
}

extension RequestFrame {
    init(type: String, _ envelope: Envelope, _ bytes: borrowing Span<UInt8>) throws(FrameError) {
        target = try envelope.address(bytes)
        sequence = try envelope.optionalInteger(.seq, bytes)
        // Without a sequence there is nothing that an acknowledgement could belong to.
        let acked = try envelope.optionalInteger(.acked, bytes) ?? 0
        acknowledged = sequence == nil ? 0 : acked
        timeLeftMillis = try envelope.optionalInteger(.timeLeftMs, bytes)
        epoch = try envelope.optionalInteger(.epoch, bytes).map { Epoch(rawValue: $0) }
        switch type {
        case "call":
            operation = .call(
                action: try envelope.string(.action, bytes),
                input: envelope[.input]?.payload(in: bytes) ?? .null)
        case "send":
            operation = .send(
                queue: try envelope.string(.queue, bytes), body: try envelope.payload(.body, bytes),
                options: try envelope.messageOptions(bytes))
        case "request":
            operation = .request(
                queue: try envelope.string(.queue, bytes), body: try envelope.payload(.body, bytes),
                timeoutMillis: try envelope.optionalInteger(.timeoutMs, bytes),
                options: try envelope.messageOptions(bytes))
        case "create":
            operation = .create(
                input: envelope[.input]?.payload(in: bytes),
                ifAbsent: try envelope.boolean(.ifAbsent, default: false, bytes))
        case "get": operation = .get
        case "history": operation = .history
        default: operation = .destroy
        }
    }

    func encode(id: UInt64, into bytes: inout [UInt8]) {
        let type =
            switch operation {
            case .call: "call"
            case .send: "send"
            case .request: "request"
            case .create: "create"
            case .get: "get"
            case .history: "history"
            case .destroy: "destroy"
            }
        JSONWriter.appendHead(type: type, id: id, to: &bytes)
        JSONWriter.append(address: target, to: &bytes)
        switch operation {
        case .call(let action, let input):
            Self.append("action", text: action, "input", payload: input, to: &bytes)
        case .send(let queue, let body, let options):
            Self.append("queue", text: queue, "body", payload: body, to: &bytes)
            Self.append(options, to: &bytes)
        case .request(let queue, let body, let timeoutMillis, let options):
            Self.append("queue", text: queue, "body", payload: body, to: &bytes)
            if let timeoutMillis { Self.append("timeoutMs", timeoutMillis, to: &bytes) }
            Self.append(options, to: &bytes)
        case .create(let input, let ifAbsent):
            if let input {
                JSONWriter.append(raw: ",\"input\":", to: &bytes)
                bytes.append(contentsOf: input.bytes)
            }
            if ifAbsent { JSONWriter.append(raw: ",\"ifAbsent\":true", to: &bytes) }
        case .get, .history, .destroy: break
        }
        if let sequence {
            JSONWriter.append(raw: ",\"seq\":", to: &bytes)
            JSONWriter.append(integer: sequence, to: &bytes)
            JSONWriter.append(raw: ",\"acked\":", to: &bytes)
            JSONWriter.append(integer: acknowledged, to: &bytes)
        }
        if let timeLeftMillis { Self.append("timeLeftMs", timeLeftMillis, to: &bytes) }
        if let epoch { Self.append("epoch", epoch.rawValue, to: &bytes) }
        JSONWriter.append(raw: "}", to: &bytes)
    }

    private static func append(_ options: MessageOptions, to bytes: inout [UInt8]) {
        if options.delayMillis > 0 { append("delayMs", options.delayMillis, to: &bytes) }
        if options.priority > 0 { append("priority", UInt64(options.priority), to: &bytes) }
        if let key = options.deduplicationKey {
            JSONWriter.append(raw: ",\"dedupKey\":", to: &bytes)
            JSONWriter.append(string: key, to: &bytes)
        }
    }

    fileprivate static func append(_ name: String, _ number: UInt64, to bytes: inout [UInt8]) {
        JSONWriter.append(raw: ",\"\(name)\":", to: &bytes)
        JSONWriter.append(integer: number, to: &bytes)
    }

    private static func append(
        _ name: String, text: String, _ payloadName: String, payload: Payload, to bytes: inout [UInt8]
    ) {
        JSONWriter.append(raw: ",\"", to: &bytes)
        JSONWriter.append(raw: name, to: &bytes)
        JSONWriter.append(raw: "\":", to: &bytes)
        JSONWriter.append(string: text, to: &bytes)
        JSONWriter.append(raw: ",\"", to: &bytes)
        JSONWriter.append(raw: payloadName, to: &bytes)
        JSONWriter.append(raw: "\":", to: &bytes)
        bytes.append(contentsOf: payload.bytes)
    }

    /// The request as the node's host takes it.
    public func actorRequest(session: SessionID) -> ActorRequest {
        let operation: ActorRequest.Operation =
            switch self.operation {
            case .call(let action, let input): .action(action, input: input)
            case .send(let queue, let body, let options):
                .send(queue: queue, body: body, options: options)
            case .request(let queue, let body, let timeoutMillis, let options):
                .request(queue: queue, body: body, timeoutMillis: timeoutMillis, options: options)
            case .create(let input, let ifAbsent):
                ifAbsent ? .getOrCreate(input: input) : .create(input: input)
            case .get: .describe
            case .history: .history
            case .destroy: .destroy
            }
        let identity = sequence.map {
            RequestIdentity.session(session, sequence: $0, acknowledged: acknowledged)
        }
        return ActorRequest(
            target: target, operation: operation, identity: identity, timeLeftMillis: timeLeftMillis,
            assumedEpoch: epoch)
    }
}

extension JSONWriter {
    /// Appends `{"type":"…","id":…`.
    static func appendHead(type: String, id: UInt64, to bytes: inout [UInt8]) {
        append(raw: "{\"type\":\"", to: &bytes)
        append(raw: type, to: &bytes)
        append(raw: "\",\"id\":", to: &bytes)
        append(integer: id, to: &bytes)
    }

    /// Appends `,"kind":"…","key":["…"]`.
    static func append(address: ActorAddress, to bytes: inout [UInt8]) {
        append(raw: ",\"kind\":", to: &bytes)
        append(string: address.kind.name, to: &bytes)
        append(raw: ",\"key\":[", to: &bytes)
        for (index, part) in address.key.parts.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            append(string: part, to: &bytes)
        }
        bytes.append(UInt8(ascii: "]"))
    }
}
