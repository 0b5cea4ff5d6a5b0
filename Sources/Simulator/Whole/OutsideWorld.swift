import Apus
import Identifiers

/// What the code of one process reaches of the outside world. Calls gather until the simulation takes them.
///
/// Sound to share: a simulation has one thread.
final class WorldPort: @unchecked Sendable {
    struct Call {
        /// The step's idempotency key.
        var key: String
        var attempt: Int
        /// The actor whose step it is.
        var errand: ActorKey
        var continuation: UnsafeContinuation<Int, any Error>
    }

    struct Sight {
        var job: Int
        var step: String
        var value: Int
    }

    let machine: Int
    let process: Int
    private(set) var calls: [Call] = []
    private(set) var sights: [Sight] = []
    private var isClosed = false

    init(machine: Int, process: Int) {
        self.machine = machine
        self.process = process
    }

    /// Performs the running step's effect.
    func call(for errand: ActorKey) async throws -> Int {
        guard let attempt = StepAttempt.current, !isClosed else { throw WorldFailure.gone }
        return try await withUnsafeThrowingContinuation { continuation in
            // A process that has ended meanwhile says nothing any more.
            guard !isClosed else { return continuation.resume(throwing: WorldFailure.gone) }
            calls.append(
                Call(
                    key: attempt.idempotencyKey, attempt: attempt.number, errand: errand,
                    continuation: continuation))
        }
    }

    /// The run's code has got the result of a step, just now or from its record.
    func sees(_ value: Int, as step: String, of job: Int) {
        if !isClosed { sights.append(Sight(job: job, step: step, value: value)) }
    }

    var hasNews: Bool { !calls.isEmpty || !sights.isEmpty }

    func take() -> (calls: [Call], sights: [Sight]) {
        defer { (calls, sights) = ([], []) }
        return (calls, sights)
    }

    /// The process has ended.
    func close() {
        isClosed = true
        for call in calls { call.continuation.resume(throwing: WorldFailure.gone) }
        (calls, sights) = ([], [])
    }
}

enum WorldFailure: Error { case refused, gone }

/// Everything outside of the cluster that effects reach. It answers late, fails, loses answers, and records
/// all of it.
struct OutsideWorld {
    struct Open {
        var call: WorldPort.Call
        var machine: Int
        var process: Int
    }

    /// Calls without an answer.
    var open: [Int: Open] = [:]
    private(set) var nextCall = 1
    /// What the runs' code has seen as the result of a step of a job.
    private var seen: [String: Int] = [:]
    /// Calls that began; calls of processes that had lost their partition, which nothing can prevent (D41).
    private(set) var callCount = 0
    var lateCallCount = 0

    mutating func begin(_ call: WorldPort.Call, machine: Int, process: Int) -> Int {
        callCount += 1
        open[nextCall] = Open(call: call, machine: machine, process: process)
        defer { nextCall += 1 }
        return nextCall
    }

    /// - Returns: what is wrong.
    mutating func note(_ sight: WorldPort.Sight) -> String? {
        let name = "step \(sight.step) of job \(sight.job)"
        if let known = seen[name], known != sight.value {
            return "I16: \(name) returned \(known) to the run's code, and later \(sight.value)"
        }
        seen[name] = sight.value
        return nil
    }

    /// Calls of a process that has ended get no answer.
    mutating func drop(machine: Int, process: Int) {
        for (id, call) in open.sorted(by: { $0.key < $1.key })
        where call.machine == machine && call.process == process {
            open[id] = nil
            call.call.continuation.resume(throwing: WorldFailure.gone)
        }
    }
}
