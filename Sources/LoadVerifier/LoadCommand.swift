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
            repeated under the same sequence for --patience seconds, so it happens
            once; after that its outcome counts as unknown. Then every actor is read
            back and compared with what was acknowledged. Each load uses actors of its
            own, whose keys begin with the name above the table.

            Exit codes:
              0   everything that was acknowledged is there, once
              1   something was lost or doubled; the lines below the table say what
              64  wrong arguments
              69  no such node can be reached, or it stopped answering for good
              75  no verdict: nothing was acknowledged, or not all orders came to their end
            """)

    @Option(
        name: .customLong("node"),
        help: ArgumentHelp(
            "Where a node listens; once for each of several nodes of a cluster. Environment: APUS_NODE, with "
                + "commas between several.", valueName: "url"))
    var nodes: [NodeLocation] = Self.environment.flatMap(Self.locations) ?? [.standard]

    @Option(help: "Which operations, in which order: the same seed asks the same.")
    var seed: UInt64 = 1

    @Option(help: "How many counters.")
    var actors = 100

    @Option(help: "How long; without --operations, 10 seconds.")
    var seconds: Double?

    @Option(help: "How many calls at the most.")
    var operations: Int?

    @Option(help: "How many calls wait for their reply at once.")
    var inFlight = 64

    @Option(help: "Of a hundred calls, those that change a counter by a message and wait for its completion.")
    var requests = 20

    @Option(help: "Of a hundred calls, those that decide about a new order (outside-world must run).")
    var orders = 0

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
        try check(operations.map { 1...100_000_000 ~= $0 } ?? true, "--operations must be 1 to 100000000")
        try check(0...100 ~= requests, "--requests must be 0 to 100")
        try check(0...100 ~= orders, "--orders must be 0 to 100")
        try check(requests + orders <= 100, "--requests and --orders are more than 100 together")
        try check(1...3_600 ~= patience, "--patience must be 1 to 3600 seconds")
    }

    package var settings: LoadSettings {
        var settings = LoadSettings()
        settings.seed = seed
        settings.actors = actors
        settings.inFlight = inFlight
        settings.requestsPercent = requests
        settings.ordersPercent = orders
        settings.operationsMax = operations
        settings.duration = (seconds ?? (operations == nil ? 10 : nil)).map { .seconds($0) }
        settings.patience = .seconds(patience)
        return settings
    }

    public func run() async throws {
        let report: LoadReport
        do {
            try await checkKinds()
            let load = try LoadRun(settings, nodes: nodes.map(\.description))
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
        let lines = json ? [String(decoding: report.json, as: UTF8.self)] : report.lines(.automatic)
        print(lines.joined(separator: "\n"))
        if report.exitCode != 0 { throw ExitCode(report.exitCode) }
    }

    /// A node without the announced programs is told so, before anything is asked of it.
    private func checkKinds() async throws {
        let (node, status) = try await status()
        for kind in ["counter"] + (orders > 0 ? ["order"] : []) where !status.kinds.contains(kind) {
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

    /// One line that is written over.
    private static func show(_ progress: LoadRun.Progress) {
        complain(
            "\r\u{1B}[K\(progress.elapsed.components.seconds) s: \(progress.calls) calls, "
                + "\(progress.acknowledged) acknowledged, \(progress.unanswered) under way")
    }

    private static func complain(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
