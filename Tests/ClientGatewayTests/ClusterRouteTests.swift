import ClientGateway
import ClientProtocol
import FakeActors
import Identifiers
import Logging
import Synchronization
import Testing

/// Repeats what it was asked.
private final class EchoingAdministration: ClusterAdministration {
    let asked = Mutex<[ClusterOperation]>([])

    func perform(
        _ operation: ClusterOperation, _ body: Payload
    ) async throws(ActorError) -> Payload {
        asked.withLock { $0.append(operation) }
        if operation == .down { throw ActorError("unknown_node", "no such node", group: "cluster") }
        return Payload("{\"body\":\(body.text)}")
    }
}

@Suite("Cluster routes") struct ClusterRouteTests {
    /// A gateway in front of a service that is not there yet.
    private static func with(
        _ body: (RawConnection, ServiceInWaiting, EchoingAdministration) async throws -> Void
    ) async throws {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let (service, cluster) = (ServiceInWaiting(.notMember), EchoingAdministration())
        let gateway = try await ClientGateway.start(
            service: service, cluster: cluster, host: "127.0.0.1", port: 0, logger: logger)
        do {
            try await body(try await RawConnection(port: gateway.port), service, cluster)
            await gateway.stop(within: .milliseconds(200))
        } catch {
            await gateway.stop(within: .milliseconds(200))
            throw error
        }
    }

    @Test("Every command has its route, its method and its body")
    func routes() async throws {
        try await Self.with { http, _, cluster in
            let routes: [(String, String, ClusterOperation)] = [
                ("GET", "/cluster", .describe), ("GET", "/cluster/nodes", .nodes),
                ("GET", "/cluster/partitions", .partitions), ("GET", "/cluster/tokens", .tokens),
                ("POST", "/cluster/init", .initialize), ("POST", "/cluster/join", .join),
                ("POST", "/cluster/tokens", .createToken), ("POST", "/cluster/admit", .admit),
                ("POST", "/cluster/promote", .promote), ("POST", "/cluster/move", .move),
                ("DELETE", "/cluster/tokens/00ff", .revokeToken("00ff")),
                ("GET", "/cluster/map", .map(after: nil, waitMillis: 0)),
                ("GET", "/cluster/map?after=17", .map(after: 17, waitMillis: 0)),
            ]
            for (method, path, _) in routes {
                let answer = try await http.ask(method, path, method == "POST" ? #"{"a":1}"# : nil)
                #expect(answer.status == 200, "\(method) \(path)")
                #expect(answer.body == (method == "POST" ? #"{"body":{"a":1}}"# : #"{"body":null}"#))
            }
            #expect(cluster.asked.withLock { $0 } == routes.map(\.2))
            let refused = try await http.ask("POST", "/cluster/down", "{}")
            #expect(refused.status == 404 && refused.body.contains(#""code":"unknown_node""#))
        }
    }

    @Test("What is no command is refused before it gets there")
    func nonsense() async throws {
        try await Self.with { http, _, cluster in
            let cases: [(String, String, String?, Int)] = [
                ("POST", "/cluster", "{}", 405), ("GET", "/cluster/init", nil, 405),
                ("PUT", "/cluster/tokens", "{}", 405), ("POST", "/cluster/tokens/00", "{}", 405),
                ("DELETE", "/cluster/nodes", nil, 405), ("GET", "/cluster/", nil, 404),
                ("POST", "/cluster/map", "{}", 405), ("GET", "/cluster/map?after=x", nil, 400),
                ("GET", "/cluster/other", nil, 404), ("DELETE", "/cluster/nodes/1", nil, 404),
                ("DELETE", "/cluster/tokens/", nil, 404), ("GET", "/cluster/a/b/c", nil, 404),
                ("POST", "/cluster/init", "{", 400),
            ]
            for (method, path, body, status) in cases {
                let answer = try await http.ask(method, path, body)
                #expect(answer.status == status, "\(method) \(path)")
            }
            let blanks = String(repeating: " ", count: 70_000)
            #expect(try await http.ask("POST", "/cluster/admit", "\(blanks)1").status == 413)
            #expect(cluster.asked.withLock { $0 }.isEmpty)
        }
    }

    @Test("Before the node is a member, everything else says so; from then on it is served")
    func notMember() async throws {
        try await Self.with { http, service, _ in
            let requests: [(String, String, String?)] = [
                ("GET", "/healthz", nil), ("GET", "/status", nil), ("GET", "/actors", nil),
                ("PUT", "/actors/counter/a", nil), ("GET", "/actors/counter/a", nil),
                ("POST", "/actors/counter/a/actions/increment", "1"),
            ]
            for (method, path, body) in requests {
                let answer = try await http.ask(method, path, body)
                #expect(answer.status == 503, "\(method) \(path)")
                #expect(answer.body.contains(#""group":"node","code":"not_member""#), "\(answer.body)")
                #expect(answer.body.contains("apus cluster init"), "\(answer.body)")
            }
            #expect(throws: ActorError.notMember) {
                let address = ActorAddress(kind: try ActorKind("counter"), key: try ActorKey(["a"]))
                _ = try service.subscribe(to: "changed", of: address) { _ in }
            }
            service.wait(for: ActorError("starting", "a moment", group: "node"))
            #expect(try await http.ask("GET", "/healthz").body.contains(#""code":"starting""#))
            let actors = FakeActorService()
            service.begin(actors)
            #expect(try await http.ask("GET", "/healthz").body == #"{"status":"ok"}"#)
            #expect(try await http.ask("POST", requests[5].1, "1").body == #"{"output":1}"#)
            #expect(service.kinds == actors.kinds && actors.executions == 1)
        }
    }

    @Test("A node alone says that it is")
    func alone() async throws {
        try await RunningGateway.with { running in
            let http = try await running.connect()
            let cluster = try await http.ask("GET", "/cluster")
            #expect(
                cluster.status == 200 && cluster.body.hasPrefix(#"{"member":false,"message":"this node was"#))
            let refused = try await http.ask("POST", "/cluster/init", "{}")
            #expect(refused.status == 409 && refused.body.contains("start it with --mesh"))
        }
    }
}
