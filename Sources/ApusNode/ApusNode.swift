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
    /// Exit codes: 0 after an orderly stop, 64 for wrong flags, 74 when a disk cannot be written, 75 when the
    /// cluster goes on without this process and another start is in order, 1 for anything else.
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
            dataDirectory: command.data, host: command.listen.host, port: command.listen.port,
            cluster: command.membership.configuration)
        if let seconds = command.idleSeconds { configuration.settings.idleOverride = .seconds(seconds) }
        // Before the node starts, so that an early signal is not lost.
        let signals = StopSignals()
        let data = "data in \(command.data)"
        let (port, stop) = try await start(registry, configuration, logger)
        say("listening on \(command.listen.host):\(port), \(data)")
        let name = await signals.next()
        say("\(name): stopping")
        try await stop()
        say("stopped")
    }

    private static func start(
        _ registry: some Registry, _ configuration: NodeConfiguration, _ logger: Logger
    ) async throws -> (port: Int, stop: () async throws -> Void) {
        guard let cluster = configuration.cluster else {
            let node = try await Node.start(registry, configuration: configuration, logger: logger) { error in
                report("stopping, nothing more is acknowledged: \(error)")
                _exit(74)
            }
            return (node.port, node.stop)
        }
        let node = try await MemberNode.start(
            registry, configuration: configuration, cluster: cluster, logger: logger, say: say
        ) { failure in
            report("stopping, nothing more is acknowledged: \(failure)")
            _exit(failure.exitCode)
        }
        return (node.port, node.stop)
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
