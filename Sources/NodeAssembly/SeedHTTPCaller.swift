import ClusterMembership
import HTTPCalls
import MeshProtocol
import NIOHTTP1

/// Asks members over HTTP to let this node in.
public struct SeedHTTPCaller: SeedCaller {
    /// Two certificates and a list of addresses.
    static let answerBytesMax = 256 << 10

    public init() {}

    public func post(_ body: [UInt8], to path: String, at seed: String) async throws -> SeedReply {
        guard let address = MeshAddress(seed) else { throw NoAddress(text: seed) }
        let caller = HTTPCaller(
            host: address.host, port: Int(address.port), bodyBytesMax: Self.answerBytesMax)
        let reply = try await caller.send(.POST, path, body: body)
        return SeedReply(status: reply.status, body: reply.body)
    }

    private struct NoAddress: Error, CustomStringConvertible {
        var text: String
        var description: String { "\"\(text)\" is not HOST:PORT" }
    }
}
