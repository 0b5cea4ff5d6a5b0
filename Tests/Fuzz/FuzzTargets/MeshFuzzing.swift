import Identifiers
import MeshProtocol

extension FuzzTarget {
    /// What another node sends: what is accepted as frames encodes to the same bytes again.
    public static let meshStream = FuzzTarget("MeshStream", corpus: streams) { bytes in
        var decoder = FrameDecoder(payloadBytesMax: 1024, lane: .data)
        var again: [UInt8] = []
        bytes.withUnsafeBytes { bytes in
            var input = bytes
            while let frame = try? decoder.next(&input) { again += frame.encoded(on: .data) }
        }
        guard again.count <= bytes.count, again.elementsEqual(bytes[..<again.count]) else {
            return "frames were accepted that encode to other bytes"
        }
        return nil
    }

    /// The first two frames of a stranger, as a kind and a payload each: neither side may take one for a
    /// whole handshake.
    public static let meshHandshake = FuzzTarget("MeshHandshake", corpus: greetings) { bytes in
        let cut = min(bytes.count, 66)
        for role in [Handshake.Role.acceptor, .dialler(.data, expected: nil)] {
            var handshake = Handshake(identity(1), as: role, certificate: nil)
            for (index, part) in [bytes[..<cut], bytes[cut...]].enumerated() {
                guard let kind = part.first else { continue }
                let frame = Frame(FrameKind(rawValue: kind), Array(part.dropFirst()))
                let outcome = handshake.received(frame, directory: PeerDirectory()) { _ in false }
                if case .established = outcome, index == 0 { return "one frame was a whole handshake" }
                if case .established(_, let peer) = outcome, peer.node == NodeID(rawValue: 1) {
                    return "a node is its own peer"
                }
            }
        }
        return nil
    }

    private static func identity(_ node: UInt64) -> NodeIdentity {
        NodeIdentity(
            cluster: ClusterID(high: 1, low: 2), node: NodeID(rawValue: node),
            incarnation: Incarnation(rawValue: 3),
            store: StoreID(high: 4, low: node), constants: MapConstants(partitionCount: 256, seedDigest: 5))
    }

    private static let streams: [[UInt8]] = {
        let frames = [
            Frame(FrameKind(rawValue: 20), Array("hello".utf8)), Frame(FrameKind(rawValue: 4)),
            Frame(FrameKind(rawValue: 255), [UInt8](repeating: 3, count: 300)),
        ]
        return frames.map { $0.encoded(on: .data) } + [frames.flatMap { $0.encoded(on: .data) }]
    }()

    private static let greetings: [[UInt8]] = {
        let dialler = Handshake(identity(2), as: .dialler(.data, expected: nil), certificate: nil)
        let hello = dialler.opening.flatMap { [$0.kind.rawValue] + $0.payload }
        let farewell: [UInt8] = [3, 1, 5] + Array("sorry".utf8)
        return [hello, hello + [2, 1, 0, 0, 0], hello + farewell, farewell]
    }()
}
