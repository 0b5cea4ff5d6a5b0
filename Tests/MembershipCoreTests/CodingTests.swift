import ByteCoding
import Identifiers
import Testing

@testable import MembershipCore

@Suite("Gossip as bytes")
struct CodingTests {
    private static let node = NodeID(rawValue: 5)
    private static let life = Incarnation(rawValue: 300)

    private static let meta = {
        var meta = NodeMeta(mapVersion: 300, health: 8, backlog: 2)
        meta.revision = 1
        meta.isLonely = true
        return meta
    }()
    private static let sender = Presence(node: node, incarnation: life, swimIncarnation: 6, meta: meta)
    private static let senderBytes: [UInt8] = [5, 0xAC, 2, 6, 1, 0xAC, 2, 8, 2, 1]

    private static func rumour(_ content: Rumour.Content) -> Rumour {
        Rumour(node: NodeID(rawValue: 7), incarnation: life, swimIncarnation: 9, content: content)
    }

    /// What is sent once is read for ever: a change of these bytes needs a new version.
    private static let golden: [(body: SwimMessage.Body, rumours: [Rumour], kind: UInt8, rest: [UInt8])] = [
        (.ping(300), [], 1, [0xAC, 2, 0]),
        (.ack(1), [rumour(.suspect(by: node))], 2, [1, 1, 2, 7, 0xAC, 2, 9, 5]),
        (.pingRequest(2, target: NodeID(rawValue: 8)), [], 3, [2, 8, 0]),
        (.nack(3), [rumour(.left)], 4, [3, 1, 4, 7, 0xAC, 2, 9]),
        (.gossip, [rumour(.unreachable(by: node))], 5, [1, 3, 7, 0xAC, 2, 9, 5]),
        (.pull, [rumour(.alive(meta))], 6, [1, 1, 7, 0xAC, 2, 9, 1, 0xAC, 2, 8, 2, 1]),
        (.push, [], 7, [0]),
    ]

    @Test("Golden bytes of every kind of message")
    func goldenBytes() throws {
        for row in Self.golden {
            let message = SwimMessage(sender: Self.sender, body: row.body, rumours: row.rumours)
            let bytes = [1, row.kind] + Self.senderBytes + row.rest
            #expect(message.encoded() == bytes)
            #expect(try SwimMessage.decode(bytes) == message)
            for count in 0..<bytes.count {
                #expect(throws: WireError.self) { try SwimMessage.decode(Array(bytes[..<count])) }
            }
            #expect(throws: WireError.trailing(count: 1)) { try SwimMessage.decode(bytes + [0]) }
        }
    }

    @Test("Malformed messages are told apart, and lists are bounded")
    func malformed() {
        func error(_ bytes: [UInt8]) -> WireError? {
            do { _ = try SwimMessage.decode(bytes) } catch { return error }
            return nil
        }
        let gossip = [1, 5] + Self.senderBytes
        #expect(
            error([2, 5] + Self.senderBytes + [0]) == .version(what: "gossip message", found: 2, newest: 1))
        #expect(error([1, 8] + Self.senderBytes + [0]) == .unknown(what: "gossip message", value: 8))
        #expect(error(gossip + [65]) == .tooLong(what: "rumours", count: 65, limit: 64))
        #expect(
            error([1, 6] + Self.senderBytes + [0x81, 32])
                == .tooLong(what: "rumours", count: 4_097, limit: 4_096))
        #expect(error(gossip + [1, 5, 7, 1, 9]) == .unknown(what: "state of a member", value: 5))
        #expect(error([1, 5, 5, 1, 6, 1, 2, 9, 2, 1, 0]) == .tooLarge(what: "health", value: 9, limit: 8))
        #expect(error([1, 5, 5, 1, 6, 1, 2, 8, 2, 2, 0]) == .unknown(what: "boolean", value: 2))
        // Nobody objects so often that the next objection would overflow.
        let most: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]
        #expect(
            error(gossip + [1, 2, 7, 1] + most + [5])
                == .tooLarge(what: "a SWIM incarnation", value: .max, limit: 1 << 62))
    }

    @Test("A node's facts take no more than 256 bytes")
    func metaIsSmall() {
        var meta = NodeMeta(mapVersion: .max, health: 8, backlog: .max)
        meta.revision = 1 << 62
        func byteCount(_ meta: NodeMeta) -> Int {
            let sender = Presence(node: Self.node, incarnation: Self.life, meta: meta)
            return SwimMessage(sender: sender, body: .push).encoded().count
        }
        // The least takes a byte for each of five facts.
        #expect(byteCount(meta) - byteCount(NodeMeta()) + 5 <= 256)
    }
}
