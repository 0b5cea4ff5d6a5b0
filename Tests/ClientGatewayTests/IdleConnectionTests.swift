import ClientGateway
import ClientProtocol
import NIOCore
import NIOPosix
import SessionCore
import Testing

@Suite("Idle connections") struct IdleConnectionTests {
    /// Both ends are in this process, so the usual limit of 20,000 open files allows just below half of it.
    static let count = 9_000

    @Test("Thousands of idle connections: a new client is served, and the old ones still are")
    func thousands() async throws {
        var configuration = GatewayConfiguration()
        // Nothing but their number is the matter here.
        configuration.deadlines.handshake = .seconds(600)
        try await RunningGateway.with(configuration) { running in
            let first = try await running.connect()
            #expect(try await first.ask("GET", "/healthz").status == 200)
            let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            var idle: [any Channel] = []
            for _ in 0..<(Self.count / 100) {
                let batch = (0..<100).map { _ in
                    bootstrap.connect(host: "127.0.0.1", port: running.gateway.port)
                }
                for connecting in batch { idle.append(try await connecting.get()) }
            }
            let last = try await running.connect()
            #expect(try await last.ask("GET", "/healthz").status == 200)
            #expect(try await first.ask("GET", "/healthz").status == 200)
            // All that were accepted before the last one are counted: the backlog is a queue.
            #expect(running.gateway.connectionCount == Self.count + 2)
            for channel in idle { channel.close(promise: nil) }
        }
    }
}
