import ActorHost
import ByteCoding
import ClientProtocol
import Testing

/// These bytes never change: recorded replies on disk are read by every later version.
@Suite("The stored form of replies")
struct ReplyRecordTests {
    private static let replies: [(Result<ActorReply, ActorError>, [UInt8])] = [
        (.success(.output(Payload("7"))), [1, 0, 1, 0x37]),
        (.success(.accepted(300)), [1, 1, 0xAC, 2]),
        (.success(.completed(Payload("7"))), [1, 2, 1, 0x37]),
        (.success(.destroyed), [1, 3]),
        (
            .failure(ActorError("c", "m", group: "g", metadata: ["b": "2", "a": "1"])),
            [1, 5, 1, 0x67, 1, 0x63, 1, 0x6D, 2, 1, 0x61, 1, 0x31, 1, 0x62, 1, 0x32]
        ),
    ]

    @Test func goldenBytes() throws {
        for (reply, bytes) in Self.replies {
            #expect(ReplyRecord.encode(reply) == bytes)
            #expect(try ReplyRecord.decode(bytes) == reply)
            for count in bytes.indices {
                #expect(throws: WireError.self) { try ReplyRecord.decode(Array(bytes[..<count])) }
            }
        }
        #expect(try ReplyRecord.decode(ReplyRecord.creation) == .success(.created(true, .null)))
        #expect(throws: WireError.self) { try ReplyRecord.decode([2, 3]) }
        #expect(throws: WireError.self) { try ReplyRecord.decode([1, 6]) }
    }
}
