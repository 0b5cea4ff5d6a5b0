import CEcho
import Foundation
import Identifiers
import MeshProtocol
import MeshTransport
import TimeAndChance

/// Two nodes on two threads, and the same exchange in plain C.
enum MeshSections {
    private struct Shape {
        var name: String
        var bytes: Int
        var window: Int
        var count: Int
        /// Frames are counted one by one, large ones by their bytes.
        var unit: String
        /// The C program moves bytes and does not look at frames, so many small ones are no fair comparison.
        var isComparable = true
        func rate(_ seconds: Double) -> Double {
            unit == "MB/s" ? Double(count * bytes) / seconds / 1_000_000 : Double(count) / seconds
        }
    }

    private static let shapes = [
        Shape(name: "mesh round trips, 64 bytes", bytes: 64, window: 1, count: 40_000, unit: "/s"),
        Shape(
            name: "mesh frames of 64 bytes, 256 under way", bytes: 64, window: 256, count: 1_500_000,
            unit: "/s", isComparable: false),
        Shape(
            name: "mesh echo of 64 KiB, 16 under way", bytes: 65_536, window: 16, count: 30_000,
            unit: "MB/s"),
    ]

    @Sendable static func all() async throws -> [Figure] {
        let authority = try ClusterAuthority(cluster: MeshPair.cluster, at: MeshPair.now)
        var figures: [Figure] = []
        for shape in shapes {
            let plainC = shape.rate(echo_seconds(CInt(shape.bytes), CInt(shape.window), shape.count, 0))
            figures.append(
                Figure(
                    name: "\(shape.name), C with TLS",
                    value: shape.rate(echo_seconds(CInt(shape.bytes), CInt(shape.window), shape.count, 1)),
                    unit: shape.unit, limit: plainC, limitName: "plain C libuv", target: "-", reached: true))
            for (name, issuer) in [("plain", nil), ("TLS", authority)] {
                let pair = try await MeshPair(issuer, bytes: shape.bytes, window: shape.window)
                _ = await pair.run(shape.count / 10)
                let rate = shape.rate(await pair.run(shape.count))
                await pair.close()
                let isReached = !shape.isComparable || rate * 2 >= plainC
                figures.append(
                    Figure(
                        name: "\(shape.name), \(name)", value: rate, unit: shape.unit, limit: plainC,
                        limitName: "plain C libuv", target: shape.isComparable ? ">= half" : "-",
                        reached: isReached))
            }
        }
        return figures
    }
}

/// A node that sends frames, and one that sends them back.
private struct MeshPair {
    static let cluster = ClusterID(high: 1, low: 1)
    static let kind = FrameKind(rawValue: 20)
    static var now: Timestamp { Timestamp(rawValue: UInt64(Date.now.timeIntervalSince1970) * 1_000_000) }

    private let client: EchoClient
    private let server: MeshTransport

    init(_ authority: ClusterAuthority?, bytes: Int, window: Int) async throws {
        let frame = Frame(Self.kind, [UInt8](repeating: 7, count: bytes - Frame.headerBytes))
        server = try Self.transport(2, authority, on: EventLoop(name: "echo")) { transport, event in
            guard case .frame(let frame, let peer) = event else { return }
            transport.send(frame, to: peer.node, on: peer.lane)
        }
        let address = try await server.listen(MeshAddress(host: "127.0.0.1", port: 0))
        let client = EchoClient(frame, window: window)
        self.client = client
        let transport = try Self.transport(1, authority, on: client.loop) { transport, event in
            client.assumeIsolated { $0.heard(event) }
        }
        await client.connect(transport, to: address)
    }

    private static func transport(
        _ node: UInt64, _ authority: ClusterAuthority?, on loop: EventLoop,
        _ handler: @escaping MeshTransport.Handler
    ) throws -> MeshTransport {
        let identity = NodeIdentity(
            cluster: cluster, node: NodeID(rawValue: node), incarnation: Incarnation(rawValue: 1),
            store: StoreID(high: 0, low: node), constants: MapConstants(partitionCount: 1, seedDigest: 0))
        let security: MeshConfiguration.Security =
            if let authority { .mutualTLS(try authority.credentials(for: identity.node, at: now)) } else {
                .plainTCP
            }
        let catalog = try FrameCatalog([FrameCatalog.Entry(kind, "echo", on: [.data])])
        let configuration = MeshConfiguration(identity, security: security, catalog: catalog, seed: node)
        return try MeshTransport(configuration, on: loop, handler: handler)
    }

    /// The seconds that so many frames take there and back.
    func run(_ count: Int) async -> Double { await client.run(count) }

    func close() async {
        await client.close()
        await server.close()
    }
}

/// Lives on the loop of its transport, as a node's own actors do.
private actor EchoClient {
    nonisolated let loop = EventLoop(name: "client")
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private static let server = NodeID(rawValue: 2)
    private let frame: Frame
    private let window: Int
    private var transport: MeshTransport?
    private var sent = 0
    private var received = 0
    private var count = 0
    private var began = ContinuousClock.now
    private var isConnected = false
    private var connected: CheckedContinuation<Void, Never>?
    private var done: CheckedContinuation<Double, Never>?

    init(_ frame: Frame, window: Int) {
        self.frame = frame
        self.window = window
    }

    func connect(_ transport: MeshTransport, to address: MeshAddress) async {
        self.transport = transport
        await transport.connect(Self.server, at: [address], lanes: [.data])
        await withCheckedContinuation { continuation in
            if isConnected { continuation.resume() } else { connected = continuation }
        }
    }

    func run(_ count: Int) async -> Double {
        await withCheckedContinuation { continuation in
            (sent, received, self.count, began, done) = (0, 0, count, .now, continuation)
            sendMore()
        }
    }

    func heard(_ event: MeshEvent) {
        switch event {
        case .connected:
            isConnected = true
            connected?.resume()
            connected = nil
        case .frame:
            received += 1
            sendMore()
            guard received == count else { return }
            done?.resume(returning: (ContinuousClock.now - began).inSeconds)
            done = nil
        default: break
        }
    }

    private func sendMore() {
        let more = min(count - sent, window - (sent - received))
        guard more > 0, let transport else { return }
        sent += more
        transport.assumeIsolated { [frame] transport in
            for _ in 0..<more { transport.send(frame, to: Self.server, on: .data) }
        }
    }

    func close() async { await transport?.close() }
}
