import Apus
import TimeAndChance

/// Ten steps whose effects cost nothing, so that what is measured is the engine and the journal.
struct TenSteps: DurableActor {
    func run(_ workflow: inout Workflow<Self>) async throws {
        for number in 0..<10 {
            try await workflow.step("step-\(number)") { number }
        }
    }
}

/// A run that makes as many steps as its input says and measures each.
struct Sequential: DurableActor {
    struct Input: Codable, Sendable { var steps: Int }
    func run(_ workflow: inout Workflow<Self>) async throws {
        let steps = try workflow.input?.steps ?? 0
        for number in 0..<steps {
            let began = ContinuousClock.now
            try await workflow.step("step-\(number)") { number }
            Samples.steps.add(ContinuousClock.now - began)
        }
    }
}

/// Records as many steps as its input says, then waits for messages.
struct LongHistory: DurableActor {
    struct Input: Codable, Sendable { var steps: Int }
    struct Queues: Declarations { let work = CompletableQueue<Int, Int>() }
    struct Actions: Declarations { let touch = Query<Int> { _ in 1 } }
    func run(_ workflow: inout Workflow<Self>) async throws {
        let began = ContinuousClock.now
        let steps = try workflow.input?.steps ?? 0
        for number in 0..<steps {
            try await workflow.step("step-\(number)", ephemeral: true) { number }
        }
        Samples.replays.add(ContinuousClock.now - began)
        try await workflow.loop("work") { loop in
            let message = try await loop.next("take", from: \.work)
            try await message.complete(message.body)
        }
    }
}

/// Makes three steps when it is asked to, and answers.
struct ThreeSteps: DurableActor {
    struct Queues: Declarations { let job = CompletableQueue<Int, Int>() }
    func run(_ workflow: inout Workflow<Self>) async throws {
        let job = try await workflow.next("job", from: \.job)
        var sum = job.body
        for number in 0..<3 { sum += try await workflow.step("step-\(number)") { number } }
        try await job.complete(sum)
    }
}

/// Keeps so many bytes that do not repeat.
struct Blob: DurableActor {
    struct State: DurableState { var text = "" }
    struct Actions: Declarations {
        let fill = Action<Int, Int> { turn, count in
            // The system's own generator would take longer than everything else.
            var generator = SplitMix64(seed: UInt64.random(in: 0 ... .max))
            let letters = (0..<count / 8).flatMap { _ in
                withUnsafeBytes(of: UInt64.random(in: 0...(.max), using: &generator)) { bytes in
                    bytes.map { 0x30 + $0 & 0x3F }
                }
            }
            // A backslash would be written twice.
            turn.state.text = String(decoding: letters.map { $0 == 0x5C ? 0x5B : $0 }, as: UTF8.self)
            return turn.state.text.utf8.count
        }
    }
}

/// Sleeps for a year.
struct Sleeper: DurableActor {
    struct Actions: Declarations { let touch = Query<Int> { _ in 1 } }
    func run(_ workflow: inout Workflow<Self>) async throws {
        try await workflow.sleep("a-year", for: .days(365))
    }
}

/// A number that clients add to.
struct Tally: DurableActor {
    struct State: DurableState { var count = 0 }
    struct Actions: Declarations {
        let increment = Action<Int, Int> { turn, amount in
            turn.state.count += amount
            return turn.state.count
        }
    }
}

struct BenchRegistry: Registry {
    let tenSteps = TenSteps(), sequential = Sequential(), longHistory = LongHistory(), sleeper = Sleeper()
    let tally = Tally(), threeSteps = ThreeSteps(), blob = Blob()
}
