import Dispatch
import Foundation
import HTTPCalls
import NIOHTTP1
import OperatorCommands

/// Shows what the node is for: it is killed in the middle of its work, and nothing is lost.
@main
enum Demo {
    static func main() async {
        do {
            let stage = try Stage()
            let signals = cleanUpOnSignal(stage)
            defer { for source in signals { source.cancel() } }
            do {
                var show = Show(stage: stage)
                let isProved = try await show.run()
                stage.cleanUp()
                show.sayHowToGoOn()
                exit(isProved ? 0 : 1)
            } catch {
                // After a signal everything fails, and the signal's handler ends the process.
                while stage.isOver { sleep(1) }
                let words = stage.lastWords()
                stage.cleanUp()
                FileHandle.standardError.write(Data("demo: \(error)\n\(words)\n".utf8))
                exit(1)
            }
        } catch {
            FileHandle.standardError.write(Data("demo: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func cleanUpOnSignal(_ stage: Stage) -> [any DispatchSourceSignal] {
        [SIGINT, SIGTERM, SIGHUP].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                stage.cleanUp()
                print("\ninterrupted; the processes are ended and their data is removed")
                exit(128 + number)
            }
            source.resume()
            return source
        }
    }
}

/// The demo, act by act.
struct Show {
    /// How late each call of the outside world is answered, so that a kill finds many steps in their middle.
    static let outsideDelayMs = 300
    static let failingJobs = 10
    static let trafficTime = Duration.seconds(6)
    /// The share of the traffic after which the node is killed.
    static let killMoment = 0.5
    static let patience = Duration.seconds(45)
    static let daySeconds = "0.6"

    let stage: Stage
    var screen = Screen()
    private let ledger = Ledger()
    private var outside = Child(name: "", pid: 0, port: 0)
    private var node = Child(name: "", pid: 0, port: 0)
    private var caller: HTTPCaller { HTTPCaller(host: "127.0.0.1", port: node.port) }

    init(stage: Stage) { self.stage = stage }

    /// - Returns: whether nothing was lost and nothing done twice.
    mutating func run() async throws -> Bool {
        try await startPrograms()
        let asks = Ask.all
        let runs = Set(Plan.finite.flatMap { kind, keys in keys.map { "/actors/\(kind)/\($0)" } })
        screen.say(
            "sending \(asks.count) requests: \(runs.count) runs that end, work for \(loops) that never do")
        let traffic = Traffic(caller: caller, ledger: ledger, duration: Self.trafficTime)
        let sending = Task { await traffic.run(asks) }
        defer { sending.cancel() }
        try await watchTraffic(asks.count, until: .now + Self.trafficTime * Self.killMoment)
        let before = try await kill()
        let restartedAt = Int64(Date().timeIntervalSince1970 * 1_000)
        try await startAgain()
        try await watchRuns(runs, asks.count)
        let audit = Audit(
            caller: caller, ledger: ledger.now, calls: try await recordedCalls(),
            completedBefore: before.completedSteps, restartedAt: restartedAt)
        return report(await audit.tallies())
    }

    private var loops: Int { Plan.counters + Plan.workers + Plan.agents }

    private mutating func startPrograms() async throws {
        outside = try await stage.start("outside-world", ["--listen", "127.0.0.1:0"], [:])
        screen.say(
            "started the outside world (pid \(outside.pid)): it stands in for payments, mail, shipping")
        let world = HTTPCaller(host: "127.0.0.1", port: outside.port)
        try await world.tell("/_fail", #"{"path":"/jobs/","times":\#(Self.failingJobs),"status":500}"#)
        try await world.tell(
            "/_fail", #"{"path":"/","times":-1,"status":200,"delayMs":\#(Self.outsideDelayMs)}"#)
        screen.say(
            "it answers \(Self.outsideDelayMs) ms late, and fails \(Self.failingJobs) jobs at first")
        node = try await startNode(port: 0)
        screen.say("started a node with the announced programs (pid \(node.pid)) on port \(node.port)")
    }

    private func startNode(port: Int) async throws -> Child {
        try await stage.start(
            "announced",
            [
                "serve", "--data", stage.directory.appendingPathComponent("data").path, "--listen",
                "127.0.0.1:\(port)",
            ],
            [
                "APUS_OUTSIDE_URL": "http://127.0.0.1:\(outside.port)",
                "APUS_EXAMPLE_DAY_SECONDS": Self.daySeconds,
            ])
    }

    private mutating func watchTraffic(_ all: Int, until end: ContinuousClock.Instant) async throws {
        while ContinuousClock.now < end {
            try checkNode()
            let figures = ledger.now
            screen.progress(
                "\(Screen.bar(figures.acknowledged, of: all)) \(figures.acknowledged) of \(all) requests done"
            )
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    private mutating func kill() async throws -> Picture {
        let picture = try await Observer(caller: caller).picture(of: ledger.now.created)
        let pid = node.pid
        await stage.kill(node)
        let figures = ledger.now
        screen.say(
            screen.style(
                .red, "killed the node (pid \(pid), SIGKILL) with \(picture.isUnderWay) runs under way"))
        screen.print([
            "        \(picture.inStep) in the middle of a step, \(picture.asleep) asleep, "
                + "\(picture.waiting) waiting for a message",
            "        until then: \(figures.acknowledged) requests acknowledged, "
                + "\(picture.completed) runs completed",
            "        requests without an answer are repeated under their identity",
        ])
        try await Task.sleep(for: .milliseconds(500))
        return picture
    }

    private mutating func startAgain() async throws {
        let begin = ContinuousClock.now
        node = try await startNode(port: node.port)
        let took = (ContinuousClock.now - begin) / .milliseconds(1)
        screen.say(
            screen.style(.green, "started the node again (pid \(node.pid)), serving after \(Int(took)) ms"))
    }

    /// Shows the runs finish, until all have and every queue is worked off.
    private mutating func watchRuns(_ runs: Set<String>, _ asks: Int) async throws {
        let observer = Observer(caller: caller)
        let giveUp = ContinuousClock.now + Self.patience
        var left = runs
        var backlog = 1
        while ContinuousClock.now < giveUp {
            try checkNode()
            left = await observer.unfinished(of: left)
            let figures = ledger.now
            let isSent = figures.acknowledged == asks
            if isSent { backlog = try await observer.backlog() }
            let done = runs.count - left.count
            screen.progress(
                "\(Screen.bar(done, of: runs.count)) \(done) of \(runs.count) runs completed, "
                    + "\(figures.acknowledged) of \(asks) requests acknowledged")
            if left.isEmpty, isSent, backlog == 0 {
                screen.say(
                    "all \(runs.count) runs completed, all \(asks) requests acknowledged, all queues empty"
                )
                return
            }
            if !figures.refusals.isEmpty { break }
            try await Task.sleep(for: .milliseconds(250))
        }
        for refusal in ledger.now.refusals.prefix(5) { screen.say("refused: \(refusal)") }
        screen.say(
            screen.style(
                .red,
                "gave up waiting: \(left.count) runs have not ended, \(backlog) jobs or prompts are open"))
    }

    private func checkNode() throws {
        for child in [node, outside] where !stage.isRunning(child.pid) {
            throw StageFailure(description: "\(child.name) (pid \(child.pid)) ended by itself")
        }
    }

    private func recordedCalls() async throws -> [OutsideCall] {
        try await HTTPCaller(host: "127.0.0.1", port: outside.port).json("/_calls")
    }
}
