import ArgumentParser

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Says whether the node serves, what it holds and what it did.")

    @OptionGroup var common: CommonOptions

    func run() async throws {
        try await common.perform { node in
            let bytes = try await node.get("/status")
            let status = try node.decode(StatusDocument.self, from: bytes)
            if common.json { return Console.print(json: bytes) }
            Console.print(ActorText.status(status, at: node.location, now: .now, .automatic))
        }
    }
}
