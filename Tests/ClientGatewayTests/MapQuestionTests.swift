import ClientGateway
import ClientProtocol
import FakeActors
import Identifiers
import Logging
import Synchronization
import Testing

/// A cluster whose map never changes: a question that waits is answered when its connection ends.
private final class StillCluster: ClusterAdministration {
    let asked = Mutex<[ClusterOperation]>([])
    let ended = Mutex(0)

    func perform(
        _ operation: ClusterOperation, _ body: Payload
    ) async throws(ActorError) -> Payload {
        asked.withLock { $0.append(operation) }
        guard case .map(_, let waitMillis) = operation, waitMillis > 0 else { return Payload("{}") }
        try? await Task.sleep(for: .seconds(3600))
        ended.withLock { $0 += 1 }
        throw .stopping
    }
}

@Suite("Questions for the map", .timeLimit(.minutes(1))) struct MapQuestionTests {
    @Test("A60: the map is told over WebSocket; questions that wait are bounded and do not hold up a stop")
    func questions() async throws {
        let cluster = StillCluster()
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let service = FakeActorService()
        let gateway = try await ClientGateway.start(
            service: service, cluster: cluster, host: "127.0.0.1", port: 0, logger: logger)
        let socket = try await RawWebSocket(RunningGateway(service: service, gateway: gateway))
        try await socket.send(.map(id: 1, after: 7, waitMillis: 0))
        #expect(try await socket.takeText() == #"{"type":"reply","id":1,"document":{}}"#)
        for id in 2...6 { try await socket.send(.map(id: UInt64(id), after: 7, waitMillis: 1 << 40)) }
        // The fifth is one too many; the others wait, at most as long as the protocol says.
        let refusal = try ServerFrame.decode(Array(try await socket.takeText().utf8))
        #expect(refusal == .error(id: 6, .overloaded))
        let limit = ClientWire.mapWaitMillisMax
        let waiting = ClusterOperation.map(after: 7, waitMillis: limit)
        #expect(
            cluster.asked.withLock { $0 } == [.map(after: 7, waitMillis: 0)]
                + Array(repeating: waiting, count: cluster.asked.withLock { $0.count } - 1))
        // Longer than the test may take: what ends the wait is the end of the connection.
        await gateway.stop(within: .seconds(3000))
        while cluster.ended.withLock({ $0 }) < 4 { await Task.yield() }
    }
}
