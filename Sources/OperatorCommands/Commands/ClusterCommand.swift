import ArgumentParser
import ClientProtocol
import Foundation

struct ClusterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster", abstract: "Makes a cluster of nodes, and looks after it.",
        discussion: """
            A node takes part in a cluster if it was started with --mesh. One of them
            founds the cluster:
              apus cluster init --node http://a:7420 --seed http://b:7420
            and lets the others in:
              apus cluster token --node http://a:7420 --file join.token
              apus cluster join http://a:7420 --node http://b:7420 \\
                --token-file join.token

            These commands need no password: keep the port for clients on a network
            that you trust.
            """,
        subcommands: [
            Show.self, Init.self, Join.self, TokenCommand.self, Nodes.self, Partitions.self, Promote.self,
            Move.self, Drain.self, Leave.self,
        ])

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Says which cluster the node belongs to, and whether all is well with it.")

        @OptionGroup var common: CommonOptions

        func run() async throws {
            try await common.perform { node in
                let bytes = try await node.get("/cluster")
                let cluster = try node.decode(ClusterDocument.self, from: bytes)
                if common.json { return Console.print(json: bytes) }
                Console.print(ClusterText.show(cluster, .automatic))
            }
        }
    }

    struct Nodes: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists the nodes of the cluster.",
            discussion: """
                STATE is what the cluster goes by: joining, up, or down.
                SEEMS is what the node that was asked has noticed by itself, and a hint:
                  alive        it answers
                  suspect      it did not answer somebody, and may still object
                  unreachable  it did not object in time
                  left         its process has ended in order
                """)

        @OptionGroup var common: CommonOptions

        func run() async throws {
            try await common.perform { node in
                let bytes = try await node.get("/cluster/nodes")
                let nodes = try node.decode(NodesDocument.self, from: bytes)
                if common.json { return Console.print(json: bytes) }
                Console.print(ClusterText.nodes(nodes, now: .now, .automatic))
            }
        }
    }

    struct Partitions: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists the partitions: who owns each, and where its copies are.",
            discussion: """
                States:
                  ok       as many copies in sync as the replication factor says
                  atRisk   fewer: another failure could take the partition away
                  unowned  nobody serves it at the moment
                  offline  no copy in sync is there: it waits for one of them, or for
                           `apus cluster promote`
                """)

        @OptionGroup var common: CommonOptions

        @Flag(help: "Only those that are not ok.")
        var troubled = false

        @Option(help: ArgumentHelp("Only those with a copy on this node.", valueName: "node"))
        var on: UInt64?

        func run() async throws {
            try await common.perform { node in
                let bytes = try await node.get("/cluster/partitions")
                let partitions = try node.decode(PartitionsDocument.self, from: bytes)
                if common.json { return Console.print(json: bytes) }
                Console.print(
                    ClusterText.partitions(partitions, onlyTroubled: troubled, on: on, .automatic))
            }
        }
    }

    struct Promote: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lets others serve what a node served that is gone, or gives one partition to a node.",
            discussion: """
                  apus cluster promote --down NODE
                      Declares that the node is gone. Others with copies in sync take
                      over what it owned. If its process still runs, it stops serving
                      and must be started again.
                  apus cluster promote PARTITION NODE
                      Gives one partition to a node that has a copy in sync.
                      Nothing is lost.
                  apus cluster promote PARTITION NODE --accept-data-loss
                      The last resort for a partition none of whose copies in sync
                      will ever come back.
                """)

        @OptionGroup var common: CommonOptions

        @Argument(help: "The number of the partition.")
        var partition: UInt32?

        @Argument(help: "The number of the node that shall own it.")
        var node: UInt64?

        @Option(help: ArgumentHelp("The number of the node that is gone.", valueName: "node"))
        var down: UInt64?

        @Flag(help: "Acknowledged records that the node does not have are given up.")
        var acceptDataLoss = false

        func validate() throws {
            let isWhole =
                down == nil
                ? partition != nil && node != nil : partition == nil && node == nil && !acceptDataLoss
            guard isWhole else {
                throw ValidationError("give either PARTITION and NODE, or --down NODE")
            }
        }

        func run() async throws {
            try await common.perform { connection in
                if let down {
                    let request = ClusterRequest.Down(node: down)
                    return try await common.done("/cluster/down", request, connection)
                }
                guard let partition, let node else { return }
                let request = ClusterRequest.Promote(
                    partition: partition, node: node, acceptDataLoss: acceptDataLoss ? true : nil)
                try await common.done("/cluster/promote", request, connection)
            }
        }
    }

    struct Move: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Says where the copies of a partition should be, the wanted owner first.",
            discussion: """
                The nodes get their copies one after the other, then those that are not
                wanted go. Nothing is interrupted until the owner changes, which takes a
                moment.
                """)

        @OptionGroup var common: CommonOptions

        @Argument(help: "The number of the partition.")
        var partition: UInt32

        @Argument(help: "The numbers of the nodes, as many as the replication factor says.")
        var nodes: [UInt64]

        func validate() throws {
            guard Set(nodes).count == nodes.count else {
                throw ValidationError("a node can have one copy only: name different nodes")
            }
        }

        func run() async throws {
            try await common.perform { connection in
                let request = ClusterRequest.Move(partition: partition, nodes: nodes)
                try await common.done("/cluster/move", request, connection)
            }
        }
    }
}

extension CommonOptions {
    /// Sends a command, and prints what was done.
    func done(
        _ path: String, _ request: some Encodable & Sendable, _ node: NodeConnection
    ) async throws(OperatorFailure) {
        let bytes = try await node.post(path, request)
        let done = try node.decode(DoneDocument.self, from: bytes)
        if json { Console.print(json: bytes) } else { Console.print(Phrases.oneLine(done.message)) }
    }
}
