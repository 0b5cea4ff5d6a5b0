import ClientProtocol
import Identifiers
import NIOCore
import NIOHTTP1

/// One HTTP request on its way through a connection.
struct HTTPExchange {
    /// What an operator or a new node says is short.
    static let clusterBodyBytesMax = 64 << 10

    let number: UInt64
    let method: HTTPMethod
    let requestID: String
    let route: Result<HTTPRoute, HTTPRoute.Refusal>
    let bodyBytesMax: Int
    let idempotencyKey: String?
    let timeLeft: String?
    let expectsContinue: Bool
    let declaredBytes: Int?
    var keepAlive: Bool
    var isHTTP10: Bool
    var body = ByteBuffer()
    /// What to abandon if the client goes away.
    var token: RequestToken?
    /// The answer comes only when some message is completed.
    var waits = false

    init(number: UInt64, head: HTTPRequestHead, configuration: GatewayConfiguration) {
        self.number = number
        method = head.method
        requestID = Self.requestID(head.headers)
        keepAlive = head.isKeepAlive
        isHTTP10 = head.version.major == 1 && head.version.minor == 0
        idempotencyKey = head.headers.first(name: "idempotency-key")
        timeLeft = head.headers.first(name: "x-time-left-ms")
        expectsContinue = head.headers.first(name: "expect")?.lowercased() == "100-continue"
        declaredBytes = head.headers.first(name: "content-length").flatMap { Int($0) }
        do throws(HTTPRoute.Refusal) {
            let route = try HTTPRoute(method: head.method.rawValue, uri: head.uri)
            self.route = .success(route)
            switch route {
            case .actor(_, .action), .actor(_, .getOrCreate): bodyBytesMax = configuration.inputBytesMax
            case .cluster: bodyBytesMax = min(configuration.bodyBytesMax, Self.clusterBodyBytesMax)
            default: bodyBytesMax = configuration.bodyBytesMax
            }
        } catch {
            route = .failure(error)
            bodyBytesMax = configuration.bodyBytesMax
        }
    }

