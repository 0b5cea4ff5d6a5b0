import ArgumentParser
import Dispatch
import Foundation
import OperatorCommands

/// The program `apus-probe`.
public struct ProbeCommand: AsyncParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "apus-probe",
        abstract: "Watches how a cluster serves while its nodes fail, and makes the report.",
        discussion: """
            The scripts below deploy/chaos use it. `watch` calls a few counters again and
            again, each time at the next node, and writes each call as a line of JSON.
            `report` reads these, the history of faults and what apus-load said, and
            says what was lost or doubled, whether the answers are linearizable, and how
            long failovers took.
            """,
        subcommands: [Watch.self, Report.self])

    public init() {}

    struct Watch: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Calls counters until SIGTERM or SIGINT, and writes what it saw.")

        @Option(help: ArgumentHelp("Where a node listens; repeated for each node.", valueName: "url"))
        var node: [NodeLocation]

        @Option(
            help: ArgumentHelp("Where the calls are written; - is the standard output.", valueName: "file"))
        var calls: String

        @Option(help: "Which operations, in which order.")
        var seed: UInt64 = 1

        @Option(help: "How many counters.")
        var actors = 16

        @Option(help: "How long at the most.")
        var seconds = 86_400.0

        func validate() throws {
            guard !node.isEmpty else { throw ValidationError("--node is needed") }
            guard 1...1_000 ~= actors else { throw ValidationError("--actors must be 1 to 1000") }
            guard 0.1...86_400 ~= seconds else { throw ValidationError("--seconds must be 0.1 to 86400") }
        }

        private func file() throws -> FileHandle {
            if calls == "-" { return .standardOutput }
            guard FileManager.default.createFile(atPath: calls, contents: nil),
                let file = FileHandle(forWritingAtPath: calls)
            else { throw ValidationError("\(calls) cannot be written") }
            return file
        }

        func run() async throws {
            let file = try file()
            var settings = ProbeSettings(nodes: node)
            settings.seed = seed
            settings.actors = actors
            let probe = ProbeRun(settings)
            let sources = [SIGTERM, SIGINT].map { number in
                signal(number, SIG_IGN)
                let source = DispatchSource.makeSignalSource(signal: number)
                source.setEventHandler { probe.stop() }
                source.resume()
                return source
            }
            await probe.run(for: .seconds(seconds)) { call in
                guard var line = try? JSONEncoder().encode(call) else { return }
                line.append(UInt8(ascii: "\n"))
                file.write(line)
            }
            for source in sources { source.cancel() }
            try file.close()
        }
    }

    struct Report: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Says what happened, as markdown.",
            discussion: """
                Exit codes:
                  0   nothing was lost or doubled, and the cluster recovered from each fault
                  1   something was lost or doubled, or answers contradict each other
                  64  wrong arguments
                  75  no verdict, or the cluster did not recover
                """)

        @Option(help: ArgumentHelp("The history of faults.", valueName: "file"))
        var faults: String

        @Option(help: ArgumentHelp("What `watch` wrote.", valueName: "file"))
        var calls: String

        @Option(help: ArgumentHelp("What `apus-load --json` printed; may be repeated.", valueName: "file"))
        var load: [String] = []

        @Option(help: ArgumentHelp("A line at the top; may be repeated.", valueName: "name=value"))
        var fact: [String] = []

        func run() throws {
            let report = try report()
            print(report.markdown, terminator: "")
            if report.exitCode != 0 { throw ExitCode(report.exitCode) }
        }

        package func report() throws -> ChaosReport {
            var loads: [LoadFigures] = []
            var silent: [String] = []
            for file in load {
                let text = FileManager.default.contents(atPath: file) ?? Data()
                if let figures = try? JSONDecoder().decode(LoadFigures.self, from: text) {
                    loads.append(figures)
                } else {
                    silent.append(URL(fileURLWithPath: file).lastPathComponent)
                }
            }
            return ChaosReport(
                facts: fact.map { fact in
                    let parts = fact.split(separator: "=", maxSplits: 1).map(String.init)
                    return (parts.first ?? "", parts.count > 1 ? parts[1] : "")
                },
                loads: loads, silentLoads: silent,
                faults: try JSONLines.read(FaultLine.self, try text(faults), file: faults),
                calls: try JSONLines.read(ProbeCall.self, try text(calls), file: calls))
        }

        private func text(_ file: String) throws -> String {
            guard let text = try? String(contentsOfFile: file, encoding: .utf8) else {
                throw ValidationError("\(file) cannot be read")
            }
            return text
        }
    }
}
