import ClientProtocol
import ClusterHost
import Identifiers

/// What other nodes of the cluster may send for their clients.
extension FuzzTarget {
    public static let peerCall = FuzzTarget("PeerCall", corpus: calls) { bytes in
        guard let call = try? PeerCall.decode(bytes) else { return nil }
        let written = call.encoded()
        return (try? PeerCall.decode(written))?.encoded() == written ? nil : "a call changed on its way"
    }

    public static let peerAnswer = FuzzTarget("PeerAnswer", corpus: answers) { bytes in
        guard let answer = try? PeerAnswer.decode(bytes) else { return nil }
        let written = answer.encoded()
        return (try? PeerAnswer.decode(written))?.encoded() == written ? nil : "an answer changed on its way"
    }

    public static let mailFrame = FuzzTarget("MailFrame", corpus: [MailFrame(id: 300, [1, 2]).encoded()]) {
        bytes in
        guard let mail = try? MailFrame.decode(bytes) else { return nil }
        return (try? MailFrame.decode(mail.encoded())) == mail ? nil : "messages changed on their way"
    }

    private static let calls: [[UInt8]] = {
        guard let kind = try? ActorKind("cart"), let key = try? ActorKey(["a", "b"]) else { return [] }
        let actor = ActorAddress(kind: kind, key: key)
        let session = RequestIdentity.session(SessionID(high: 1, low: 2), sequence: 3, acknowledged: 2)
        let operations: [ActorRequest.Operation] = [
            .getOrCreate(input: Payload("1")), .action("add", input: Payload("5")), .describe,
            .send(queue: "q", body: Payload("{}"), options: MessageOptions(deduplicationKey: "k")),
            .request(queue: "q", body: Payload("{}"), timeoutMillis: 5), .destroy,
        ]
        let bodies: [PeerCall.Body] =
            operations.map {
                .request(
                    ActorRequest(target: actor, operation: $0, identity: session, timeLeftMillis: 9))
            } + [
                .abandon, .unsubscribe, .list(kind: "cart", after: actor, limit: 10),
                .subscribe(event: "e", of: actor),
            ]
        return bodies.map { PeerCall(id: 300, body: $0).encoded() }
    }()

    private static let answers: [[UInt8]] = {
        let error = ActorError("full", "no room", group: "queue", metadata: ["a": "1"])
        let bodies: [PeerAnswer.Body] = [
            .reply(.created(true, Payload("{}"))), .reply(.output(Payload("2"))), .reply(.accepted(77)),
            .reply(.timedOut), .failure(error), .event(Payload("4")), .ending(error),
        ]
        return bodies.map { PeerAnswer(id: 300, body: $0).encoded() }
    }()
}
