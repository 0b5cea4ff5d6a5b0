import ClientProtocol
import Identifiers
import SessionCore
import Testing

/// `#expect` for values that come out of a mutating call, which the macro cannot make.
private func expect(_ value: Bool, _ comment: Comment? = nil, at location: SourceLocation = #_sourceLocation)
{
    #expect(value, comment, sourceLocation: location)
}

@Suite("Client session") struct ClientSessionTests {
    // The kind and the key are within the limits.
    static let actor = ActorAddress(kind: try! ActorKind("counter"), key: try! ActorKey(["a"]))
    static let sessionID = SessionID(high: 1, low: 2)
    static let call = RequestFrame(target: actor, operation: .get, sequence: 7, acknowledged: 6)

    private func greeted(_ limits: SessionLimits = .init()) -> ClientSession {
        var session = ClientSession(limits: limits, node: "n")
        _ = session.received(.hello(version: 1, session: Self.sessionID))
        return session
    }

    private func closes(_ directive: ClientSession.Directive) -> Bool {
        if case .close = directive { true } else { false }
    }

    @Test("A61: hello comes first and once; the older version is spoken")
    func hello() {
        var session = ClientSession(limits: .init(), node: "n")
        expect(closes(session.received(.ping(id: 1))))
        guard
            case .send(.welcome(version: 2, node: "n")) = session.received(
                .hello(version: 3, session: Self.sessionID))
        else { return #expect(Bool(false), "no welcome") }
        expect(closes(session.received(.hello(version: 1, session: Self.sessionID))))
    }

    @Test("A61: an older client is spoken to in its version")
    func olderClient() {
        var session = ClientSession(limits: .init(), node: "n")
        guard
            case .send(.welcome(version: 1, node: "n")) = session.received(
                .hello(version: 1, session: Self.sessionID))
        else { return #expect(Bool(false), "no welcome") }
    }

    @Test("A13: a request carries session, sequence and what is acknowledged")
    func identity() {
        var session = greeted()
        guard case .submit(id: 5, let request) = session.received(.request(id: 5, Self.call)) else {
            return #expect(Bool(false), "not submitted")
        }
        #expect(request.identity == .session(Self.sessionID, sequence: 7, acknowledged: 6))
        expect(closes(session.received(.request(id: 5, Self.call))), "an id under way is used again")
        expect(session.replied(id: 5))
        expect(!session.replied(id: 5), "a second reply is not wanted")
    }

    @Test("A cancelled request is abandoned, and its late reply dropped")
    func cancellation() {
        var session = greeted()
        _ = session.received(.request(id: 1, Self.call))
        session.submitted(id: 1, token: RequestToken(rawValue: 9))
        guard case .abandon(RequestToken(rawValue: 9)) = session.received(.cancel(id: 1)) else {
            return #expect(Bool(false), "not abandoned")
        }
        expect(!session.replied(id: 1))
    }

    @Test("Reading stops at the limit of requests under way and resumes at half of it")
    func backPressure() {
        var limits = SessionLimits()
        limits.inFlightMax = 4
        var session = greeted(limits)
        for id in 1...4 as ClosedRange<UInt64> {
            expect(session.mayRead())
            _ = session.received(.request(id: id, Self.call))
        }
        expect(!session.mayRead())
        _ = session.replied(id: 1)
        expect(!session.mayRead())
        _ = session.replied(id: 2)
        expect(session.mayRead())
    }

    @Test("A42: an event for a full buffer closes the connection; replies only stop the reading")
    func slowReader() {
        var limits = SessionLimits()
        limits.pendingBytesMax = 100
        var session = greeted(limits)
        session.subscribed(id: 1, as: SubscriptionID(rawValue: 1))
        #expect(session.delivered(id: 1) == .send)
        #expect(session.delivered(id: 2) == .drop)
        #expect(session.ended(id: 2) == nil)
        session.outbound.wrote(bytes: 100)
        #expect(session.delivered(id: 1) == .close(.slowReader))
        expect(!session.mayRead())
        session.outbound.flushed(bytes: 100, frames: 1)
        #expect(session.delivered(id: 1) == .send)
        expect(session.mayRead())
    }

    @Test("A42: as many small events as there may be close the connection, too")
    func manyFrames() {
        var session = greeted()
        session.subscribed(id: 1, as: SubscriptionID(rawValue: 1))
        for _ in 0..<1024 {
            #expect(session.delivered(id: 1) == .send)
            session.outbound.wrote(bytes: 10)
        }
        #expect(session.delivered(id: 1) == .close(.slowReader))
    }

    @Test("A71: subscriptions are limited; the refusal says how many there may be")
    func subscriptions() {
        var limits = SessionLimits()
        limits.subscriptionsMax = 1
        var session = greeted(limits)
        session.subscribed(id: 1, as: SubscriptionID(rawValue: 1))
        guard
            case .send(.error(id: 2, let error)) = session.received(.subscribe(id: 2, Self.actor, event: "e"))
        else { return #expect(Bool(false), "not refused") }
        #expect(error.metadata["limit"] == "1" && error.httpStatus == 429)
        expect(closes(session.received(.subscribe(id: 1, Self.actor, event: "e"))))
    }

    @Test("Stopping refuses requests and is over when the last reply is out")
    func stopping() {
        var session = greeted()
        _ = session.received(.request(id: 1, Self.call))
        session.stop()
        guard case .send(.error(id: 2, .stopping)) = session.received(.request(id: 2, Self.call)) else {
            return #expect(Bool(false), "not refused")
        }
        #expect(!session.isDrained)
        _ = session.replied(id: 1)
        session.outbound.wrote(bytes: 5)
        #expect(!session.isDrained)
        session.outbound.flushed(bytes: 5, frames: 1)
        #expect(session.isDrained)
    }

    @Test("The end of a connection lets go of everything once")
    func end() {
        var session = greeted()
        _ = session.received(.request(id: 1, Self.call))
        session.submitted(id: 1, token: RequestToken(rawValue: 9))
        session.subscribed(id: 2, as: SubscriptionID(rawValue: 3))
        let remains = session.end()
        #expect(remains.requests == [RequestToken(rawValue: 9)])
        #expect(remains.subscriptions == [SubscriptionID(rawValue: 3)])
        expect(session.end().requests.isEmpty)
    }
}

@Suite("Deadlines") struct DeadlineTests {
    private func deadlines() -> ConnectionDeadlines { ConnectionDeadlines(settings: .init(), now: .zero) }

    @Test("A71: a handshake has 10 s in all, however many bytes trickle in")
    func handshake() {
        var deadlines = deadlines()
        deadlines.note(.handshake, now: .seconds(9))
        #expect(deadlines.next == .seconds(10))
        expect(deadlines.check(now: .seconds(9)) == .wait)
        expect(deadlines.check(now: .seconds(10)) == .close(.handshakeTimedOut))
    }

    @Test("Half a message: 30 s of silence, not 30 s in all; half a head: 30 s in all")
    func halfMessage() {
        var deadlines = deadlines()
        deadlines.note(.halfMessage, now: .seconds(1))
        deadlines.note(.halfMessage, now: .seconds(29))
        expect(deadlines.check(now: .seconds(58)) == .wait)
        expect(deadlines.check(now: .seconds(59)) == .close(.halfMessage))
        deadlines.note(.halfHead, now: .seconds(60))
        deadlines.note(.halfHead, now: .seconds(80))
        expect(deadlines.check(now: .seconds(90)) == .close(.halfMessage))
    }

    @Test("A quiet socket is pinged; any byte saves it, silence ends it")
    func ping() {
        var deadlines = deadlines()
        deadlines.note(.open, now: .zero)
        expect(deadlines.check(now: .seconds(60)) == .ping)
        deadlines.note(.open, now: .seconds(61))
        expect(deadlines.check(now: .seconds(121)) == .ping)
        expect(deadlines.check(now: .seconds(181)) == .close(.noPong))
    }

    @Test("A long answer is no silence; a write that stands still is")
    func answering() {
        var deadlines = deadlines()
        deadlines.note(.answering, now: .zero)
        expect(deadlines.check(now: .seconds(100_000)) == .wait)
        deadlines.noteWrite(pending: true, now: .seconds(100_000))
        deadlines.noteWriteProgress(now: .seconds(100_050))
        expect(deadlines.check(now: .seconds(100_060)) == .wait)
        expect(deadlines.check(now: .seconds(100_110)) == .close(.notReading))
    }
}

@Suite("Messages") struct MessageAssemblerTests {
    private func frame(_ opcode: UInt8, _ bytes: Int, isFinal: Bool = true) -> MessageAssembler.Frame {
        .init(opcode: opcode, isFinal: isFinal, isMasked: true, hasReservedBits: false, byteCount: bytes)
    }

    @Test("Fragments are joined with control frames between them, up to the limit")
    func fragments() {
        var assembler = MessageAssembler(bytesMax: 10, expectsMask: true)
        expect(assembler.received(frame(1, 10)) == .message)
        expect(assembler.received(frame(1, 4, isFinal: false)) == .fragment)
        expect(assembler.received(frame(9, 1)) == .ping)
        #expect(assembler.isInsideMessage)
        expect(assembler.received(frame(0, 6)) == .lastFragment)
        #expect(!assembler.isInsideMessage)
        expect(assembler.received(frame(1, 4, isFinal: false)) == .fragment)
        expect(assembler.received(frame(0, 7)) == .close(.tooLarge(limit: 10)))
    }
}
