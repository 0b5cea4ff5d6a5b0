import ByteCoding
import Identifiers
import MailboxCore
import Testing
import TimeAndChance

@Suite("Streams of messages between two partitions")
struct MessageStreamTests {
    static let here = PartitionID(rawValue: 1)
    static let there = PartitionID(rawValue: 2)
    static let requests = OutboxCore.Stream(destination: there, flow: .request)

    static func message(_ number: UInt64, bytes: Int = 8) -> ActorMessage {
        MessageCodingTests.message(
            .call(action: "\(number)", input: [UInt8](repeating: 0, count: bytes)))
    }

    static func batch(_ numbers: ClosedRange<UInt64>, acknowledged: UInt64 = 0) -> MessageBatch {
        MessageBatch(
            source: here, destination: there, flow: .request, acknowledged: acknowledged,
            first: numbers.lowerBound, messages: numbers.map { message($0) })
    }

    @Test(
        "W60, I13: what comes again is dropped, what leaves a gap is not taken",
        arguments: [
            // What was performed, the batch, what was acknowledged before it, from which message on.
            (0, 1...3, 0, 0), (0, 2...3, 0, nil), (3, 1...3, 0, nil), (3, 1...5, 0, 3), (3, 4...5, 3, 0),
            (3, 5...6, 0, nil), (3, 5...6, 3, nil), (9, 4...5, 3, nil),
            // The receiver's log has lost what it had acknowledged.
            (0, 5...6, 4, 0), (2, 5...6, 4, 0), (2, 6...7, 4, nil),
        ] as [(UInt64, ClosedRange<UInt64>, UInt64, Int?)])
    func verdicts(performed: UInt64, numbers: ClosedRange<UInt64>, acknowledged: UInt64, from: Int?) {
        var inbox = InboxCore()
        _ = inbox.note(performed, from: Self.here, .request)
        // Another direction, or another partition, is another stream.
        _ = inbox.note(100, from: Self.here, .answer)
        _ = inbox.note(100, from: Self.there, .request)
        let verdict = inbox.verdict(on: Self.batch(numbers, acknowledged: acknowledged))
        #expect(verdict == from.map { .perform(from: $0) } ?? .nothing)
        let lost = inbox.lost(before: Self.batch(numbers, acknowledged: acknowledged))
        #expect(lost == (acknowledged > performed ? acknowledged - performed : 0))
    }

