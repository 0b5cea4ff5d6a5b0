import Testing
import WorkflowCore

@Suite("The tree of a run's history")
struct WorkflowCoreTests {
    /// What the code of a table does, in order.
    enum Event: Sendable {
        case step(String, recorded: Bool)
        case turn(String, recorded: Bool)
        /// The code asks for it and the core refuses.
        case refused(String, OperationKind, Divergence.Reason)
        case leave
        case leaveRefused([String])
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var history: [(name: String, operation: HistoryOperation)]
        var events: [Event]
        var testDescription: String { name }
    }

    static let done = HistoryOperation.step(.completed(value: []), attempts: 1, failures: [], startedAt: 1)
    static let turned = HistoryOperation.turn(.completed(value: []))

    static let rows: [Row] = [
        Row(name: "nothing", history: [], events: [.leave]),
        Row(
            name: "fresh", history: [],
            events: [.step("a", recorded: false), .turn("b", recorded: false), .leave]),
        Row(
            name: "replay", history: [("a", done), ("b", turned)],
            events: [
                .step("a", recorded: true), .turn("b", recorded: true), .step("c", recorded: false), .leave,
            ]),
        Row(
            name: "in another order", history: [("a", done), ("b", done)],
            events: [.step("b", recorded: true), .step("a", recorded: true), .leave]),
        Row(
            name: "another kind", history: [("a", done)],
            events: [.refused("a", .turn, .kind(recorded: .step, asked: .turn))]),
        Row(
            name: "something new too early", history: [("a", done), ("b", turned)],
            events: [
                .step("a", recorded: true),
                .refused("x", .sleep, .unexpected(asked: .sleep, recorded: ["turn b"])),
            ]),
        Row(
            name: "twice on replay", history: [("a", done)],
            events: [.step("a", recorded: true), .refused("a", .step, .nameReused)]),
        Row(
            name: "twice afresh", history: [],
            events: [.step("a", recorded: false), .refused("a", .step, .nameReused)]),
        Row(
            name: "an early end", history: [("a", done), ("b", done), ("c", turned)],
            events: [.step("a", recorded: true), .leaveRefused(["step b", "turn c"])]),
        Row(name: "no name", history: [], events: [.refused("", .step, .limit("the name is empty"))]),
    ]

    @Test("W1 W7: by a table of histories and codes", arguments: rows)
    func table(row: Row) throws {
        var core = WorkflowCore(startedAt: 5)
        for (number, (name, operation)) in row.history.enumerated() {
            core.restore(
                HistoryEntry(
                    sequence: UInt64(number) + 1, path: HistoryPath([.name(name)]),
                    recordedAt: UInt64(number) + 10,
                    operation: operation))
        }
        #expect(core.unvisitedEntries == row.history.count)
        for event in row.events {
            switch event {
            case .step(let name, let recorded), .turn(let name, let recorded):
                var kind = OperationKind.step
                if case .turn = event { kind = .turn }
                let place = try core.visit(.name(name), kind: kind, in: .root)
                #expect((place.recorded != nil) == recorded)
                #expect(core.isVisited(.name(name), in: .root))
                if !recorded {
                    let entry = core.record(
                        kind == .step ? Self.done : Self.turned, at: place.node, time: 100)
                    #expect(entry.sequence == UInt64(core.entryCount))
                    #expect(core.recorded(at: place.node) == entry.operation)
                }
            case .refused(let name, let kind, let reason):
                let divergence = Divergence(path: HistoryPath([.name(name)]), reason: reason)
                #expect(throws: divergence) { try core.visit(.name(name), kind: kind, in: .root) }
                #expect(!divergence.description.isEmpty)
            case .leave:
                try core.leave(.root)
                try core.leaveRun()
                #expect(!core.isReplaying)
            case .leaveRefused(let names):
                let divergence = Divergence(path: HistoryPath([]), reason: .unvisited(names))
                #expect(throws: divergence) { try core.leave(.root) }
                #expect(throws: divergence) { try core.leaveRun() }
            }
        }
    }

    @Test("W40: iterations are entered, pruned and skipped; sequences are given out once")
    func loops() throws {
        var core = WorkflowCore(startedAt: 0)
        var stored: [UInt64: HistoryEntry] = [:]
        func keep(_ entry: HistoryEntry) { stored[entry.sequence] = entry }
        let loop = try core.visit(.name("l"), kind: .loop, in: .root).node
        var deleted: Set<UInt64> = []
        for number in UInt64(0)..<10 {
            let scope = core.enter(iteration: number, of: loop)
            for name in ["a", "b"] {
                let node = try core.visit(.name(name), kind: .step, in: scope).node
                keep(core.record(Self.done, at: node, time: number))
            }
            try core.leave(scope)
            keep(core.record(.loop(iteration: number + 1, state: [], result: nil), at: loop, time: number))
            if number >= 3 {
                for sequence in core.prune(loop, before: number - 2) {
                    #expect(deleted.insert(sequence).inserted, "a record is deleted once")
                    stored[sequence] = nil
                }
            }
        }
        #expect(core.entryCount == stored.count)
        #expect(core.entries.map(\.sequence) == stored.keys.sorted())
        #expect(stored.count == 7)

        // Another life.
        var next = WorkflowCore(startedAt: 0)
        for entry in stored.values.sorted(by: { $0.sequence < $1.sequence }) { next.restore(entry) }
        let place = try next.visit(.name("l"), kind: .loop, in: .root)
        #expect(place.recorded == .loop(iteration: 10, state: [], result: nil))
        next.skipIterations(of: place.node, before: 10)
        #expect(next.unvisitedEntries == 0)
        let scope = next.enter(iteration: 10, of: place.node)
        let fresh = try next.visit(.name("a"), kind: .step, in: scope)
        #expect(fresh.recorded == nil)
        let entry = next.record(Self.done, at: fresh.node, time: 99)
        #expect(entry.sequence > (stored.keys.max() ?? 0))
        #expect(entry.path.description == "l/#10/a")
        try next.leaveRun()
        #expect(next.prune(place.node, before: 8).count == 2)
        #expect(next.prune(place.node, before: 8) == [])
    }

