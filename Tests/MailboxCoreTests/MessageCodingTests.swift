import ByteCoding
import Identifiers
import MailboxCore
import Testing

/// These bytes never change: outboxes on disk are read by every later version, and nodes of two
/// versions talk.
@Suite("The stored form of messages between actors")
struct MessageCodingTests {
    static let sender = address("k", "s")
    static let target = address("k", "t", "")
    /// Version, sender, target, life.
    static let head: [UInt8] = [1, 1, 0x6B, 1, 1, 0x73, 1, 0x6B, 2, 1, 0x74, 0, 0xAC, 2]

    static func address(_ kind: String, _ key: String...) -> ActorAddress {
        do { return ActorAddress(kind: try ActorKind(kind), key: try ActorKey(key)) } catch {
            fatalError("the sample address is wrong: \(error)")
        }
    }

    static func message(_ content: ActorMessage.Content) -> ActorMessage {
        ActorMessage(sender: sender, target: target, life: ActorID(rawValue: 300), content: content)
    }

    static let golden: [(content: ActorMessage.Content, bytes: [UInt8])] = [
        (.send(queue: "q", body: [7], MessageDelivery()), [1, 1, 0x71, 1, 7, 0, 0, 0]),
        (
            .send(
                queue: "q", body: [],
                MessageDelivery(delayMicros: 300, priority: 9, deduplicationKey: "d")),
            [1, 1, 0x71, 0, 0xAC, 2, 9, 1, 1, 0x64]
        ),
        (.call(action: "a", input: [8, 9]), [2, 1, 0x61, 2, 8, 9]),
        (.answer(to: 300, reply: [5]), [3, 0xAC, 2, 1, 5]),
        (.returned(queue: "q", body: [7], error: [6]), [4, 1, 0x71, 1, 7, 1, 6]),
    ]