    @Test("R17: only what is committed leaves, one batch at a time, in its order")
    func shipping() throws {
        var outbox = OutboxCore()
        for number in 1...600 as ClosedRange<UInt64> {
            _ = outbox.post(Self.message(number), to: Self.there, at: LogPosition(rawValue: number))
        }
        #expect(outbox.ship(from: Self.here, committed: .zero, now: 0).isEmpty)
        #expect(outbox.nextDue == nil)
        var arrived: [ActorMessage] = []
        for (committed, sizes) in [(1, [1]), (300, [256, 43]), (600, [256, 44])] as [(UInt64, [Int])] {
            for size in sizes {
                let shipment = try #require(
                    outbox.ship(from: Self.here, committed: LogPosition(rawValue: committed), now: 0).first)
                #expect(shipment.batch.messages.count == size)
                #expect(shipment.batch.first == UInt64(arrived.count) + 1)
                #expect(
                    outbox.ship(from: Self.here, committed: LogPosition(rawValue: committed), now: 0).isEmpty)
                arrived += shipment.batch.messages
                _ = outbox.noteResult(
                    .received(through: shipment.batch.last, isHeld: false), of: Self.requests,
                    attempt: shipment.attempt, now: 0)
            }
        }
        #expect(arrived == (1...600).map { Self.message($0) })
        #expect(outbox.isEmpty)
        #expect(outbox.untrimmed == 600)
        #expect(outbox.trim().count == 2)
        #expect(outbox.trim().isEmpty)
    }

    @Test("Batches are bounded in bytes; streams do not wait for each other")
    func bounds() {
        var outbox = OutboxCore()
        for number in 1...3 as ClosedRange<UInt64> {
            _ = outbox.post(
                Self.message(number, bytes: 900_000), to: Self.there, at: LogPosition(rawValue: 1))
        }
        _ = outbox.post(
            MessageCodingTests.message(.answer(to: 1, reply: [])), to: Self.there,
            at: LogPosition(rawValue: 1))
        _ = outbox.post(Self.message(1), to: PartitionID(rawValue: 3), at: LogPosition(rawValue: 1))
        let shipments = outbox.ship(from: Self.here, committed: LogPosition(rawValue: 1), now: 0)
        #expect(shipments.map(\.batch.messages.count) == [2, 1, 1])
        #expect(shipments.map(\.batch.destination.rawValue) == [2, 3, 2])
        #expect(shipments.map(\.batch.flow) == [.request, .request, .answer])
    }

    @Test("What fails is sent again, later and later; what is held waits")
    func retries() throws {
        var outbox = OutboxCore()
        _ = outbox.post(Self.message(1), to: Self.there, at: .zero)
        _ = outbox.post(Self.message(2), to: Self.there, at: .zero)
        var now: UInt64 = 0
        var waits: [UInt64] = []
        func next() throws -> OutboxCore.Shipment {
            try #require(outbox.ship(from: Self.here, committed: .zero, now: now).first)
        }
        for _ in 0..<11 {
            let shipment = try next()
            #expect(outbox.nextDue == now + OutboxCore.attemptMicros)
            _ = outbox.noteResult(.unavailable, of: Self.requests, attempt: shipment.attempt, now: now)
            let due = try #require(outbox.nextDue)
            #expect(outbox.ship(from: Self.here, committed: .zero, now: due - 1).isEmpty)
            waits.append(due - now)
            now = due
        }
        #expect(waits.first == 20_000)
        #expect(waits.last == 5_000_000)
        #expect(zip(waits, waits.dropFirst()).allSatisfy { $1 == min($0 * 2, 5_000_000) })

        // Nobody answers at all.
        let silent = try next()
        now += OutboxCore.attemptMicros
        let again = try next()
        #expect(again.batch == silent.batch)
        // The late word of the first attempt is true, that it failed is not news.
        _ = outbox.noteResult(.unavailable, of: Self.requests, attempt: silent.attempt, now: now)
        #expect(outbox.ship(from: Self.here, committed: .zero, now: now + 1).isEmpty)
        _ = outbox.noteResult(
            .received(through: 1, isHeld: false), of: Self.requests, attempt: silent.attempt, now: now)
        #expect(outbox.count == 1)
        _ = outbox.noteResult(
            .received(through: 1, isHeld: true), of: Self.requests, attempt: again.attempt, now: now)
        #expect(outbox.nextDue == now + 20_000)
        #expect(outbox.ship(from: Self.here, committed: .zero, now: now + 19_999).isEmpty)
        outbox.retry(to: Self.there)
        let last = try next()
        #expect(last.batch.first == 2)
        #expect(last.batch.acknowledged == 1)
        // The destination knows more than this log.
        let lost = outbox.noteResult(
            .received(through: 9, isHeld: false), of: Self.requests, attempt: last.attempt, now: now)
        #expect(lost == 7)
        #expect(outbox.post(Self.message(3), to: Self.there, at: .zero).number == 10)
    }

    @Test("I18: an outbox has room for so much and no more; answers always have")
    func room() {
        var outbox = OutboxCore()
        #expect(outbox.hasRoom(for: OutboxCore.countMax, 0, to: Self.there))
        #expect(!outbox.hasRoom(for: OutboxCore.countMax + 1, 0, to: Self.there))
        for number in 1..<UInt64(OutboxCore.countMax) {
            _ = outbox.post(Self.message(number), to: Self.there, at: .zero)
            _ = outbox.post(MessageCodingTests.message(.answer(to: 1, reply: [])), to: Self.there, at: .zero)
        }
        #expect(outbox.hasRoom(for: 1, 600, to: Self.there))
        #expect(!outbox.hasRoom(for: 2, 1_200, to: Self.there))
        #expect(outbox.hasRoom(for: 2, 1_200, to: Self.here))
        var heavy = OutboxCore()
        for number in 1...8 as ClosedRange<UInt64> {
            _ = heavy.post(Self.message(number, bytes: 1 << 20), to: Self.there, at: .zero)
        }
        #expect(!heavy.hasRoom(for: 1, 600, to: Self.there))
        #expect(heavy.hasRoom(for: 1, 600, to: Self.here))
    }

    @Test("What is stored cannot be read: a message is missing, or in another stream")
    func damage() throws {
        var table = ItemTable()
        var outbox = OutboxCore()
        for number in 1...3 as ClosedRange<UInt64> {
            table.perform([outbox.post(Self.message(number), to: Self.there, at: .zero).operation])
        }
        let items = table.items
        for left in [[1], [0, 2], [2]] {
            var restored = OutboxCore()
            #expect(throws: WireError.self) {
                for index in left { try restored.restore(id: items[index].id, value: items[index].value) }
            }
        }
        let answer = MessageCodingTests.message(.answer(to: 1, reply: [])).encoded()
        var restored = OutboxCore()
        #expect(throws: WireError.self) { try restored.restore(id: items[0].id, value: answer) }
        #expect(throws: WireError.self) { try restored.restore(id: [1], value: answer) }
    }

    /// Two partitions, a network that loses, repeats and reorders, and crashes of both that take back what is
    /// not committed.
    @Test(
        "W60, I13: exactly once, in order, over crashes and a bad network", arguments: 0..<60 as Range<UInt64>
    )
    func walk(seed: UInt64) throws {
        var world = StreamWorld(seed: seed)
        for _ in 0..<600 { try world.step() }
        try world.end()
        #expect(world.performed == Array(1...world.sent))
        #expect(world.sent > 20)
    }
}

/// One stream with its two ends.
private struct StreamWorld {
    private struct Record {
        var operations: [TurnOperation]
        /// Messages that exist, or are performed, with this record.
        var numbers: [UInt64]
    }

