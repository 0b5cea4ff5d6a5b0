import MeshProtocol
import MeshTransport
import Synchronization
import Testing

@testable import FaultProxy

/// The target is the port for commands of a second proxy: it answers, line by line.
@Suite("The proxy on loopback", .timeLimit(.minutes(1)))
struct ProxyServerTests {
    private static let anywhere = MeshAddress(host: "127.0.0.1", port: 0)

    private struct Lab {
        let loop = EventLoop(name: "proxy-test")
        let proxy: ProxyServer
        let target: ProxyServer
        /// Where the proxy stands for the target.
        let address: MeshAddress
        let control: MeshAddress

        init(_ commands: [String] = []) async throws {
            target = try ProxyServer(
                [ProxyRoute(name: "x", listen: anywhere, target: anywhere)], control: anywhere, seed: 1,
                on: loop)
            let behind = try #require(try await target.start().control)
            proxy = try ProxyServer(
                [ProxyRoute(name: "t", listen: anywhere, target: behind)], control: anywhere,
                commands: commands, seed: 1, on: loop)
            let addresses = try await proxy.start()
            address = try #require(addresses.nodes["t"])
            control = try #require(addresses.control)
        }

        /// Asks until the status has a line with such a beginning.
        func wait(for words: String) async throws {
            while true {
                let lines = try await proxy.follow("status")
                if lines.contains(where: { $0.hasPrefix(words) }) { return }
                await Task.yield()
            }
        }

        /// Asks the target through the proxy, and goes on.
        func ask(
            _ commands: [String], whenDone: @escaping @Sendable () -> Void = {}
        ) -> Task<[String], any Error> {
            Task { [address] in
                defer { whenDone() }
                return try await ControlCall.send(commands, to: address)
            }
        }

        func close() async {
            await proxy.close()
            await target.close()
        }
    }

    @Test("Bytes pass both ways, and commands are followed and refused over the control port")
    func passes() async throws {
        let lab = try await Lab(["set outside t delay=1ms jitter=1ms loss=0.1"])
        #expect(try await ControlCall.send(["status"], to: lab.address) == ["node x from anywhere"])
        #expect(
            try await ControlCall.send(["heal", "cut t outside", "status"], to: lab.control).prefix(3) == [
                "node t from anywhere", "fault outside > t: cut", "fault t > outside: cut",
            ])
        let error = await #expect(throws: ControlError.self) {
            try await ControlCall.send(["heal", "cut t u"], to: lab.control)
        }
        #expect(error?.description.contains("no node is called \"u\"") == true)
        await lab.close()
        await #expect(throws: ControlError.self) { try await ControlCall.send(["help"], to: lab.control) }
    }

    @Test("What meets a cut waits, and comes when it is healed", arguments: ["outside t", "t outside"])
    func cut(direction: String) async throws {
        let lab = try await Lab(["set \(direction) cut"])
        let answer = lab.ask(["status"])
        let held = direction == "outside t" ? "held 7 bytes there, 0 back" : "held 0 bytes there, 24 back"
        try await lab.wait(for: "connections outside > t: 1, \(held)")
        try await lab.proxy.follow("heal")
        #expect(try await answer.value == ["node x from anywhere"])
        await lab.close()
    }

    @Test("A half-open connection: the target is gone, and who dialled hears nothing before the heal")
    func halfOpen() async throws {
        let lab = try await Lab(["set t outside cut"])
        let isAnswered = Mutex(false)
        let answer = lab.ask(["status"]) { isAnswered.withLock { $0 = true } }
        try await lab.wait(for: "connections outside > t: 1, held 0 bytes there, 24 back")
        await lab.target.close()
        try await lab.wait(for: "connections outside > t: 1, held 0 bytes there, 24 back")
        #expect(!isAnswered.withLock { $0 })
        // What the target said before its end comes first.
        try await lab.proxy.follow("heal")
        #expect(try await answer.value == ["node x from anywhere"])
        await lab.close()
    }

    @Test("What is swallowed is gone: the connection is reset when that is over")
    func swallow() async throws {
        let lab = try await Lab(["set outside t swallow"])
        let answer = lab.ask(["status"])
        try await lab.wait(for: "connections outside > t: 1, held 0 bytes there")
        try await lab.proxy.follow("heal")
        await #expect(throws: ControlError.self) { try await answer.value }
        await lab.close()
    }

    @Test("Connections are reset by a command, and a target that is not there resets who dialled")
    func reset() async throws {
        let lab = try await Lab(["set t outside cut"])
        let answer = lab.ask(["status"])
        try await lab.wait(for: "connections outside > t: 1")
        try await lab.proxy.follow("reset outside t")
        await #expect(throws: ControlError.self) { try await answer.value }
        try await lab.proxy.follow("heal")
        await lab.target.close()
        await #expect(throws: ControlError.self) { try await ControlCall.send(["help"], to: lab.address) }
        await lab.close()
    }
}
