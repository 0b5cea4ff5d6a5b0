import ArgumentParser
import ClientProtocol
import Foundation

extension ClusterCommand {
    struct Init: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Founds a cluster: once, at one node, with an empty data directory.",
            discussion: """
                Name the client ports of all nodes that will take part as seeds. All are
                asked first, and if one of them knows a cluster, or cannot be asked, none
                is founded: two clusters that were founded by accident never become one.

                The number of partitions is fixed for ever: 256 do for up to about 16
                nodes, 1024 for 64, 4096 for 256.
                """)

        @OptionGroup var common: CommonOptions

        @Option(
            help: ArgumentHelp("A node that will take part; may be repeated.", valueName: "url"))
        var seed: [NodeLocation] = []

        @Option(help: "How many partitions, a power of two. Standard: 256.")
        var partitions: Int?

        @Option(help: "How many copies of each partition. Standard: 2.")
        var replicationFactor: Int?

        @Option(help: "Copies in sync below which writes are refused. Standard: 1.")
        var inSyncMin: Int?

        @Option(help: "How many nodes decide for the cluster: 1, 3 or 5. Standard: 3.")
        var voters: Int?

        @Option(help: "How long to wait for nodes that do not answer yet, in seconds.")
        var wait = 0

        @Flag(help: "End well if the node is a member already: for scripts that run at each start.")
        var once = false

        func validate() throws {
            guard wait >= 0 else { throw ValidationError("--wait must not be negative") }
        }

        func run() async throws {
            try await common.perform { node in
                let own = try await Self.ask(common.node, within: wait)
                if own.member, once {
                    Console.complain("apus: the node is a member already, nothing was done")
                    return try await report(node)
                }
                var seeds: [(NodeLocation, ClusterDocument)] = []
                for location in seed where location != common.node {
                    seeds.append((location, try await Self.ask(location, within: wait)))
                }
                if let objection = ClusterText.objection(to: own, at: common.node, seeds: seeds) {
                    throw OperatorFailure.refused(ActorError("refused", objection, group: "cluster"))
                }
                _ = try await node.post(
                    "/cluster/init",
                    ClusterRequest.Initialize(
                        partitions: partitions, replicationFactor: replicationFactor, inSyncMin: inSyncMin,
                        voters: voters))
                try await report(node)
            }
        }

        private func report(_ node: NodeConnection) async throws(OperatorFailure) {
            let bytes = try await node.get("/cluster")
            let cluster = try node.decode(ClusterDocument.self, from: bytes)
            if common.json { return Console.print(json: bytes) }
            Console.print(ClusterText.show(cluster, .automatic))
        }

        /// What a node knows of a cluster.
        private static func ask(
            _ location: NodeLocation, within seconds: Int
        ) async throws(OperatorFailure) -> ClusterDocument {
            let node = NodeConnection(location)
            var left = seconds
            while true {
                do throws(OperatorFailure) {
                    return try node.decode(from: try await node.get("/cluster"))
                } catch {
                    guard case .unreachable = error, left > 0 else { throw error }
                    left -= 1
                    try? await Task.sleep(for: .seconds(1))
                }
            }
        }
    }

    struct Join: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lets the node join the cluster of another one.",
            discussion: """
                Both the node and the seed are named by their ports for clients. The seed
                must be the node that founded the cluster. A join that got no answer can
                be repeated.
                """)

        @OptionGroup var common: CommonOptions

        @Argument(help: ArgumentHelp("The member to ask.", valueName: "url"))
        var seed: NodeLocation

        @Option(
            help: ArgumentHelp(
                "A file with the token that `apus cluster token` has printed; - reads the standard input.",
                valueName: "file"))
        var tokenFile: String

        func run() async throws {
            let token = try token()
            try await common.perform { node in
                let bytes = try await node.post(
                    "/cluster/join", ClusterRequest.Join(seed: seed.authority, token: token))
                let cluster = try node.decode(ClusterDocument.self, from: bytes)
                if common.json { return Console.print(json: bytes) }
                Console.print(ClusterText.show(cluster, .automatic))
            }
        }

        private func token() throws -> String {
            let text: String?
            if tokenFile == "-" {
                text = readLine()
            } else {
                text = try? String(contentsOfFile: tokenFile, encoding: .utf8)
            }
            guard let text else { throw ValidationError("\(tokenFile) cannot be read") }
            return text.trimmingCharacters(in: .whitespacesAndNewlines)
        }
    }
}

extension NodeLocation {
    /// Host and port, as nodes name each other.
    var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
