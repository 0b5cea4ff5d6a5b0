import ActorHost
import ByteCoding
import ClientProtocol
import Testing

/// These bytes never change: replies on disk are repeated by every later version (A13).
@Suite("The stored form of replies")
struct ReplyRecordTests {
    static let replies: [(reply: ActorReply, bytes: [UInt8])] = [
        (.output(Payload("42")), [1, 0, 2, 0x34, 0x32]),
        (.accepted(300), [1, 1, 0xAC, 2]),
        (.completed(Payload("[]")), [1, 2, 2, 0x5B, 0x5D]),
        (.destroyed, [1, 3]),
    ]

    @Test func everyRecordedReply() throws {
        for (reply, bytes) in Self.replies {
            #expect(ReplyRecord.encode(reply) == bytes, "\(reply)")
            #expect(try ReplyRecord.decode(bytes) == reply)
        }
        #expect(ReplyRecord.creation == [1, 4])
        #expect(try ReplyRecord.decode([1, 4]) == .created(true, .null))
    }

    @Test func everyTruncationAndEveryExcess() {
        for bytes in Self.replies.map(\.bytes) + [ReplyRecord.creation] {
            for count in bytes.indices {
                #expect(throws: WireError.self, "\(bytes) cut to \(count)") {
                    try ReplyRecord.decode(Array(bytes[..<count]))
                }
            }
            #expect(throws: WireError.trailing(count: 1)) { try ReplyRecord.decode(bytes + [0]) }
        }
        #expect(throws: WireError.version(what: "reply", found: 2, newest: 1)) {
            try ReplyRecord.decode([2, 3])
        }
        #expect(throws: WireError.unknown(what: "reply", value: 9)) { try ReplyRecord.decode([1, 9]) }
    }
}
