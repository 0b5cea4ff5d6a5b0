import ArgumentParser
import Logging
import MeshProtocol
import NodeAssembly

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The flags of a node, each of which can also be given by the environment.
struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serves the actors of this program until SIGTERM or SIGINT.",
        discussion: "The word `serve` may be left out. Flags win over the environment.")

    @Option(help: "The data directory, made if it is absent. Environment: APUS_DATA.")
    var data: String = Self.environment("APUS_DATA") ?? "./apus-data"

    @Option(help: "HOST:PORT for clients; port 0 takes a free one. Environment: APUS_LISTEN.")
    var listen = ListenAddress(argument: Self.environment("APUS_LISTEN") ?? "") ?? .standard

    @OptionGroup(title: "In a cluster") var membership: ClusterOptions

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

    static func environment(_ name: String) -> String? {
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

    var meshAddress: MeshAddress { MeshAddress(host: host, port: UInt16(port)) }

    var defaultValueDescription: String { "\(host):\(port)" }
}
