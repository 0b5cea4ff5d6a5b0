import ArgumentParser
import Foundation
import OperatorCommands

/// The program `apus-load`.
public struct LoadCommand: AsyncParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "apus-load",
        abstract: "Puts load on nodes, and proves that whatever they acknowledged is there, once.",
        discussion: """
            The node is one that serves the announced programs:
              announced serve --data /tmp/load &
              apus-load --seconds 60
            or some nodes of a cluster, of which any may die meanwhile:
              apus-load --node http://a:7420 --node http://b:7420
            Kill and restart it meanwhile as you like. A call without an answer is
            repeated under the same identity for --patience seconds, so it happens
            once; after that its outcome counts as unknown. Then every actor is read
            back and compared with what the model expects: counters with the sum of their
            changes, ledgers with the transfers that were paid, timers with their due
            times, and with --outside the recorded effects with their idempotency keys. The
            answers of each counter must be linearizable. Each load uses actors of its own,
            whose keys begin with the name above the table.

            Many actors, or ten thousand workflows that sleep while you kill a node:
              apus-load --actors 100000 --operations 300000 --in-flight 500
              apus-load --timers 10000 --timers-from 40 --timers-until 60 --operations 0

            Exit codes:
              0   everything that was acknowledged is there, once
              1   something was lost, doubled, too early or contradictory; the lines below
                  the table say what, and how to ask the same again
              64  wrong arguments
              69  no such node can be reached, or it stopped answering for good
              75  no verdict: nothing was acknowledged, or not all runs came to their end
            """)

    @Option(
        name: .customLong("node"),
        help: ArgumentHelp(
            "Where a node listens; once for each of several nodes of a cluster. Environment: APUS_NODE, with "
                + "commas between several.", valueName: "url"))
    var nodes: [NodeLocation] = Self.environment.flatMap(Self.locations) ?? [.standard]

    @Option(help: "Which operations, in which order: the same seed asks the same.")
    var seed: UInt64 = 1

    @Option(help: "How many counters; each is changed once before any is changed again.")
    var actors = 100

    @Option(help: "How long; without --operations, 10 seconds.")
    var seconds: Double?

    @Option(help: "How many calls at the most, timers aside; 0 for timers only.")
    var operations: Int?

    @Option(help: "How many calls wait for their reply at once.")
    var inFlight = 64

    @Option(help: "Of a hundred calls, those that change a counter by a message and wait for its completion.")
    var requests = 20

    @Option(help: "Of a hundred calls, those that change a counter over plain HTTP under an idempotency key.")
    var keyed = 5

    @Option(help: "Of a hundred calls, those that move money between two accounts, by message or workflow.")
    var transfers = 5

    @Option(help: "How many accounts a bank has; it closes after 50 transfers for each.")
    var accounts = 50

    @Option(help: "Of a hundred calls, those that decide about a new order (outside-world must run).")
    var orders = 0

    @Option(help: "How many workflows sleep, and record when they woke.")
    var timers = 0

    @Option(help: ArgumentHelp("When the first of them is due.", valueName: "seconds"))
    var timersFrom = 0.0

    @Option(help: ArgumentHelp("When the last is due; as long as the load if absent.", valueName: "seconds"))
    var timersUntil: Double?

    @Option(
        help: ArgumentHelp(
            "Where the nodes' outside-world listens: timers ring there, and effects are compared.",
            valueName: "url"))
    var outside: NodeLocation?

    @Option(help: ArgumentHelp("How long a call is repeated, and an order may take.", valueName: "seconds"))
    var patience = 60.0

    @Flag(help: "Print one JSON object in place of the table.")
    var json = false

    public init() {}

    public func validate() throws {
        func check(_ isRight: Bool, _ sentence: String) throws {
            if !isRight { throw ValidationError(sentence) }
        }
        if let text = Self.environment, Self.locations(text) == nil {
            throw ValidationError("APUS_NODE is \"\(text)\", needed is http://HOST:PORT")
        }
        try check(1...1_000_000 ~= actors, "--actors must be 1 to 1000000")
        try check(1...5_000 ~= inFlight, "--in-flight must be 1 to 5000")
        try check(seconds.map { 0.1...86_400 ~= $0 } ?? true, "--seconds must be 0.1 to 86400")
        try check(operations.map { 0...100_000_000 ~= $0 } ?? true, "--operations must be 0 to 100000000")
        try check(0...100 ~= requests, "--requests must be 0 to 100")
        try check(0...100 ~= orders, "--orders must be 0 to 100")
        try check(0...100 ~= keyed, "--keyed must be 0 to 100")
        try check(0...100 ~= transfers, "--transfers must be 0 to 100")
        try check(
            requests + keyed + transfers + orders <= 100,
            "--requests, --keyed, --transfers and --orders are more than 100 together")
        try check(2...10_000 ~= accounts, "--accounts must be 2 to 10000")
        try check(0...100_000 ~= timers, "--timers must be 0 to 100000")
        try check(0...86_400 ~= timersFrom, "--timers-from must be 0 to 86400 seconds")
        try check(
            timersFrom...max(timersFrom, 86_400) ~= lastTimer,
            "--timers-until must be --timers-from to 86400 seconds")
        try check(1...3_600 ~= patience, "--patience must be 1 to 3600 seconds")
    }

    private var lastTimer: Double { timersUntil ?? max(timersFrom, seconds ?? 10) }

    package var settings: LoadSettings {
        var settings = LoadSettings()
        settings.seed = seed
        settings.actors = actors
        settings.inFlight = inFlight
        settings.requestsPercent = requests
        settings.keyedPercent = keyed
        settings.transfersPercent = transfers
        settings.accounts = accounts
        settings.ordersPercent = orders
        settings.timers = timers
        settings.timersDue = .seconds(timersFrom) ... .seconds(lastTimer)
        settings.operationsMax = operations
        settings.duration = (seconds ?? (operations == nil ? 10 : nil)).map { .seconds($0) }
        settings.patience = .seconds(patience)
        return settings
    }

    public func run() async throws {
        var report: LoadReport
        do {
            try await checkKinds()
            let load = try LoadRun(settings, nodes: nodes, outside: outside)
            let isWatched = isatty(STDERR_FILENO) == 1
            report = try await load.run { if isWatched { Self.show($0) } }
            if isWatched { Self.complain("\r\u{1B}[K") }
        } catch let failure as OperatorFailure {
            Self.complain("apus-load: \(failure)\n")
            throw ExitCode(failure.exitCode)
        } catch let failure as LoadFailure {
            Self.complain("apus-load: \(failure)\n")
            throw ExitCode(69)
        }
        report.command = commandLine
        let lines = json ? [String(decoding: report.json, as: UTF8.self)] : report.lines(.automatic)
        print(lines.joined(separator: "\n"))
        if report.exitCode != 0 { throw ExitCode(report.exitCode) }
    }

    /// A node without the announced programs is told so, before anything is asked of it.
    private func checkKinds() async throws {
        let (node, status) = try await status()
        var kinds = ["counter"]
        if orders > 0 { kinds.append("order") }
        if transfers > 0 { kinds += ["verifyAccount", "verifyTeller"] }
        if timers > 0 { kinds.append("verifyAlarm") }
        for kind in kinds where !status.kinds.contains(kind) {
            throw LoadFailure(
                description:
                    "the node at \(node) has no kind \"\(kind)\"; start one with the announced programs")
        }
    }

    /// What the first node says that is there.
    private func status() async throws -> (NodeLocation, StatusDocument) {
        for (index, node) in nodes.enumerated() {
            let connection = NodeConnection(node)
            do {
                let answer = try await connection.get("/status")
                return (node, try connection.decode(StatusDocument.self, from: answer))
            } catch { if index == nodes.count - 1 { throw error } }
        }
        throw ValidationError("--node is needed")
    }

    /// Addresses with commas between them; nil if one of them is none.
    private static func locations(_ text: String) -> [NodeLocation]? {
        let parts = text.split(separator: ",")
        let all = parts.compactMap { NodeLocation(argument: String($0)) }
        return all.isEmpty || all.count < parts.count ? nil : all
    }

    private static var environment: String? {
        getenv("APUS_NODE").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// What asks the same again, in the same order. When answers come is up to chance.
    package var commandLine: String {
        var words = ["apus-load"] + nodes.flatMap { ["--node", "\($0)"] }
        words += ["--seed", "\(seed)", "--actors", "\(actors)", "--in-flight", "\(inFlight)"]
        words += ["--requests", "\(requests)", "--keyed", "\(keyed)", "--transfers", "\(transfers)"]
        words += ["--accounts", "\(accounts)", "--orders", "\(orders)", "--patience", "\(patience)"]
        if let seconds { words += ["--seconds", "\(seconds)"] }
        if let operations { words += ["--operations", "\(operations)"] }
        if timers > 0 {
            words += ["--timers", "\(timers)", "--timers-from", "\(timersFrom)"]
            words += ["--timers-until", "\(lastTimer)"]
        }
        if let outside { words += ["--outside", "\(outside)"] }
        return words.joined(separator: " ")
    }

    /// One line that is written over.
    private static func show(_ progress: LoadRun.Progress) {
        if let stage = progress.stage {
            return complain("\r\u{1B}[K\(progress.elapsed.components.seconds) s: \(stage)")
        }
        complain(
            "\r\u{1B}[K\(progress.elapsed.components.seconds) s: \(progress.calls) calls, "
                + "\(progress.acknowledged) acknowledged, \(progress.unanswered) under way")
    }

    private static func complain(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