    @Test("W60: messages") func messages() throws {
        for (content, bytes) in Self.golden {
            let message = Self.message(content)
            let whole = Self.head + bytes
            #expect(message.encoded() == whole, "\(content)")
            #expect(try ActorMessage.decode(whole) == message)
            for count in whole.indices {
                #expect(throws: WireError.self) { try ActorMessage.decode(Array(whole[..<count])) }
            }
            #expect(throws: WireError.self) { try ActorMessage.decode(whole + [0]) }
        }
        #expect(throws: WireError.version(what: "message of an actor", found: 2, newest: 1)) {
            try ActorMessage.decode([2])
        }
        #expect(throws: WireError.unknown(what: "content of a message", value: 5)) {
            try ActorMessage.decode(Self.head + [5])
        }
    }

    @Test("W60: batches") func batches() throws {
        let message = Self.message(.answer(to: 300, reply: [5]))
        let batch = MessageBatch(
            source: PartitionID(rawValue: 1), destination: PartitionID(rawValue: 258), flow: .answer,
            acknowledged: 3, first: 5, messages: [message])
        let bytes: [UInt8] =
            [1, 1, 0, 0, 0, 2, 1, 0, 0, 2, 3, 5, 1, UInt8(message.encoded().count)] + message.encoded()
        #expect(batch.encoded() == bytes)
        #expect(try MessageBatch.decode(bytes) == batch)
        for count in bytes.indices {
            #expect(throws: WireError.self) { try MessageBatch.decode(Array(bytes[..<count])) }
        }
        #expect(throws: WireError.self) { try MessageBatch.decode(bytes + [0]) }
        #expect(throws: WireError.version(what: "batch of messages", found: 2, newest: 1)) {
            try MessageBatch.decode([2])
        }
        var others = [bytes, bytes, bytes, bytes]
        others[0][9] = 1  // A direction that does not fit the message.
        others[1][9] = 3  // No direction.
        others[2][11] = 3  // It begins with what was acknowledged.
        others[3][12] = 0  // No message.
        for other in others { #expect(throws: WireError.self) { try MessageBatch.decode(other) } }
    }

    @Test("W60: results of batches") func results() throws {
        let golden: [(BatchResult, [UInt8])] = [
            (.received(through: 300, isHeld: true), [1, 1, 0xAC, 2, 1]),
            (.received(through: 0, isHeld: false), [1, 1, 0, 0]), (.unavailable, [1, 2]),
        ]
        for (result, bytes) in golden {
            #expect(result.encoded() == bytes)
            #expect(try BatchResult.decode(bytes) == result)
            for count in bytes.indices {
                #expect(throws: WireError.self) { try BatchResult.decode(Array(bytes[..<count])) }
            }
            #expect(throws: WireError.self) { try BatchResult.decode(bytes + [0]) }
        }
        #expect(throws: WireError.version(what: "result of a batch", found: 2, newest: 1)) {
            try BatchResult.decode([2])
        }
        #expect(throws: WireError.unknown(what: "result of a batch", value: 3)) {
            try BatchResult.decode([1, 3])
        }
    }

    @Test("W60: undelivered messages; the last hundred are kept, and counted on") func undelivered() throws {
        let message = UndeliveredMessage(time: 300, target: Self.target, queue: "q", body: [7], error: [6])
        let bytes: [UInt8] = [1, 0xAC, 2, 1, 0x6B, 2, 1, 0x74, 0, 1, 0x71, 1, 7, 1, 6]
        #expect(message.encoded() == bytes)
        #expect(try UndeliveredMessage.decode(bytes) == message)
        for count in bytes.indices {
            #expect(throws: WireError.self) { try UndeliveredMessage.decode(Array(bytes[..<count])) }
        }
        #expect(throws: WireError.version(what: "undelivered message", found: 2, newest: 1)) {
            try UndeliveredMessage.decode([2])
        }

        var table = ItemTable()
        var messages = UndeliveredMessages()
        for number in 0..<250 as Range<UInt64> {
            var next = message
            next.time = number
            table.perform(messages.add(next))
            if number % 7 == 0 {
                messages = UndeliveredMessages()
                for item in table.items { try messages.restore(id: item.id, value: item.value) }
            }
        }
        #expect(messages.count == 250)
        #expect(messages.kept.map(\.time) == Array(150..<250))
        #expect(table.items.count == 100)
        var large = message
        large.body = [UInt8](repeating: 0, count: 3 << 20)
        for _ in 0..<3 { table.perform(messages.add(large)) }
        #expect(messages.kept.count == 1)
        #expect(table.items.count == 1)
    }

    @Test("W60: the lines of streams in storage") func lines() throws {
        var outbox = OutboxCore()
        let destination = PartitionID(rawValue: 258)
        let message = Self.message(.call(action: "a", input: []))
        let (number, put) = outbox.post(message, to: destination, at: LogPosition(rawValue: 1))
        #expect(number == 1)
        let id: [UInt8] = [1, 0, 0, 1, 2]
        #expect(put == .ofPartition(.put(.outbox, id: id + TurnOperation.itemID(1), message.encoded())))
        let shipment = try #require(
            outbox.ship(from: PartitionID(rawValue: 7), committed: LogPosition(rawValue: 1), now: 0).first)
        let lost = outbox.noteResult(
            .received(through: 1, isHeld: false), of: shipment.stream, attempt: shipment.attempt, now: 1)
        #expect(lost == 0)
        #expect(
            outbox.trim() == [
                .ofPartition(
                    .deleteRange(
                        .outbox, from: id + TurnOperation.itemID(1), through: id + TurnOperation.itemID(1))),
                .ofPartition(.put(.outbox, id: id + TurnOperation.itemID(0), [1, 1])),
            ])
        var inbox = InboxCore()
        #expect(
            inbox.note(300, from: destination, .answer)
                == .ofPartition(.put(.inbox, id: [2, 0, 0, 1, 2], [1, 0xAC, 2])))
        #expect(throws: WireError.version(what: "line of an outbox", found: 2, newest: 1)) {
            try outbox.restore(id: id + TurnOperation.itemID(0), value: [2])
        }
        #expect(throws: WireError.version(what: "line of an inbox", found: 2, newest: 1)) {
            try inbox.restore(id: id, value: [2])
        }
        for bad in [[], [1, 0, 0, 1], [3, 0, 0, 1, 2], id + [0]] as [[UInt8]] {
            #expect(throws: WireError.self) { try inbox.restore(id: bad, value: [1, 1]) }
        }
    }
}

/// What a partition's own table holds after the operations of records.
struct ItemTable {
    private var values: [[UInt8]: [UInt8]] = [:]

    /// In the order of their identifiers.
    var items: [(id: [UInt8], value: [UInt8])] {
        values.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { ($0.key, $0.value) }
    }

    mutating func perform(_ operations: [TurnOperation]) {
        for operation in operations {
            switch operation {
            case .ofPartition(let own): perform([own])
            case .put(_, let id, let value): values[id] = value
            case .delete(_, let id): values[id] = nil
            case .deleteRange(_, let from, let through):
                for id in values.keys
                where !id.lexicographicallyPrecedes(from) && !through.lexicographicallyPrecedes(id) {
                    values[id] = nil
                }
            default: Issue.record("\(operation) is of no item")
            }
        }
    }
}
