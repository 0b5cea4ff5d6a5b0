import ArgumentParser
import Identifiers

struct ActorsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "actors", abstract: "Lists and shows actors.", subcommands: [List.self, Show.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists the actors of a node, sorted by kind and key.",
            discussion: """
                The list is read from the tables on disk: the last second may be missing from it, and an actor
                in memory stands there as it was last stored. What it does right now is told by `actors show`.
                """)

        @OptionGroup var common: CommonOptions

        @Option(help: "Only actors of this kind.")
        var kind: String?

        @Option(help: "How many at most, 1 to 1000.")
        var limit = 100

        @Option(
            help: ArgumentHelp("Only what follows this one: KIND/KEY as in the list.", valueName: "actor"))
        var after: String?

        func validate() throws {
            guard 1...1_000 ~= limit else { throw ValidationError("--limit must be 1 to 1000") }
            if let kind, (try? ActorKind(kind)) == nil { throw ValidationError("\"\(kind)\" is no kind") }
            if let after, Self.path(after) == nil {
                throw ValidationError("--after takes KIND/KEY, not \"\(after)\"")
            }
        }

        /// What to ask the node for.
        var path: String {
            var path = "/actors?limit=\(limit)"
            if let kind { path += "&kind=\(kind)" }
            if let after, let place = Self.path(after) { path += "&after=\(place)" }
            return path
        }

        /// An address for a query: its percent signs are escaped once more.
        private static func path(_ text: String) -> String? {
            guard let slash = text.firstIndex(of: "/"), let kind = try? ActorKind(String(text[..<slash])),
                let key = ActorKey(path: text[text.index(after: slash)...])
            else { return nil }
            return "\(kind)/\(key)".replacing("%", with: "%25")
        }

        func run() async throws {
            try await common.perform { node in
                let bytes = try await node.get(path)
                let list = try node.decode(ListDocument.self, from: bytes)
                if common.json { return Console.print(json: bytes) }
                Console.print(ActorText.list(list, kind: kind, now: .now, .automatic))
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows one actor: its state, its queues, what its run waits for. Does not wake it.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var target: AddressArguments

        func run() async throws {
            let address = try target.address
            try await common.perform { node in
                let bytes = try await node.actor(address)
                let actor = try node.decode(ActorDocument.self, from: bytes)
                if common.json { return Console.print(json: bytes) }
                Console.print(ActorText.show(actor, now: .now, .automatic))
            }
        }
    }
}
