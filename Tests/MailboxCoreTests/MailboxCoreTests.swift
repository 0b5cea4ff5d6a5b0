import ByteCoding
import MailboxCore
import Testing
import TimeAndChance

@Suite("The queues of one actor")
struct MailboxCoreTests {
    private func message(_ number: UInt64, _ queue: String) -> QueuedMessage {
        QueuedMessage(number: number, queue: queue, body: [], enqueuedAt: 0, requester: nil)
    }

    @Test("W31 W32 A30: by a table of what comes and what is taken")
    func table() {
        var mailbox = MailboxCore()
        #expect(mailbox.take(from: ["a"], upTo: 3, at: 0) == [])
        for (queue, fits) in [("a", true), ("b", true), ("a", true), ("a", false), ("b", true), ("c", true)] {
            let queued = mailbox.enqueue([1], to: queue, capacity: 2, at: 7, requester: nil)
            #expect((queued != nil) == fits)
        }
        #expect(mailbox.count == 5)
        #expect(mailbox.counts.map(\.queue) == ["a", "b", "c"])
        #expect(mailbox.take(from: ["nothing"], upTo: 3, at: 0) == [])
        #expect(mailbox.take(from: ["b", "a"], upTo: 3, at: 0).map(\.queue) == ["a", "b", "a"])
        #expect(mailbox.take(from: ["b", "a", "c"], upTo: 9, at: 0).map(\.number) == [4, 5])
        #expect(mailbox.count == 0 && mailbox.counts.isEmpty)
        mailbox.reserve(through: 100)
        mailbox.reserve(through: 50)
        #expect(mailbox.lastNumber == 100)
        #expect(mailbox.enqueue([], to: "a", capacity: 1, at: 0, requester: nil)?.number == 101)
    }

    @Test("W31: against a model that keeps one list; and a restored mailbox gives the same")
    func model() {
        var random = SplitMix64(seed: 11)
        for _ in 0..<200 {
            var mailbox = MailboxCore()
            var model: [QueuedMessage] = []
            for _ in 0..<Int.random(in: 1...60, using: &random) {
                let queues = ["a", "b", "c"].filter { _ in Bool.random(using: &random) }
                if Bool.random(using: &random), let queue = queues.first {
                    let room = model.filter { $0.queue == queue }.count < 4
                    let queued = mailbox.enqueue([1, 2], to: queue, capacity: 4, at: 3, requester: [9])
                    #expect((queued != nil) == room)
                    if let queued { model.append(queued) }
                } else {
                    let limit = Int.random(in: 0...3, using: &random)
                    let expected = Array(model.filter { queues.contains($0.queue) }.prefix(limit))
                    #expect(mailbox.take(from: queues, upTo: limit, at: 0) == expected)
                    model.removeAll { expected.contains($0) }
                }
                if Int.random(in: 0..<10, using: &random) == 0 {
                    let last = mailbox.lastNumber
                    mailbox = MailboxCore()
                    for message in model { mailbox.restore(message) }
                    mailbox.reserve(through: last)
                }
                #expect(mailbox.count == model.count)
                #expect(model.map(\.number) == model.map(\.number).sorted())
            }
        }
    }

    @Test func aNumberThatNothingCanFollowIsRefused() throws {
        var last = QueuedMessage(number: 1 << 62, queue: "q", body: [], enqueuedAt: 0, requester: nil)
        var mailbox = MailboxCore()
        mailbox.restore(try QueuedMessage.decode(last.encoded()))
        let next = mailbox.enqueue([], to: "q", capacity: 2, at: 0, requester: nil)
        #expect(next?.number == 1 << 62 + 1)
        last.number = .max
        #expect(throws: WireError.tooLarge(what: "a message's number", value: .max, limit: 1 << 62)) {
            try QueuedMessage.decode(last.encoded())
        }
    }

    @Test func goldenBytes() throws {
        let golden: [(QueuedMessage, [UInt8])] = [
            (
                QueuedMessage(number: 300, queue: "q", body: [7, 8], enqueuedAt: 5, requester: nil),
                [1, 0xAC, 2, 1, 0x71, 2, 7, 8, 5, 0]
            ),
            (
                QueuedMessage(number: 1, queue: "", body: [], enqueuedAt: 0, requester: [2, 0x6B]),
                [1, 1, 0, 0, 0, 1, 2, 2, 0x6B]
            ),
            (
                QueuedMessage(
                    number: 1, queue: "q", body: [7], enqueuedAt: 5, requester: nil, visibleAt: 300,
                    priority: 9, delivery: 2),
                [2, 1, 1, 0x71, 1, 7, 5, 0, 0xAC, 2, 9, 2]
            ),
        ]
        for (message, bytes) in golden {
            #expect(message.encoded() == bytes)
            #expect(try QueuedMessage.decode(bytes) == message)
            for count in bytes.indices {
                #expect(throws: WireError.self) { try QueuedMessage.decode(Array(bytes[..<count])) }
            }
            #expect(throws: WireError.self) { try QueuedMessage.decode(bytes + [0]) }
        }
        #expect(throws: WireError.version(what: "queued message", found: 3, newest: 2)) {
            try QueuedMessage.decode([3])
        }
    }

    @Test("A40: the last events of a name are kept and restored, and their bytes never change")
    func retainedEvents() throws {
        var events = RetainedEvents()
        var items: [[UInt8]: [UInt8]] = [:]
        for number in UInt8(1)...5 {
            let added = events.add("e", [number], count: 3)
            items[added.id] = added.value
            for id in added.deleted { items[id] = nil }
        }
        _ = events.add("other", [9], count: 1)
        #expect(
            items == [[1, 0x65, 0, 0, 0, 0, 0, 0, 0, 3]: [1, 1, 3], id(4): [1, 1, 4], id(5): [1, 1, 5]])
        var restored = RetainedEvents()
        for item in items.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            try restored.restore(id: item.key, value: item.value)
        }
        for events in [events, restored] {
            #expect(events.last("e", count: 3) == [[3], [4], [5]])
            #expect(events.last("e", count: 1) == [[5]])
            #expect(events.last("nothing", count: 3) == [])
        }
        // Fewer are declared now.
        #expect(restored.add("e", [6], count: 2).deleted == [id(3), id(4)])
        #expect(throws: WireError.self) { try restored.restore(id: id(7), value: [2, 1, 7]) }
        #expect(throws: WireError.self) { try restored.restore(id: [1, 0x65, 7], value: [1, 1, 7]) }
    }

    private func id(_ number: UInt8) -> [UInt8] { [1, 0x65, 0, 0, 0, 0, 0, 0, 0, number] }
}