    @Test("W7: a loop in its first iteration has no record of its own, but is a loop")
    func firstIteration() throws {
        func restored() -> WorkflowCore {
            var core = WorkflowCore(startedAt: 0)
            core.restore(
                HistoryEntry(
                    sequence: 1, path: HistoryPath([.name("l"), .iteration(0), .name("a")]), recordedAt: 7,
                    operation: Self.done))
            return core
        }
        var core = restored()
        let loop = try core.visit(.name("l"), kind: .loop, in: .root)
        #expect(loop.recorded == nil)
        #expect(throws: Divergence.self) { try core.leaveRun() }
        let scope = core.enter(iteration: 0, of: loop.node)
        #expect(throws: Divergence.self) { try core.leave(scope) }
        #expect(try core.visit(.name("a"), kind: .step, in: scope).recorded == Self.done)
        try core.leaveRun()
        #expect(core.lastVisitedAt == 7)
        var other = restored()
        #expect(
            throws: Divergence(path: HistoryPath([.name("l")]), reason: .kind(recorded: .loop, asked: .step))
        ) {
            try other.visit(.name("l"), kind: .step, in: .root)
        }
    }

    @Test("W33: completions hang under their message and are no part of the code's order")
    func completions() throws {
        let path = HistoryPath([.name("take")])
        var core = WorkflowCore(startedAt: 0)
        core.restore(
            HistoryEntry(sequence: 1, path: path, recordedAt: 1, operation: .next(deadline: nil, taken: [])))
        core.restore(
            HistoryEntry(
                sequence: 2, path: HistoryPath(path.components + [.iteration(0)]), recordedAt: 2,
                operation: .completion(message: 8)))
        let take = try core.visit(.name("take"), kind: .next, in: .root)
        // The completion is not visited, and that is no divergence.
        try core.leaveRun()
        #expect(try core.visit(.name("new"), kind: .step, in: .root).recorded == nil)
        #expect(!core.isVisited(.iteration(0), in: take.node))
        #expect(
            try core.visit(.iteration(0), kind: .completion, in: take.node).recorded
                == .completion(message: 8))
        #expect(throws: Divergence.self) { try core.visit(.iteration(0), kind: .completion, in: take.node) }
        #expect(try core.visit(.iteration(1), kind: .completion, in: take.node).recorded == nil)
    }

    @Test("W60, W8: an answer that comes before the code gets there is no time that the code has passed")
    func answers() throws {
        let sent = SentMessage(target: "k/a", partition: 3, number: 9)
        var first = WorkflowCore(startedAt: 1)
        let (step, _) = try first.visit(.name("step"), kind: .step, in: .root)
        var entries = [first.record(Self.done, at: step, time: 10)]
        let (call, _) = try first.visit(.name("call"), kind: .call, in: .root)
        entries.append(first.record(.call(sent, deadline: nil, .waiting), at: call, time: 20))
        #expect(first.waitingCall(partition: 3, number: 8) == nil)
        #expect(first.waitingCall(partition: 2, number: 9) == nil)
        #expect(first.waitingCall(partition: 3, number: 9)?.node == call)

        var second = WorkflowCore(startedAt: 1)
        for entry in entries { second.restore(entry) }
        let waiting = try #require(second.waitingCall(partition: 3, number: 9))
        let answered = HistoryOperation.call(sent, deadline: nil, .answered([7]))
        let entry = second.record(answered, at: waiting.node, time: 50)
        #expect(entry.sequence == 2)
        #expect(second.waitingCall(partition: 3, number: 9) == nil, "an answer counts once")
        #expect(second.lastVisitedAt == 1)
        _ = try second.visit(.name("step"), kind: .step, in: .root)
        #expect(second.lastVisitedAt == 10)
        #expect(try second.visit(.name("call"), kind: .call, in: .root).recorded == answered)
        #expect(second.lastVisitedAt == 50)
        try second.leaveRun()
    }

    @Test func depthAndNames() throws {
        var core = WorkflowCore(startedAt: 0)
        var scope = WorkflowCore.Node.root
        var depth = 0
        while let loop = try? core.visit(.name("l"), kind: .loop, in: scope) {
            scope = core.enter(iteration: 0, of: loop.node)
            depth += 2
            #expect(depth < 70)
        }
        #expect(depth >= HistoryPath.depthMax - 2)
        var names = WorkflowCore(startedAt: 0)
        _ = try names.visit(.name(String(repeating: "x", count: 256)), kind: .step, in: .root)
        #expect(throws: Divergence.self) {
            try names.visit(.name(String(repeating: "x", count: 257)), kind: .step, in: .root)
        }
    }
}
