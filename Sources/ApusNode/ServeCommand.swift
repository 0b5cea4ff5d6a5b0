import ArgumentParser
import ClusterMembership
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

    @Option(
        help: ArgumentHelp(
            """
            HOST:PORT for the other nodes of a cluster, with a numeric HOST: take part in one. A node with an \
            empty data directory waits for `apus cluster init` or `join`. Environment: APUS_MESH.
            """))
    var mesh = Self.address("APUS_MESH")

    @Option(
        help: "HOST:PORT where other nodes find the mesh, if not as in --mesh. Environment: APUS_ADVERTISE.")
    var advertise = Self.address("APUS_ADVERTISE")

    @Option(
        help: """
            HOST:PORT where clients find this node, if not as in --listen. Environment: APUS_ADVERTISE_CLIENTS.
            """)
    var advertiseClients = Self.address("APUS_ADVERTISE_CLIENTS")

    @Option(
        help: """
            The failure domain, such as a rack: copies of one partition keep out of each other's zone. \
            Environment: APUS_ZONE.
            """)
    var zone: String = Self.environment("APUS_ZONE") ?? ""

    @Option(
        help: ArgumentHelp(
            """
            HOST:PORT for clients of the member to join, if the data directory is empty. Environment: APUS_JOIN.
            """, valueName: "seed"))
    var join = Self.address("APUS_JOIN")

    @Option(
        help: ArgumentHelp(
            "The file with the token for --join; it is waited for. Environment: APUS_TOKEN_FILE.",
            valueName: "file"))
    var tokenFile: String? = Self.environment("APUS_TOKEN_FILE")

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
        for name in ["APUS_MESH", "APUS_ADVERTISE", "APUS_ADVERTISE_CLIENTS", "APUS_JOIN"] {
            if let text = Self.environment(name), ListenAddress(argument: text) == nil {
                throw ValidationError("\(name) is \"\(text)\", needed is HOST:PORT")
            }
        }
        guard (join == nil) == (tokenFile == nil) else {
            throw ValidationError("--join and --token-file go together")
        }
        guard mesh != nil || (advertise == nil && advertiseClients == nil && zone.isEmpty && join == nil)
        else { throw ValidationError("a node takes part in a cluster with --mesh HOST:PORT only") }
        if let objection = cluster?.objection { throw ValidationError(objection) }
        if let idleSeconds, !(idleSeconds >= 0) {
            throw ValidationError("--idle-seconds must not be negative")
        }
    }

    /// How to take part in a cluster; nil for a node alone.
    var cluster: ClusterConfiguration? {
        guard let mesh else { return nil }
        var cluster = ClusterConfiguration(
            mesh: mesh.meshAddress, advertisedMesh: advertise?.meshAddress,
            advertisedClients: advertiseClients?.meshAddress, zone: zone)
        if let join, let tokenFile {
            cluster.join = UnattendedJoin(seed: join.meshAddress.description, tokenFile: tokenFile)
        }
        return cluster
    }

    private static func address(_ name: String) -> ListenAddress? {
        environment(name).flatMap { ListenAddress(argument: $0) }
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

    var meshAddress: MeshAddress { MeshAddress(host: host, port: UInt16(port)) }

    var defaultValueDescription: String { "\(host):\(port)" }
}
