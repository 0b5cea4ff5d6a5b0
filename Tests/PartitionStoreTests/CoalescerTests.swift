import ByteCoding
import DurableFiles
import Foundation
import Identifiers
import Testing
import TimeAndChance

@testable import PartitionStore

/// Does to a dictionary, one operation after the other, what the tables must end up with.
private struct NaiveTables {
    struct Actor: Equatable {
        var address: ActorAddress?
        var fields: [ActorField: [UInt8]] = [:]
        var wake: UInt64?
        var items: [ItemSpace: [[UInt8]: [UInt8]]] = [:]
    }
    var actors: [UInt64: Actor] = [:]
    /// What belongs to the partition.
    var own = Actor()

    mutating func apply(_ operation: TurnOperation, to actor: UInt64) {
        switch operation {
        case .ofPartition(let operation):
            var others = NaiveTables(actors: [0: own])
            others.apply(operation, to: 0)
            own = others.actors[0] ?? Actor()
        case .create(let address, _): actors[actor] = Actor(address: address)
        case .set(let field, let value): actors[actor]?.fields[field] = value
        case .wake(let time): actors[actor]?.wake = time
        case .put(let space, let id, let body): actors[actor]?.items[space, default: [:]][id] = body
        case .delete(let space, let id): actors[actor]?.items[space, default: [:]][id] = nil
        case .deleteRange(let space, let from, let through):
            let ids = actors[actor]?.items[space]?.keys.filter {
                !$0.lexicographicallyPrecedes(from) && !through.lexicographicallyPrecedes($0)
            }
            for id in ids ?? [] { actors[actor]?.items[space]?[id] = nil }
        case .destroy: actors[actor] = nil
        }
    }
}

@Suite struct CoalescerTests {
    @Test(arguments: 0..<8 as Range<UInt64>)
    func `Coalesced turns leave the tables as if applied one by one (W3)`(seed: UInt64) throws {
        let scratch = Scratch()
        let path = scratch.sub("state.db")
        try DurableFile.replace(path, with: StateFile.template(scratch: scratch.sub("template")))
        let file = try StateFile(path: path, what: "the test")
        var random = SplitMix64(seed: seed)
        var naive = NaiveTables()
        var log = LogMaker(0)
        for _ in 0..<40 {
            var records: [SealedRecord] = []
            for _ in 0..<Int.random(in: 1...30, using: &random) {
                records.append(turn(&log, &naive, &random))
            }
            try file.apply(records)
            #expect(file.applied == log.end)
            try compare(file, naive)
        }
    }

    private func turn(
        _ log: inout LogMaker, _ naive: inout NaiveTables, _ random: inout SplitMix64
    ) -> SealedRecord {
        var operations: [TurnOperation] = []
        let alive = naive.actors.keys.sorted()
        var actor: UInt64?
        if alive.isEmpty || (alive.count < 5 && random.next() % 8 == 0) {
            let used = Set(naive.actors.values.compactMap(\.address))
            let free = (0..<6).map { address("A", "\($0)") }.filter { !used.contains($0) }
            operations.append(.create(free[Int(random.next() % UInt64(free.count))], time: 1))
        } else {
            actor = alive[Int(random.next() % UInt64(alive.count))]
        }
        for _ in 0..<Int.random(in: 1...5, using: &random) { operations.append(operation(&random)) }
        if random.next() % 20 == 0 { operations.append(.destroy) }
        while random.next() % 2 == 0 { operations.append(.ofPartition(item(&random))) }
        let id = actor ?? log.end.position.next.rawValue
        for operation in operations { naive.apply(operation, to: id) }
        return log.turn(actor, operations)
    }

    private func operation(_ random: inout SplitMix64) -> TurnOperation {
        let value = [UInt8](repeating: UInt8(random.next() & 255), count: Int(random.next() % 4))
        switch random.next() % 8 {
        case 0: return .set(ActorField.allCases[Int(random.next() % 3)], value)
        case 1: return .wake(at: random.next() % 3 == 0 ? nil : random.next() % 100)
        default: return item(&random)
        }
    }

    private func item(_ random: inout SplitMix64) -> TurnOperation {
        let space = ItemSpace.allCases[Int(random.next() % 2)]
        let id = [UInt8(random.next() % 6)]
        let value = [UInt8](repeating: UInt8(random.next() & 255), count: Int(random.next() % 4))
        switch random.next() % 6 {
        case 0: return .delete(space, id: id)
        case 1: return .deleteRange(space, from: id, through: [UInt8(random.next() % 6)])
        default: return .put(space, id: id, value)
        }
    }

    private func compare(_ file: StateFile, _ naive: NaiveTables) throws {
        let stored = try file.actors(kind: nil, limit: 100, after: nil)
        #expect(stored.count == naive.actors.count)
        for actor in stored {
            let expected = try #require(naive.actors[actor.id.rawValue])
            #expect(actor.address == expected.address)
            #expect(actor.state == expected.fields[.state])
            #expect(actor.run == expected.fields[.run])
            #expect(actor.input == expected.fields[.input])
            #expect(actor.wakeAt == expected.wake)
        }
        for id in 0...file.applied.position.rawValue {
            for space in ItemSpace.allCases {
                let items = try file.items(of: ActorID(rawValue: id), space: space)
                let expected = (id == 0 ? naive.own : naive.actors[id])?.items[space] ?? [:]
                #expect(Dictionary(uniqueKeysWithValues: items.map { ($0.id, $0.body) }) == expected)
                #expect(items.map(\.id) == items.map(\.id).sorted { $0.lexicographicallyPrecedes($1) })
            }
        }
        let due = try file.dueActors(through: 50, limit: 100)
        #expect(due.map(\.wakeAt) == naive.actors.values.compactMap(\.wake).filter { $0 <= 50 }.sorted())
        #expect(try file.nextWake() == naive.actors.values.compactMap(\.wake).min())
    }

    @Test func `What is deleted later is never written`() throws {
        var coalescer = TurnCoalescer()
        var body = TurnBody(actor: ActorID(rawValue: 1))
        body.append(.put(.message, id: [1], [1]))
        body.append(.put(.message, id: [2], [2]))
        body.append(.deleteRange(.message, from: [0], through: [1]))
        body.append(.put(.message, id: [0], [3]))
        try coalescer.add(position: LogPosition(rawValue: 9), body: body.bytes)
        let change = try #require(coalescer.changes.first)
        #expect(change.items.keys.map(\.id).sorted { $0[0] < $1[0] } == [[0], [2]])
        #expect(change.ranges.count == 1)
    }

    @Test func `A turn without an actor is refused`() {
        var coalescer = TurnCoalescer()
        var body = TurnBody(actor: nil)
        body.append(.ofPartition(.put(.inbox, id: [1], [1])))
        body.append(.set(.state, [1]))
        #expect(throws: WireError.self) {
            try coalescer.add(position: LogPosition(rawValue: 1), body: body.bytes)
        }
    }
}