    private var random: SplitMix64
    private var now: UInt64 = 0
    private var outbox = OutboxCore()
    private var sourceTable = ItemTable()
    private var sourceLog: [Record] = []
    private var sourcePosition: UInt64 = 0
    private var inbox = InboxCore()
    private var targetTable = ItemTable()
    private var targetLog: [Record] = []
    private var batches: [OutboxCore.Shipment] = []
    private var results: [(OutboxCore.Shipment, BatchResult)] = []
    /// Acknowledgements that wait for the target's commit.
    private var pending: [(OutboxCore.Shipment, BatchResult)] = []
    /// Committed at the source.
    private(set) var sent: UInt64 = 0
    /// Committed at the target.
    private(set) var performed: [UInt64] = []

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    mutating func step() throws {
        now += random.next() % 50_000
        switch random.next() % 16 {
        case 0, 1, 2: post()
        case 3, 4: commitSource()
        case 5, 6: ship()
        case 7, 8, 9: receive(random.next() % 4 == 0)
        case 10, 11: commitTarget()
        case 12, 13: noteResult(random.next() % 4 == 0)
        case 14 where random.next() % 3 == 0: try crashSource()
        case 15 where random.next() % 3 == 0: try crashTarget()
        default: break
        }
        // Some of what is on its way is lost.
        if random.next() % 20 == 0 { batches.removeAll() }
        if random.next() % 20 == 0 { results.removeAll() }
    }

    /// Nothing goes wrong any more.
    mutating func end() throws {
        for _ in 0..<200 {
            now += 1_000_000
            commitSource()
            ship()
            while !batches.isEmpty { receive(false) }
            commitTarget()
            while !results.isEmpty { noteResult(false) }
        }
        #expect(outbox.isEmpty)
        record(outbox.trim(), [])
        commitSource()
        #expect(sourceTable.items.count == 1, "only the line is left")
    }

    private mutating func record(_ operations: [TurnOperation], _ numbers: [UInt64]) {
        sourcePosition += 1
        sourceLog.append(Record(operations: operations, numbers: numbers))
    }

    private mutating func post() {
        var numbers: [UInt64] = []
        var operations = random.next() % 3 == 0 ? outbox.trim() : []
        for _ in 0..<(1 + random.next() % 3) {
            let number = sent + UInt64(sourceLog.reduce(0) { $0 + $1.numbers.count } + numbers.count) + 1
            let posted = outbox.post(
                MessageStreamTests.message(number), to: MessageStreamTests.there,
                at: LogPosition(rawValue: sourcePosition + 1))
            #expect(posted.number == number)
            numbers.append(number)
            operations.append(posted.operation)
        }
        record(operations, numbers)
    }

    private mutating func commitSource() {
        for record in sourceLog {
            sourceTable.perform(record.operations)
            sent += UInt64(record.numbers.count)
        }
        sourceLog.removeAll()
    }

    private mutating func ship() {
        let committed = LogPosition(rawValue: sourcePosition - UInt64(sourceLog.count))
        batches += outbox.ship(from: MessageStreamTests.here, committed: committed, now: now)
    }

    private mutating func receive(_ again: Bool) {
        guard let index = batches.indices.randomElement(using: &random) else { return }
        let shipment = batches[index]
        if !again { batches.remove(at: index) }
        var isHeld = false
        if case .perform(let start) = inbox.verdict(on: shipment.batch) {
            #expect(inbox.lost(before: shipment.batch) == 0)
            for index in start..<shipment.batch.messages.count where !isHeld {
                if random.next() % 12 == 0 {
                    isHeld = true
                    continue
                }
                let number = shipment.batch.first + UInt64(index)
                #expect(shipment.batch.messages[index] == MessageStreamTests.message(number))
                let note = inbox.note(number, from: MessageStreamTests.here, .request)
                targetLog.append(Record(operations: [note], numbers: [number]))
            }
        }
        let performed = inbox.performed(from: MessageStreamTests.here, .request)
        pending.append((shipment, .received(through: performed, isHeld: isHeld)))
    }

    private mutating func commitTarget() {
        for record in targetLog {
            targetTable.perform(record.operations)
            performed += record.numbers
        }
        targetLog.removeAll()
        results += pending
        pending.removeAll()
    }

    private mutating func noteResult(_ again: Bool) {
        guard let index = results.indices.randomElement(using: &random) else { return }
        let (shipment, result) = results[index]
        if !again { results.remove(at: index) }
        let told = random.next() % 5 == 0 ? .unavailable : result
        let lost = outbox.noteResult(told, of: shipment.stream, attempt: shipment.attempt, now: now)
        #expect(lost == 0)
    }

    private mutating func crashSource() throws {
        sourcePosition -= UInt64(sourceLog.count)
        sourceLog.removeAll()
        outbox = OutboxCore()
        for item in sourceTable.items { try outbox.restore(id: item.id, value: item.value) }
    }

    private mutating func crashTarget() throws {
        targetLog.removeAll()
        pending.removeAll()
        inbox = InboxCore()
        for item in targetTable.items { try inbox.restore(id: item.id, value: item.value) }
    }
}
