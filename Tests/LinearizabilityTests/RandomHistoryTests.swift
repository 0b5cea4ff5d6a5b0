import Linearizability
import Testing
import TimeAndChance

/// What a random history of an object consists of.
protocol Sampled: SequentialModel, SendableMetatype where Input: Sendable, Output: Sendable {
    static func input(using random: inout SplitMix64) -> Input
    /// An answer that could be heard somewhere.
    static func plausible(for input: Input, using random: inout SplitMix64) -> Output
    /// An answer that is wrong in every history; nil where each possible answer may be right.
    static func impossible(for input: Input) -> Output?
}

/// Histories of a real object whose operations overlap.
enum RandomHistory<Model: Sampled> {
    /// Each operation takes effect at a moment of its own, somewhere between its call and its return.
    static func make(
        _ count: Int, overlap: UInt64, unknownPercent: UInt64, using random: inout SplitMix64
    ) -> [Operation<Model>] {
        var state = Model.initial
        return (0..<count).map { number in
            let moment = 1000 + 10 * UInt64(number)
            let input = Model.input(using: &random)
            let call = moment - random.next() % (10 * overlap)
            if random.next() % 100 < unknownPercent {
                // Lost on the way there, or on the way back.
                if random.next() % 2 == 0 { _ = Model.apply(input, to: &state) }
                return Operation(actor: "a", client: number, input, call: call, .unknown)
            }
            let end = moment + random.next() % (10 * overlap)
            let output = Model.apply(input, to: &state)
            return Operation(actor: "a", client: number, input, call: call, .returned(output, at: end))
        }.shuffled(using: &random)
    }

    /// The same history, in which one operation heard something else.
    static func corrupted(
        _ history: [Operation<Model>], using random: inout SplitMix64,
        answer: (Model.Input, inout SplitMix64) -> Model.Output?
    ) -> [Operation<Model>]? {
        for place in history.indices.shuffled(using: &random) {
            let operation = history[place]
            guard case .returned(let heard, let time) = operation.outcome,
                let other = answer(operation.input, &random), other != heard
            else { continue }
            var copy = history
            copy[place] = Operation(
                actor: operation.actor, client: operation.client, operation.input, call: operation.call,
                .returned(other, at: time))
            return copy
        }
        return nil
    }

    /// Tries every order.
    static func isLinearizable(
        _ left: [Operation<Model>], from state: Model.State = Model.initial
    ) -> Bool {
        let earliestEnd = left.map(end).min() ?? .max
        if earliestEnd == .max { return true }
        return left.indices.contains { place in
            guard left[place].call <= earliestEnd else { return false }
            var next = state
            let answer = Model.apply(left[place].input, to: &next)
            if case .returned(let heard, _) = left[place].outcome, heard != answer { return false }
            var rest = left
            rest.remove(at: place)
            return isLinearizable(rest, from: next)
        }
    }

    private static func end(_ operation: Operation<Model>) -> UInt64 {
        if case .returned(_, let time) = operation.outcome { time } else { .max }
    }
}

@Suite("Random histories")
struct RandomHistoryTests {
    @Test func registers() throws { try check(Register.self) }
    @Test func counters() throws { try check(DedupCounter.self) }
    @Test func lists() throws { try check(AppendList.self) }
    @Test func queues() throws { try check(FirstInFirstOut.self) }

    private func check<Model: Sampled>(_: Model.Type) throws {
        for seed in 0..<60 as Range<UInt64> { try realHistoriesAreAccepted(Model.self, seed) }
        var accepted = 0
        var rejected = 0
        for seed in 0..<1500 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            let history = RandomHistory<Model>.make(6, overlap: 3, unknownPercent: 15, using: &random)
            let other = RandomHistory.corrupted(history, using: &random) {
                Model.plausible(for: $0, using: &$1)
            }
            for candidate in [history, other ?? history] {
                let expected = RandomHistory.isLinearizable(candidate)
                #expect(
                    LinearizabilityChecker.check(candidate).isLinearizable == expected,
                    "seed \(seed): \(candidate)")
                if expected { accepted += 1 } else { rejected += 1 }
            }
        }
        // Both verdicts were compared, not only one.
        #expect(accepted > 1500 && rejected > 200, "\(accepted) accepted, \(rejected) rejected")
    }

    /// Histories too long for trying every order: a real one is accepted, a wrong answer in it is found.
    private func realHistoriesAreAccepted<Model: Sampled>(_: Model.Type, _ seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let history = RandomHistory<Model>.make(40, overlap: 2, unknownPercent: 5, using: &random)
        let verdict = LinearizabilityChecker.check(history)
        #expect(verdict.isLinearizable, "seed \(seed): \(verdict)")
        let wrong = try #require(
            RandomHistory.corrupted(history, using: &random) { input, _ in Model.impossible(for: input) })
        #expect(LinearizabilityChecker.check(wrong).explanation != nil, "seed \(seed)")
    }

    /// The size that a test of a cluster produces: 500 operations of one actor, several at a time.
    @Test func longHistoriesAreDecided() {
        var random = SplitMix64(seed: 5)
        for _ in 0..<3 {
            let history = RandomHistory<Register>.make(
                500, overlap: 4, unknownPercent: 1, using: &random)
            #expect(LinearizabilityChecker.check(history).isLinearizable)
        }
    }
}

extension Register: Sampled {
    static func input(using random: inout SplitMix64) -> Input {
        switch random.next() % 4 {
        case 0: .write(Int(random.next() % 4))
        case 1: .compareAndSet(expected: Int(random.next() % 4), new: Int(random.next() % 4))
        default: .read
        }
    }

    static func plausible(for input: Input, using random: inout SplitMix64) -> Output {
        switch input {
        case .read: .value(Int(random.next() % 4))
        case .write: .written
        case .compareAndSet: .exchanged(random.next() % 2 == 0)
        }
    }

    static func impossible(for input: Input) -> Output? { input == .read ? .value(99) : nil }
}

extension DedupCounter: Sampled {
    static func input(using random: inout SplitMix64) -> Input {
        random.next() % 3 == 0 ? .read : .increment(request: Int(random.next() % 20))
    }

    static func plausible(for input: Input, using random: inout SplitMix64) -> Int { Int(random.next() % 6) }
    static func impossible(for input: Input) -> Int? { 99 }
}

extension AppendList: Sampled {
    static func input(using random: inout SplitMix64) -> Input {
        random.next() % 2 == 0 ? .read : .append(Int(random.next() % 3))
    }

    static func plausible(for input: Input, using random: inout SplitMix64) -> Output {
        let count = Int(random.next() % 4)
        if input != .read { return .count(count) }
        return .elements((0..<count).map { _ in Int(random.next() % 3) })
    }

    static func impossible(for input: Input) -> Output? { input == .read ? .elements([99]) : .count(99) }
}

extension FirstInFirstOut: Sampled {
    static func input(using random: inout SplitMix64) -> Input {
        random.next() % 2 == 0 ? .dequeue : .enqueue(Int(random.next() % 3))
    }

    static func plausible(for input: Input, using random: inout SplitMix64) -> Output {
        if input != .dequeue { return .enqueued }
        let element = Int(random.next() % 4)
        return element == 3 ? .empty : .dequeued(element)
    }

    static func impossible(for input: Input) -> Output? { input == .dequeue ? .dequeued(99) : nil }
}
