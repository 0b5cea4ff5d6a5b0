import MeshProtocol
import NodeAssembly
import PlacementCore
import Testing

@Suite("How a node takes part in a cluster") struct ClusterConfigurationTests {
    private static func address(_ text: String) throws -> MeshAddress { try #require(MeshAddress(text)) }

    @Test("What a node says of itself can be dialled")
    func profile() throws {
        var cluster = ClusterConfiguration(mesh: try Self.address("10.0.0.1:7430"), zone: "a")
        #expect(cluster.objection == nil)
        let clients = try Self.address("0.0.0.0:7420")
        #expect(
            cluster.profile(clients: clients)
                == NodeProfile(meshAddress: "10.0.0.1:7430", clientAddress: "10.0.0.1:7420", zone: "a"))
        cluster.mesh = try Self.address("[::]:7430")
        cluster.advertisedMesh = try Self.address("n1:9430")
        #expect(cluster.profile(clients: clients).clientAddress == "n1:7420")
        cluster.advertisedClients = try Self.address("front:80")
        #expect(cluster.objection == nil)
        #expect(cluster.profile(clients: clients).meshAddress == "n1:9430")
        #expect(cluster.profile(clients: clients).clientAddress == "front:80")
    }

    @Test(
        "Addresses that nobody can dial are refused with a sentence",
        arguments: [
            ("0.0.0.0:7430", nil, nil, "--advertise"), ("[::]:7430", nil, nil, "--advertise"),
            ("10.0.0.1:0", nil, nil, "a port of its own"), ("10.0.0.1:1", "n1:0", nil, "a port of its own"),
            ("10.0.0.1:1", "0.0.0.0:1", nil, "--advertise"),
            ("10.0.0.1:1", nil, "0.0.0.0:1", "--advertise-clients"),
        ])
    func refused(_ mesh: String, _ advertised: String?, _ clients: String?, _ part: String) throws {
        let cluster = ClusterConfiguration(
            mesh: try Self.address(mesh), advertisedMesh: try advertised.map(Self.address),
            advertisedClients: try clients.map(Self.address))
        #expect(cluster.objection?.contains(part) == true)
    }
}
