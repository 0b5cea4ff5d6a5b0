import ArgumentParser
import ClientProtocol
import Foundation
import NIOHTTP1

extension ClusterCommand {
    struct TokenCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "token", abstract: "Makes, lists and revokes tokens that let nodes join.",
            subcommands: [Create.self, List.self, Revoke.self], defaultSubcommand: Create.self)
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a token, at the node that founded the cluster.",
            discussion: """
                The token is a secret until it has expired: whoever has it can bring a
                node in. Prints it, or writes it to a file that only you can read.
                """)

        @OptionGroup var common: CommonOptions

        @Option(help: "How many nodes it lets in, up to 64.")
        var uses = 1

        @Option(help: "How many hours it is good for, up to 720.")
        var hours = 24

        @Option(help: "Write it to this file in place of the standard output.")
        var file: String?

        func validate() throws {
            guard 1...64 ~= uses else { throw ValidationError("--uses must be 1 to 64") }
            guard 1...720 ~= hours else { throw ValidationError("--hours must be 1 to 720") }
        }

        func run() async throws {
            try await common.perform { node in
                let bytes = try await node.post(
                    "/cluster/tokens", ClusterRequest.CreateToken(validSeconds: hours * 3600, uses: uses))
                let made = try node.decode(TokensDocument.Token.self, from: bytes)
                guard let token = made.token else { return }
                if let file {
                    try write(token, to: file)
                    Console.complain("apus: wrote a token to \(file), good until \(made.expiresAt)")
                } else if common.json {
                    Console.print(json: bytes)
                } else {
                    Console.print(token)
                }
            }
        }

        /// As a whole or not at all: a node may wait for the file.
        private func write(_ token: String, to file: String) throws {
            let temporary = file + ".new"
            try? FileManager.default.removeItem(atPath: temporary)
            let isMade = FileManager.default.createFile(
                atPath: temporary, contents: Data("\(token)\n".utf8), attributes: [.posixPermissions: 0o600])
            guard isMade, rename(temporary, file) == 0 else {
                throw ValidationError("\(file) cannot be written")
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists the tokens by their public names, never the secrets.")

        @OptionGroup var common: CommonOptions

        func run() async throws {
            try await common.perform { node in
                let bytes = try await node.get("/cluster/tokens")
                let tokens = try node.decode(TokensDocument.self, from: bytes)
                if common.json { return Console.print(json: bytes) }
                Console.print(ClusterText.tokens(tokens, now: .now, .automatic))
            }
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Revokes a token. Nodes that it let in stay.")

        @OptionGroup var common: CommonOptions

        @Argument(help: "The public name of the token, as `apus cluster token list` shows it.")
        var id: String

        func validate() throws {
            guard !id.isEmpty, id.utf8.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }) else {
                throw ValidationError("\"\(id)\" is no name of a token")
            }
        }

        func run() async throws {
            try await common.perform { node in
                let bytes = try await node.send(.DELETE, "/cluster/tokens/\(id)")
                let done = try node.decode(DoneDocument.self, from: bytes)
                if common.json { return Console.print(json: bytes) }
                Console.print(Phrases.oneLine(done.message))
            }
        }
    }
}
