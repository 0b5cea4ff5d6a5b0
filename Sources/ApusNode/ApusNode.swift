import ActorHost
import Apus
import ArgumentParser
import Logging
import NodeAssembly

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A whole server for a registry of actors.
///
/// ```swift
/// @main struct ShopNode {
///     static func main() async throws { try await ApusNode.run(Shop()) }
/// }
/// ```
public enum ApusNode {
    /// Reads flags and environment, starts the node, and serves until SIGTERM or SIGINT.
    ///
    /// Exit codes: 0 after an orderly stop, 64 for wrong flags, 74 when the journal cannot be written, 1 for
    /// anything else that prevents the start.
    public static func run(_ registry: some Registry) async throws {
        let command: ServeCommand
        do {
            var arguments = Array(CommandLine.arguments.dropFirst())
            if arguments.first == "serve" { arguments.removeFirst() }
            command = try ServeCommand.parse(arguments)
        } catch { ServeCommand.exit(withError: error) }
        do { try await serve(registry, command) } catch {
            report("cannot start: \(error)")
            exit(1)
        }
    }

    private static func serve(_ registry: some Registry, _ command: ServeCommand) async throws {
        var logger = Logger(label: "apus")
        logger.logLevel = command.logLevel
        var configuration = NodeConfiguration(
            dataDirectory: command.data, host: command.listen.host, port: command.listen.port)
        if let seconds = command.idleSeconds { configuration.settings.idleOverride = .seconds(seconds) }
        // Before the node starts, so that an early signal is not lost.
        let signals = StopSignals()
        let node = try await Node.start(registry, configuration: configuration, logger: logger) { error in
            report("stopping, nothing more is acknowledged: \(error)")
            _exit(74)
        }
        say("listening on \(command.listen.host):\(node.port), data in \(command.data)")
        let name = await signals.next()
        say("\(name): stopping")
        try await node.stop()
        say("stopped")
    }

    /// A line on the standard output at once, also if that is a pipe.
    private static func say(_ text: String) {
        print(text)
        fflush(nil)
    }

    private static func report(_ text: String) {
        let line = Array("apus: \(text)\n".utf8)
        _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}

/// The flags of a node, each of which can also be given by the environment.
struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serves the actors of this program until SIGTERM or SIGINT.",
        discussion: "The word `serve` may be left out. Flags win over the environment.")

    @Option(help: "The data directory, made if it is absent. Environment: APUS_DATA.")
    var data: String = Self.environment("APUS_DATA") ?? "./apus-data"

    @Option(help: "HOST:PORT for clients; port 0 takes a free one. Environment: APUS_LISTEN.")
    var listen = ListenAddress(argument: Self.environment("APUS_LISTEN") ?? "") ?? .standard

    @Option(name: .customLong("idle-seconds"), help: "Idle time until an actor leaves memory, for all kinds.")
    var idleSeconds: Double?

    @Option(
        name: .customLong("log"),
        help: "trace, debug, info, notice, warning, error or critical. Environment: APUS_LOG.")
    var logLevel: Logger.Level = Self.environment("APUS_LOG").flatMap(Logger.Level.init(rawValue:)) ?? .notice

    func validate() throws {
        if let text = Self.environment("APUS_LISTEN"), ListenAddress(argument: text) == nil {
            throw ValidationError("APUS_LISTEN is \"\(text)\", needed is HOST:PORT")
        }
        if let text = Self.environment("APUS_LOG"), Logger.Level(rawValue: text) == nil {
            throw ValidationError("APUS_LOG is \"\(text)\", which is no log level")
        }
        if let idleSeconds, !(idleSeconds >= 0) {
            throw ValidationError("--idle-seconds must not be negative")
        }
    }

    private static func environment(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}

struct ListenAddress: ExpressibleByArgument, Sendable {
    var host: String
    var port: Int

    static let standard = ListenAddress(host: "127.0.0.1", port: 7420)

    init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    init?(argument: String) {
        guard let colon = argument.lastIndex(of: ":"),
            let port = Int(argument[argument.index(after: colon)...]),
            0...65_535 ~= port, colon > argument.startIndex
        else { return nil }
        let host = argument[..<colon]
        self.host =
            host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : String(host)
        self.port = port
    }

    var defaultValueDescription: String { "\(host):\(port)" }
}
