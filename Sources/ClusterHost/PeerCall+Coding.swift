import ByteCoding
import ClientProtocol
import Identifiers

/// Requests, replies and errors on the wire between nodes. Payloads are JSON that an edge has checked.
extension ByteWriter {
    mutating func request(_ request: ActorRequest) {
        address(request.target)
        optional(request.timeLeftMillis) { $0.varint($1) }
        switch request.identity {
        case nil: byte(0)
        case .session(let session, let sequence, let acknowledged):
            byte(1)
            fixed(session.high)
            fixed(session.low)
            varint(sequence)
            varint(acknowledged)
        case .key(let key):
            byte(2)
            string(key)
        }
        operation(request.operation)
    }

    private mutating func operation(_ operation: ActorRequest.Operation) {
        switch operation {
        case .getOrCreate(let input), .create(let input):
            if case .create = operation { byte(2) } else { byte(1) }
            optional(input) { $0.blob($1.bytes) }
        case .describe: byte(3)
        case .history: byte(4)
        case .action(let name, let input):
            byte(5)
            string(name)
            blob(input.bytes)
        case .send(let queue, let body, let options):
            byte(6)
            string(queue)
            blob(body.bytes)
            self.options(options)
        case .request(let queue, let body, let timeoutMillis, let options):
            byte(7)
            string(queue)
            blob(body.bytes)
            optional(timeoutMillis) { $0.varint($1) }
            self.options(options)
        case .destroy: byte(8)
        }
    }

    private mutating func options(_ options: MessageOptions) {
        varint(options.delayMillis)
        byte(options.priority)
        optional(options.deduplicationKey) { $0.string($1) }
    }

    mutating func reply(_ reply: ActorReply) {
        switch reply {
        case .created(let isNew, let payload):
            byte(1)
            bool(isNew)
            blob(payload.bytes)
        case .document(let payload):
            byte(2)
            blob(payload.bytes)
        case .output(let payload):
            byte(3)
            blob(payload.bytes)
        case .accepted(let number):
            byte(4)
            varint(number)
        case .completed(let payload):
            byte(5)
            blob(payload.bytes)
        case .timedOut: byte(6)
        case .destroyed: byte(7)
        }
    }

    mutating func error(_ error: ActorError) {
        string(error.group)
        string(error.code)
        string(error.message)
        varint(error.metadata.count)
        for (key, value) in error.metadata.sorted(by: { $0.key < $1.key }) {
            string(key)
            string(value)
        }
    }
}

extension ByteReader {
    mutating func request() throws(WireError) -> ActorRequest {
        let target = try address()
        let timeLeft = try optional { reader throws(WireError) in try reader.varint() }
        let identity: RequestIdentity?
        switch try byte() {
        case 0: identity = nil
        case 1:
            let session = SessionID(high: try fixed(), low: try fixed())
            let sequence = try varint().countable("a request's number")
            identity = .session(
                session, sequence: sequence, acknowledged: try varint().countable("a request's number"))
        case 2: identity = .key(try string())
        case let kind: throw .unknown(what: "identity of a request", value: UInt64(kind))
        }
        return ActorRequest(
            target: target, operation: try operation(), identity: identity, timeLeftMillis: timeLeft)
    }

    private mutating func operation() throws(WireError) -> ActorRequest.Operation {
        switch try byte() {
        case 1: return .getOrCreate(input: try optionalPayload())
        case 2: return .create(input: try optionalPayload())
        case 3: return .describe
        case 4: return .history
        case 5:
            let name = try string()
            return .action(name, input: try payload())
        case 6:
            let queue = try string()
            let body = try payload()
            return .send(queue: queue, body: body, options: try options())
        case 7:
            let queue = try string()
            let body = try payload()
            let timeout = try optional { reader throws(WireError) in try reader.varint() }
            return .request(queue: queue, body: body, timeoutMillis: timeout, options: try options())
        case 8: return .destroy
        case let kind: throw .unknown(what: "operation of a request", value: UInt64(kind))
        }
    }

    private mutating func payload() throws(WireError) -> Payload { Payload(try blob()) }

    private mutating func optionalPayload() throws(WireError) -> Payload? {
        try optional { reader throws(WireError) in try reader.payload() }
    }

    private mutating func options() throws(WireError) -> MessageOptions {
        let delay = try varint()
        let priority = try byte()
        guard priority <= MessageOptions.priorityMax else {
            throw .unknown(what: "priority", value: UInt64(priority))
        }
        return MessageOptions(
            delayMillis: delay, priority: priority,
            deduplicationKey: try optional { reader throws(WireError) in try reader.string() })
    }

    mutating func reply() throws(WireError) -> ActorReply {
        switch try byte() {
        case 1:
            let isNew = try bool()
            return .created(isNew, try payload())
        case 2: return .document(try payload())
        case 3: return .output(try payload())
        case 4: return .accepted(try varint())
        case 5: return .completed(try payload())
        case 6: return .timedOut
        case 7: return .destroyed
        case let kind: throw .unknown(what: "reply", value: UInt64(kind))
        }
    }

    mutating func error() throws(WireError) -> ActorError {
        let group = try string()
        let code = try string()
        let message = try string()
        var metadata: [String: String] = [:]
        for _ in 0..<(try count("facts of an error", limit: 256)) {
            let key = try string()
            metadata[key] = try string()
        }
        return ActorError(code, message, group: group, metadata: metadata)
    }
}
