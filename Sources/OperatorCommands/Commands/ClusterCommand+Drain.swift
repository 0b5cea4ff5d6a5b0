import ArgumentParser
import ClientProtocol
import Foundation

extension ClusterCommand {
    struct Drain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Empties a node, so that it can be taken away.",
            discussion: """
                Others take over what it owns, then its copies go to others, and its vote.
                Calls wait for a moment when an owner changes; none fails. The command says
                how far it is, and ends when the node is empty:
                  apus cluster drain NODE
                  apus cluster leave NODE      once it is empty
                For a restart no draining is needed: a node that is stopped (SIGTERM) gives
                what it owns to others first.
                """)

        @OptionGroup var common: CommonOptions

        @Argument(help: "The number of the node.")
        var node: UInt64

        @Flag(help: "The node takes part again.")
        var undo = false

        @Flag(help: "Do not wait until the node is empty.")
        var noWait = false

        @Option(help: ArgumentHelp("Stop waiting after so many seconds.", valueName: "seconds"))
        var timeout: UInt32 = 3_600

        func run() async throws {
            try await common.perform { connection in
                let request = ClusterRequest.Drain(node: node, undo: undo ? true : nil)
                try await common.done("/cluster/drain", request, connection)
                if !undo, !noWait { try await wait(connection) }
            }
        }

        private func wait(_ connection: NodeConnection) async throws(OperatorFailure) {
            let deadline = ContinuousClock.now + .seconds(timeout)
            var last = ""
            while true {
                let bytes = try await connection.get("/cluster/nodes")
                let nodes = try connection.decode(NodesDocument.self, from: bytes).nodes
                guard let found = nodes.first(where: { $0.node == node }) else {
                    throw OperatorFailure.ended("the cluster has no node \(node) any more")
                }
                guard found.draining else {
                    throw OperatorFailure.ended("somebody has taken the draining back")
                }
                let copies = found.inSync + found.learns
                if copies == 0, found.consensus == nil {
                    return Console.print("node \(node) is empty: stop it, then `apus cluster leave \(node)`")
                }
                let vote = found.consensus.map { ", and is a \($0) of the control plane" } ?? ""
                let line = "node \(node) owns \(found.owns) partitions, has \(copies) copies\(vote)"
                if line != last { Console.complain(line) }
                last = line
                guard ContinuousClock.now < deadline else {
                    throw OperatorFailure.ended(
                        "the node is not empty after \(timeout) seconds; it is still being emptied: look "
                            + "with `apus cluster nodes`, or take it back with --undo")
                }
                do { try await Task.sleep(for: .milliseconds(500)) } catch {
                    throw OperatorFailure.ended("interrupted; the node is still being emptied")
                }
            }
        }
    }

    struct Leave: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Forgets a node that is empty.",
            discussion: """
                The node's process ends if it runs. The directory cannot come back: for
                another life in the cluster it joins anew, with an empty one.
                """)

        @OptionGroup var common: CommonOptions

        @Argument(help: "The number of the node.")
        var node: UInt64

        func run() async throws {
            try await common.perform { connection in
                try await common.done("/cluster/leave", ClusterRequest.Leave(node: node), connection)
            }
        }
    }
}
