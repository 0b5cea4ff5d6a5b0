import ArgumentParser
import ClusterMembership
import MeshProtocol
import NodeAssembly

/// The flags of a node that takes part in a cluster.
struct ClusterOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Take part in a cluster: HOST:PORT for the other nodes, with a numeric HOST. With an empty data \
            directory the node waits for `apus cluster init` or `join`. Environment: APUS_MESH.
            """, valueName: "host:port"))
    var mesh: ListenAddress?

    @Option(
        help: ArgumentHelp(
            "Where other nodes find the mesh, if not as in --mesh. Environment: APUS_ADVERTISE.",
            valueName: "host:port"))
    var advertise: ListenAddress?

    @Option(
        help: ArgumentHelp(
            """
            The address of this machine that other nodes are dialled from, where it has several: numeric. \
            Environment: APUS_DIAL_FROM.
            """, valueName: "address"))
    var dialFrom: String?

    @Option(
        help: ArgumentHelp(
            "Where clients find this node, if not as in --listen. Environment: APUS_ADVERTISE_CLIENTS.",
            valueName: "host:port"))
    var advertiseClients: ListenAddress?

    @Option(
        help: """
            The failure domain, such as a rack: copies of one partition keep out of each other's zone. \
            Environment: APUS_ZONE.
            """)
    var zone: String?

    @Option(
        help: ArgumentHelp(
            """
            With an empty data directory, join the cluster of this member, named by its port for clients. \
            Environment: APUS_JOIN.
            """, valueName: "host:port"))
    var join: ListenAddress?

    @Option(
        help: ArgumentHelp(
            "The file with the token for --join; it is waited for. Environment: APUS_TOKEN_FILE.",
            valueName: "file"))
    var tokenFile: String?

    @Option(
        help: ArgumentHelp(
            """
            How much of the journal is kept for nodes that are away, in MiB: who lacks more gets whole \
            partitions. Environment: APUS_JOURNAL_MIB. Standard: 64.
            """, valueName: "mib"))
    var journalMib: Int?

    func validate() throws {
        if let text = ServeCommand.environment("APUS_JOURNAL_MIB"), Int(text) == nil {
            throw ValidationError("APUS_JOURNAL_MIB is \"\(text)\", needed is a number")
        }
        guard journalMibs.map({ 1...65_536 ~= $0 }) ?? true else {
            throw ValidationError("--journal-mib must be 1 to 65536")
        }
        for name in ["APUS_MESH", "APUS_ADVERTISE", "APUS_ADVERTISE_CLIENTS", "APUS_JOIN"] {
            if let text = ServeCommand.environment(name), ListenAddress(argument: text) == nil {
                throw ValidationError("\(name) is \"\(text)\", needed is HOST:PORT")
            }
        }
        guard let configuration else {
            guard advertise == nil, dialFrom == nil, advertiseClients == nil, zone == nil, join == nil,
                tokenFile == nil, journalMib == nil
            else { throw ValidationError("a node takes part in a cluster with --mesh HOST:PORT only") }
            return
        }
        guard (seed == nil) == (file == nil) else {
            throw ValidationError("--join and --token-file go together")
        }
        if let objection = configuration.objection { throw ValidationError(objection) }
    }

    /// Nil for a node alone.
    var configuration: ClusterConfiguration? {
        guard let mesh = mesh ?? Self.address("APUS_MESH") else { return nil }
        var cluster = ClusterConfiguration(mesh: mesh.meshAddress)
        cluster.advertisedMesh = (advertise ?? Self.address("APUS_ADVERTISE"))?.meshAddress
        cluster.journalBytesMax = journalMibs.map { $0 << 20 }
        cluster.dialFrom = dialFrom ?? ServeCommand.environment("APUS_DIAL_FROM")
        cluster.advertisedClients =
            (advertiseClients ?? Self.address("APUS_ADVERTISE_CLIENTS"))?.meshAddress
        cluster.zone = zone ?? ServeCommand.environment("APUS_ZONE") ?? ""
        if let seed, let file {
            cluster.join = UnattendedJoin(seed: seed.meshAddress.description, tokenFile: file)
        }
        return cluster
    }

    private var journalMibs: Int? {
        journalMib ?? ServeCommand.environment("APUS_JOURNAL_MIB").flatMap { Int($0) }
    }

    private var seed: ListenAddress? { join ?? Self.address("APUS_JOIN") }
    private var file: String? { tokenFile ?? ServeCommand.environment("APUS_TOKEN_FILE") }

    private static func address(_ name: String) -> ListenAddress? {
        ServeCommand.environment(name).flatMap { ListenAddress(argument: $0) }
    }
}
