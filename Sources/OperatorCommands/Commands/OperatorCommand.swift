import ArgumentParser
import ClientProtocol
import Foundation
import Identifiers

/// The program `apus`.
public struct OperatorCommand: AsyncParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "apus",
        abstract: "Looks after a node and its cluster: actors, their runs, what they wait for, and where.",
        discussion: """
            Exit codes:
              0   done
              1   the node says no, or the run that was watched failed
              64  wrong arguments
              69  no node can be reached
            Colours appear on a terminal only, and never if NO_COLOR is set.
            """,
        subcommands: [
            StatusCommand.self, ActorsCommand.self, RunsCommand.self, ClusterCommand.self,
        ])

    public init() {}
}

/// What every command takes.
struct CommonOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Where the node listens. Environment: APUS_NODE.", valueName: "url"))
    var node: NodeLocation = Self.environment.flatMap(NodeLocation.init(argument:)) ?? .standard

    @Flag(help: "Print the node's JSON in place of text.")
    var json = false

    func validate() throws {
        if let text = Self.environment, NodeLocation(argument: text) == nil {
            throw ValidationError("APUS_NODE is \"\(text)\", needed is http://HOST:PORT")
        }
    }

    private static var environment: String? {
        getenv("APUS_NODE").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    var connection: NodeConnection { NodeConnection(node) }

    /// Does a command's work, and turns what goes wrong into a sentence and an exit code.
    func perform(_ work: (NodeConnection) async throws -> Void) async throws {
        do { try await work(connection) } catch let failure as OperatorFailure {
            Console.complain("apus: \(failure)")
            throw ExitCode(failure.exitCode)
        }
    }
}

/// Names one actor.
struct AddressArguments: ParsableArguments {
    @Argument(help: "The kind of the actor.")
    var kind: String

    @Argument(help: "The key of the actor, a word for each of its parts.")
    var key: [String]

    func validate() throws {
        do throws(AddressError) { _ = try address } catch { throw ValidationError(error.description) }
    }

    var address: ActorAddress {
        get throws(AddressError) { ActorAddress(kind: try ActorKind(kind), key: try ActorKey(key)) }
    }
}

/// The two outputs of a command.
enum Console {
    static func print(_ lines: [String]) { print(lines.joined(separator: "\n")) }

    static func print(_ text: String) {
        Swift.print(text)
        // Whoever reads a pipe sees a line when it happened.
        fflush(nil)
    }

    static func print(json: [UInt8]) { print(String(decoding: json, as: UTF8.self)) }

    static func complain(_ text: String) { FileHandle.standardError.write(Data("\(text)\n".utf8)) }
}
