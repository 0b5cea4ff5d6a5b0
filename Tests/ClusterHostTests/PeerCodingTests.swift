import ByteCoding
import ClientProtocol
import Identifiers
import Testing

@testable import ClusterHost

@Suite("What nodes say to each other for clients")
struct PeerCodingTests {
    private static func address(_ key: String) throws -> ActorAddress {
        try ActorAddress(kind: ActorKind("cart"), key: ActorKey([key, "x"]))
    }

    private static func requests() throws -> [ActorRequest] {
        let session = RequestIdentity.session(SessionID(high: 1, low: 2), sequence: 300, acknowledged: 7)
        let options = MessageOptions(delayMillis: 5, priority: 9, deduplicationKey: "d")
        let operations: [ActorRequest.Operation] = [
            .getOrCreate(input: nil), .getOrCreate(input: Payload("1")), .create(input: Payload("{}")),
            .describe, .history, .action("add", input: Payload("[1,2]")),
            .send(queue: "q", body: Payload("null"), options: options),
            .request(queue: "q", body: Payload("true"), timeoutMillis: nil),
            .request(queue: "q", body: Payload("true"), timeoutMillis: 0, options: options), .destroy,
        ]
        let identities: [RequestIdentity?] = [nil, session, .key("k")]
        return try operations.enumerated().map { number, operation in
            ActorRequest(
                target: try address("a"), operation: operation, identity: identities[number % 3],
                timeLeftMillis: number % 2 == 0 ? nil : UInt64(number * 1_000))
        }
    }

    private static func calls() throws -> [PeerCall] {
        var calls = try requests().enumerated().map { number, request in
            PeerCall(id: UInt64(number), body: .request(request))
        }
        calls.append(PeerCall(id: 1 << 40, body: .abandon))
        calls.append(PeerCall(id: 2, body: .list(kind: nil, after: nil, limit: 100)))
        calls.append(PeerCall(id: 3, body: .list(kind: "cart", after: try address("z"), limit: 1_000)))
        calls.append(
            PeerCall(
                id: 4,
                body: .subscribe(event: "changed", of: try address("s"))))
        calls.append(PeerCall(id: 4, body: .unsubscribe))
        return calls
    }

    private static let answers: [PeerAnswer] = {
        let error = ActorError("full", "no room", group: "queue", metadata: ["b": "2", "a": "1"])
        let bodies: [PeerAnswer.Body] = [
            .reply(.created(true, Payload("{}"))), .reply(.document(Payload("1"))),
            .reply(.output(Payload("2"))), .reply(.accepted(77)), .reply(.completed(Payload("3"))),
            .reply(.timedOut), .reply(.destroyed), .failure(error), .event(Payload("4")), .ending(error),
        ]
        return bodies.enumerated().map { number, body in
            PeerAnswer(id: UInt64(number), body: body)
        }
    }()

    @Test("Numbers of requests with which an owner could not go on counting are refused")
    func uncountable() throws {
        for (sequence, acknowledged) in [(UInt64.max - 40, UInt64(0)), (1, UInt64.max)] {
            let identity = RequestIdentity.session(
                SessionID(high: 1, low: 2), sequence: sequence, acknowledged: acknowledged)
            let request = ActorRequest(
                target: try Self.address("a"), operation: .describe, identity: identity)
            let call = PeerCall(id: 1, body: .request(request))
            #expect(throws: WireError.self) { try PeerCall.decode(call.encoded()) }
        }
    }

    @Test("Golden bytes of a request and of a refusal")
    func golden() throws {
        let request = ActorRequest(
            target: try Self.address("a"), operation: .action("add", input: Payload("5")),
            identity: .session(SessionID(high: 1, low: 2), sequence: 3, acknowledged: 2), timeLeftMillis: 250)
        let call = PeerCall(id: 300, body: .request(request))
        #expect(
            call.encoded() == [1, 0xAC, 2, 1, 4] + Array("cart".utf8) + [2, 1] + Array("a".utf8) + [1]
                + Array("x".utf8) + [
                    1, 0xFA, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 2, 5, 3,
                ]
                + Array("add".utf8) + [1] + Array("5".utf8))
        let answer = PeerAnswer(
            id: 300,
            body: .failure(ActorError("no", "m", group: "g", metadata: ["k": "v"])))
        #expect(
            answer.encoded() == [1, 0xAC, 2, 2, 1] + Array("g".utf8) + [2] + Array("no".utf8) + [1]
                + Array("m".utf8) + [1, 1] + Array("k".utf8) + [1] + Array("v".utf8))
        #expect(MailFrame(id: 300, [9, 8]).encoded() == [1, 0xAC, 2, 9, 8])
    }

    @Test("Everything reads back the same, and nothing shorter or longer is read")
    func roundTrips() throws {
        for bytes in try Self.calls().map({ $0.encoded() }) {
            #expect(try PeerCall.decode(bytes).encoded() == bytes)
            for end in 0..<bytes.count {
                #expect(throws: WireError.self) { try PeerCall.decode(Array(bytes[..<end])) }
            }
            #expect(throws: WireError.self) { try PeerCall.decode(bytes + [0]) }
        }
        for bytes in Self.answers.map({ $0.encoded() }) {
            #expect(try PeerAnswer.decode(bytes).encoded() == bytes)
            for end in 0..<bytes.count {
                #expect(throws: WireError.self) { try PeerAnswer.decode(Array(bytes[..<end])) }
            }
            #expect(throws: WireError.self) { try PeerAnswer.decode(bytes + [0]) }
        }
        #expect(try MailFrame.decode([1, 0xAC, 2, 9, 8]) == MailFrame(id: 300, [9, 8]))
        for short in [[], [1], [1, 0xAC]] as [[UInt8]] {
            #expect(throws: WireError.self) { try MailFrame.decode(short) }
        }
    }

    @Test("A newer version is refused with its number")
    func versions() {
        #expect(throws: WireError.version(what: "call between nodes", found: 2, newest: 1)) {
            try PeerCall.decode([2, 0, 2])
        }
        #expect(throws: WireError.version(what: "answer between nodes", found: 2, newest: 1)) {
            try PeerAnswer.decode([2, 0, 1, 6])
        }
        #expect(throws: WireError.version(what: "messages between nodes", found: 2, newest: 1)) {
            try MailFrame.decode([2, 0])
        }
    }
}