    /// The client's own request id if it is short and printable, so that it cannot forge log lines; else a
    /// new one.
    private static func requestID(_ headers: HTTPHeaders) -> String {
        if let given = headers.first(name: "x-request-id"), 1...128 ~= given.utf8.count,
            given.utf8.allSatisfy({ 0x21...0x7E ~= $0 })
        {
            return given
        }
        let digits = String(UInt64.random(in: .min ... .max), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// The body as one JSON value; nil if there is none.
    func payload(field: String) throws(ActorError) -> Payload? {
        let bytes = Array(body.readableBytesView)
        guard !bytes.isEmpty else { return nil }
        do throws(JSONError) {
            let place = try JSONScanner.validate(bytes.span)
            return place.count == bytes.count
                ? Payload(bytes) : JSONSlice(place: place).payload(in: bytes.span)
        } catch { throw .validation("the body is \(error)", field: field) }
    }

    /// The request for the node, once the body is whole.
    func actorRequest(_ address: ActorAddress, _ verb: HTTPRoute.Verb) throws(ActorError) -> ActorRequest {
        var identity: RequestIdentity?
        if let idempotencyKey {
            guard 1...255 ~= idempotencyKey.utf8.count else {
                throw .validation("the key must have 1 to 255 bytes", field: "Idempotency-Key")
            }
            identity = .key(idempotencyKey)
        }
        var timeLeftMillis: UInt64?
        if let timeLeft {
            guard let millis = UInt64(timeLeft) else {
                throw .validation("must be a whole number of milliseconds", field: "X-Time-Left-Ms")
            }
            timeLeftMillis = millis
        }
        let operation: ActorRequest.Operation
        switch verb {
        case .getOrCreate: operation = .getOrCreate(input: try payload(field: "input"))
        case .describe: (operation, identity) = (.describe, nil)
        case .history: (operation, identity) = (.history, nil)
        case .destroy: operation = .destroy
        case .action(let name): operation = .action(name, input: try payload(field: "input") ?? .null)
        case .queue(let name): operation = try queueOperation(name)
        }
        return ActorRequest(
            target: address, operation: operation, identity: identity, timeLeftMillis: timeLeftMillis)
    }

    /// Reads `{"body": …, "wait": false, "timeoutMs": 0, "delayMs": 0, "priority": 0, "dedupKey": ""}`.
    private func queueOperation(_ name: String) throws(ActorError) -> ActorRequest.Operation {
        let bytes = Array(body.readableBytesView)
        let members: [String: JSONSlice]
        do throws(JSONError) {
            members = try JSONSlice.members(of: bytes.span)
        } catch { throw .validation("the request's body is \(error)", field: "body") }
        guard let message = members["body"] else {
            throw .validation("the request's JSON has no member \"body\"", field: "body")
        }
        let payload = message.payload(in: bytes.span)
        var waits = false
        if let slice = members["wait"] {
            guard let value = slice.boolean(in: bytes.span) else {
                throw .validation("wait must be true or false", field: "wait")
            }
            waits = value
        }
        func number(_ name: String) throws(ActorError) -> UInt64? {
            guard let slice = members[name], !slice.isNull(in: bytes.span) else { return nil }
            guard let value = slice.integer(in: bytes.span) else {
                throw .validation("\(name) must be a whole number", field: name)
            }
            return value
        }
        var options = MessageOptions()
        options.delayMillis = try number("delayMs") ?? 0
        options.priority = UInt8(clamping: try number("priority") ?? 0)
        if let slice = members["dedupKey"], !slice.isNull(in: bytes.span) {
            guard let key = slice.string(in: bytes.span) else {
                throw .validation("dedupKey must be a text", field: "dedupKey")
            }
            options.deduplicationKey = key
        }
        let timeoutMillis = try number("timeoutMs")
        return waits
            ? .request(queue: name, body: payload, timeoutMillis: timeoutMillis, options: options)
            : .send(queue: name, body: payload, options: options)
    }
}

/// Status and JSON body of an answer.
struct HTTPAnswer {
    var status: HTTPResponseStatus
    var body: [UInt8]
    var allow: [String] = []
    var retryAfterSeconds: Int?

    init(status: HTTPResponseStatus, body: [UInt8]) {
        self.status = status
        self.body = body
    }

    init(_ refusal: HTTPRoute.Refusal) {
        self.init(refusal.error)
        allow = refusal.allow
    }

    init(_ error: ActorError) {
        status = HTTPResponseStatus(statusCode: error.httpStatus)
        retryAfterSeconds = error.retryAfterSeconds
        body = Array("{\"error\":".utf8)
        JSONWriter.append(error: error, to: &body)
        body.append(UInt8(ascii: "}"))
    }

    init(_ reply: ActorReply) {
        status = .ok
        switch reply {
        case .created(let isNew, let document):
            status = isNew ? .created : .ok
            body = document.bytes
        case .document(let document): body = document.bytes
        case .output(let output): body = Self.wrap("{\"output\":", output.bytes)
        case .accepted(let id): body = Array("{\"id\":\(id)}".utf8)
        case .completed(let response):
            body = Self.wrap("{\"status\":\"completed\",\"response\":", response.bytes)
        case .timedOut: body = Array("{\"status\":\"timedOut\"}".utf8)
        case .destroyed: body = Array("{\"destroyed\":true}".utf8)
        }
    }

    func head(for exchange: HTTPExchange?, keepAlive: Bool) -> HTTPResponseHead {
        var head = HTTPResponseHead(version: .http1_1, status: status)
        head.headers.add(name: "content-type", value: "application/json")
        head.headers.add(name: "content-length", value: String(body.count))
        if let exchange { head.headers.add(name: "x-request-id", value: exchange.requestID) }
        if let retryAfterSeconds { head.headers.add(name: "retry-after", value: String(retryAfterSeconds)) }
        if !allow.isEmpty { head.headers.add(name: "allow", value: allow.joined(separator: ", ")) }
        if status == .upgradeRequired {
            head.headers.add(name: "upgrade", value: "websocket")
            head.headers.add(name: "connection", value: keepAlive ? "upgrade" : "upgrade, close")
        } else if !keepAlive {
            head.headers.add(name: "connection", value: "close")
        } else if exchange?.isHTTP10 == true {
            head.headers.add(name: "connection", value: "keep-alive")
        }
        return head
    }

    private static func wrap(_ before: String, _ payload: [UInt8]) -> [UInt8] {
        var body: [UInt8] = []
        body.reserveCapacity(before.utf8.count + payload.count + 1)
        body.append(contentsOf: before.utf8)
        body.append(contentsOf: payload)
        body.append(UInt8(ascii: "}"))
        return body
    }
}
