import ActorHost
import ClientProtocol
import Foundation
import Identifiers
import Logging
import NodeAssembly

/// One line of the table.
struct Figure: Codable {
    var name: String
    var value: Double
    var unit: String
    /// What the machine itself does, measured in the same run.
    var limit: Double?
    var limitName: String?
    /// What is wanted.
    var target: String
    var reached: Bool
}

@main
struct Bench {
    static func main() async throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        if arguments.first == "child" { return try await Sections.runChild(Array(arguments.dropFirst())) }
        if arguments.first == "node" { return try await ClusterChild.run(Array(arguments.dropFirst())) }
        let wanted = Set(arguments)
        var figures: [Figure] = []
        for (name, section) in Sections.all where wanted.isEmpty || wanted.contains(name) {
            FileHandle.standardError.write(Data("measuring \(name) …\n".utf8))
            let made = try await section()
            for figure in made { print(line(figure)) }
            figures += made
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try FileManager.default.createDirectory(atPath: "results", withIntermediateDirectories: true)
        try encoder.encode(figures).write(to: URL(fileURLWithPath: "results/bench.json"))
        print("written: results/bench.json")
    }

    static func line(_ figure: Figure) -> String {
        func pad(_ text: String, _ width: Int) -> String {
            text.count >= width ? text : text + String(repeating: " ", count: width - text.count)
        }
        let value = String(format: figure.value < 100 ? "%.2f" : "%.0f", figure.value)
        let limit = figure.limit.map { String(format: $0 < 100 ? "%.2f" : "%.0f", $0) } ?? "-"
        return pad(figure.name, 52) + pad("\(value) \(figure.unit)", 18)
            + pad(figure.limitName.map { "\(limit) (\($0))" } ?? "", 40) + pad(figure.target, 22)
            + (figure.reached ? "reached" : "MISSED")
    }
}

/// A node with the bench's actors in a directory of its own.
final class BenchNode: Sendable {
    let node: Node
    let directory: String

    init(directory: String? = nil, idle: Duration? = nil) async throws {
        let path = directory ?? Self.freshDirectory()
        var configuration = NodeConfiguration(dataDirectory: path, port: 0)
        configuration.settings.idleOverride = idle
        var logger = Logger(label: "bench")
        logger.logLevel = .error
        node = try await Node.start(BenchRegistry(), configuration: configuration, logger: logger) { error in
            fatalError("the journal failed: \(error)")
        }
        self.directory = path
    }

    static func freshDirectory() -> String {
        let path = "bench-data/\(ProcessInfo.processInfo.processIdentifier)-\(UInt32.random(in: 0 ... .max))"
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    func stop() async throws { try await node.stop() }

    func remove() { try? FileManager.default.removeItem(atPath: directory) }

    func perform(
        _ kind: String, _ key: String, _ operation: ActorRequest.Operation
    ) async throws -> ActorReply {
        try await node.host.perform(
            ActorRequest(target: try Self.address(kind, key), operation: operation))
    }

    static func address(_ kind: String, _ key: String) throws -> ActorAddress {
        ActorAddress(kind: try ActorKind(kind), key: try ActorKey([key]))
    }

    /// Polls until the run has that status.
    func wait(_ kind: String, _ key: String, until status: String) async throws {
        while true {
            if case .document(let text) = try await perform(kind, key, .describe),
                text.text.contains("\"status\":\"\(status)\"")
            {
                return
            }
            try await Task.sleep(for: .milliseconds(2))
        }
    }
}
