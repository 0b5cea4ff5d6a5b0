import ActorHost
import ByteCoding
import ClientProtocol
import Identifiers
import MailboxCore

extension FuzzTarget {
    /// What is accepted as a waiting message reads back the same, and has a successor.
    public static let queuedMessage = FuzzTarget("QueuedMessage", corpus: messages.map { $0.encoded() }) {
        bytes in
        guard let message = try? QueuedMessage.decode(bytes) else { return nil }
        guard (try? QueuedMessage.decode(message.encoded())) == message else {
            return "a message changed on its way: \(message)"
        }
        // The whole mailbox stands on a library, which libFuzzer's build has not.
        return message.number < .max - 1 ? nil : "no message can follow \(message.number)"
    }

    /// A remembered request: the first byte says how many bytes its identifier has.
    public static let deduplicationEntry = FuzzTarget(
        "DeduplicationEntry",
        corpus: (remembered + [lastLine]).map { [UInt8($0.id.count)] + $0.id + $0.value }
    ) { bytes in
        let count = min(Int(bytes.first ?? 0), max(bytes.count - 1, 0))
        let id = Array(bytes.dropFirst().prefix(count))
        var core = DeduplicationCore()
        guard (try? core.restore(id: id, value: Array(bytes.dropFirst(1 + count)))) != nil else { return nil }
        guard id.first != 0 else {
            // A session's line: a request behind it is new, and moves it.
            let session = SessionID(high: 0, low: 0)
            _ = core.record(.session(session, sequence: .max), .message(1), acknowledged: .max, at: 1)
            return nil
        }
        guard let identity = try? RequestIdentityID.decode(id) else {
            return "an entry was restored whose identity is refused"
        }
        guard case .known(let outcome) = core.check(identity) else { return "an entry was not remembered" }
        _ = core.record(identity, outcome, acknowledged: .max, at: 1)
        return nil
    }

    /// What is accepted as an event that is kept can be followed by another one.
    public static let retainedEvents = FuzzTarget("RetainedEvents", corpus: [retained.id, retained.value]) {
        bytes in
        var events = RetainedEvents()
        try? events.restore(id: bytes, value: retained.value)
        try? events.restore(id: retained.id, value: bytes)
        _ = events.add("news", [7], count: 2)
        return events.last("news", count: 1) == [[7]] ? nil : "the newest event is not the last"
    }

    /// What is accepted as a turn of an action reads back the same.
    public static let actionTurn = FuzzTarget(
        "ActionTurn", corpus: [ActionTurn(time: 1 << 50, value: Array("[1]".utf8)).encoded()]
    ) { bytes in
        guard let turn = try? ActionTurn.decode(bytes) else { return nil }
        return (try? ActionTurn.decode(turn.encoded())) == turn ? nil : "a turn changed on its way: \(turn)"
    }

    private static let retained: (id: [UInt8], value: [UInt8]) = {
        var events = RetainedEvents()
        let item = events.add("news", Array("{}".utf8), count: 2)
        return (item.id, item.value)
    }()

    /// The identifier under which a request is remembered has one form only.
    public static let requestIdentity = FuzzTarget("RequestIdentity", corpus: remembered.map(\.id)) { bytes in
        guard let identity = try? RequestIdentityID.decode(bytes) else { return nil }
        return identity.encoded == bytes ? nil : "an identity encodes to other bytes: \(identity)"
    }

    /// What is accepted as a recorded reply reads back the same.
    public static let replyRecord = FuzzTarget(
        "ReplyRecord", corpus: replies.map { ReplyRecord.encode($0) } + [ReplyRecord.creation]
    ) { bytes in
        guard let reply = try? ReplyRecord.decode(bytes) else { return nil }
        // The one that is written as it is.
        if case .success(.created) = reply {
            return bytes == ReplyRecord.creation ? nil : "another form of a creation"
        }
        return (try? ReplyRecord.decode(ReplyRecord.encode(reply))) == reply
            ? nil : "a reply changed on its way: \(reply)"
    }

    private static let replies: [Result<ActorReply, ActorError>] = [
        .success(.output(Payload("{\"a\":1}"))), .success(.accepted(1 << 40)), .success(.completed(.null)),
        .success(.destroyed),
        .failure(ActorError("c", "message", group: "g", metadata: ["b": "2", "a": "1"])),
    ]

    private static let messages = [
        QueuedMessage(number: 1, queue: "", body: [], enqueuedAt: 0, requester: nil),
        QueuedMessage(
            number: 1 << 40, queue: "é", body: Array("{}".utf8), enqueuedAt: 7, requester: [2, 65]),
        QueuedMessage(
            number: 9, queue: "later", body: [1], enqueuedAt: 7, requester: nil, visibleAt: 1 << 50,
            priority: 9),
    ]

    /// A session that has acknowledged every number there is.
    private static let lastLine = (
        id: [UInt8](repeating: 0, count: 17), value: [1, 1] + [UInt8](repeating: 0xFF, count: 9) + [1]
    )

    /// Every kind of entry: a reply and a message, of sessions and of keys, and a session's line.
    private static let remembered: [(id: [UInt8], value: [UInt8])] = {
        let session = SessionID(high: 1, low: 2)
        var core = DeduplicationCore()
        let changes =
            core.record(.session(session, sequence: 1), .reply([1, 3]), at: 1_700_000_000_000_000)
            + core.record(.session(session, sequence: 99), .message(300), acknowledged: 98, at: 9)
            + core.record(.key("a key"), .reply([]), at: 9)
        return changes.compactMap { change in
            if case .put(let id, let value) = change { (id, value) } else { nil }
        }
    }()
}
