import FaultProxy
import MeshProtocol
import MeshTransport

/// The network between the nodes of a test: everything that they say to each other passes a proxy, which cuts
/// it as it is told. Linux answers on all of 127.0.0.0/8, so each node dials from an address of its own, by
/// which the proxy knows it.
final class ClusterNetwork: Sendable {
    private let proxy: ProxyServer
    /// Where the others find each node.
    let advertised: [String]

    static func host(_ index: Int) -> String { "127.0.0.\(11 + index)" }
    static func name(_ index: Int) -> String { "n\(index)" }

    /// - Parameter ports: where the mesh of each node listens.
    init(ports: [Int]) async throws {
        let routes = ports.indices.map { index in
            ProxyRoute(
                name: Self.name(index), listen: MeshAddress(host: "127.0.0.1", port: 0),
                target: MeshAddress(host: Self.host(index), port: UInt16(ports[index])),
                source: Self.host(index))
        }
        proxy = try ProxyServer(routes, control: nil, seed: 1, on: EventLoop(name: "test-network"))
        let addresses = try await proxy.start()
        advertised = routes.map { "\(addresses.nodes[$0.name] ?? $0.listen)" }
    }

    /// Commands of `FaultTable`, one after the other.
    func tell(_ commands: String...) async throws {
        for command in commands { try await proxy.follow(command) }
    }

    func end() async { await proxy.close() }
}
