import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// Stands in for the services that the announced programs call (payments, mail, warehouse): it records each
/// call,
/// answers it, and fails or delays on demand.
///
/// - Any method and path: recorded, answered 200 with a `ServiceAnswer`.
/// - `GET /_calls`: all recorded calls in order, or with `?prefix=PATH` those whose path begins so;
///   `DELETE /_calls` forgets them.
/// - `POST /_fail`: adds a `Fault`; `GET /_fail` lists those left, `DELETE /_fail` clears them.
public final class OutsideWorldServer: Sendable {
    /// How much is remembered before further calls are refused with 507.
    public struct Limits: Sendable {
        public var callsMax = 1_000_000
        /// Sum over paths, bodies and keys.
        public var recordedBytesMax = 1 << 30
        /// One request's body; above it the answer is 413 and the connection is closed.
        public var bodyBytesMax = 1 << 20
        public init() {}
    }

    /// The host given to `start`.
    public let host: String
    /// The port that is listened on, also when `start` was asked for any (0).
    public let port: Int
    private let group: MultiThreadedEventLoopGroup
    private let channel: any Channel
    private let world: World

    private init(
        host: String, port: Int, group: MultiThreadedEventLoopGroup, channel: any Channel, world: World
    ) {
        self.host = host
        self.port = port
        self.group = group
        self.channel = channel
        self.world = world
    }

    /// Listens and serves until `stop`.
    /// - Parameter port: 0 for any free one.
    public static func start(
        host: String = "127.0.0.1", port: Int, limits: Limits = Limits()
    ) async throws -> OutsideWorldServer {
        let world = World(limits: limits)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            let channel = try await ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 1024)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
                        try pipeline.addHandler(CallHandler(world: world))
                    }
                }
                .bind(host: host, port: port).get()
            return OutsideWorldServer(
                host: host, port: channel.localAddress?.port ?? port, group: group, channel: channel,
                world: world)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    /// What was received so far, in order.
    public var calls: [RecordedCall] { world.log.withLock { $0.calls } }

    /// Forgets the calls received so far.
    public func clearCalls() { world.log.withLock { $0.clearCalls() } }

    /// Plays a fault on the next matching calls.
    public func fail(_ fault: Fault) { world.log.withLock { $0.add(fault) } }

    /// Removes all faults.
    public func clearFaults() { world.log.withLock { $0.clearFaults() } }

    /// Closes the port and all connections; calls in a delay are not answered.
    public func stop() async throws {
        try? await channel.close()
        try await group.shutdownGracefully()
    }
}

/// What the handlers of all connections share.
final class World: Sendable {
    let limits: OutsideWorldServer.Limits
    let log: Mutex<CallLog>

    init(limits: OutsideWorldServer.Limits) {
        self.limits = limits
        log = Mutex(CallLog(callsMax: limits.callsMax, bytesMax: limits.recordedBytesMax))
    }

    /// A response that is due after a delay.
    struct Response {
        var status: HTTPResponseStatus
        var json: Data
        var delayMs: Int64 = 0
    }

    func respond(to head: HTTPRequestHead, body: String) -> Response {
        let parts = head.uri.split(separator: "?", maxSplits: 1).map(String.init)
        let path = parts.first ?? "/"
        switch path {
        case "/_calls", "/_fail":
            return control(head.method, path, query: parts.dropFirst().first, body: body)
        default: return receive(head, body: body)
        }
    }

    private func receive(_ head: HTTPRequestHead, body: String) -> Response {
        let verdict = log.withLock {
            $0.receive(
                method: head.method.rawValue, path: head.uri, body: body,
                idempotencyKey: head.headers.first(name: "Idempotency-Key"),
                at: Int64(Date().timeIntervalSince1970 * 1000))
        }
        switch verdict {
        case .answer(let answer, let delay):
            return Response(status: .ok, json: Self.encode(answer), delayMs: delay)
        case .fail(let status, let delay):
            var response = Self.refusal(.init(statusCode: status), "failing with \(status), as asked")
            response.delayMs = delay
            return response
        case .full:
            return Self.refusal(
                .insufficientStorage, "the record of calls is full; DELETE /_calls makes room")
        }
    }

    private func control(_ method: HTTPMethod, _ path: String, query: String?, body: String) -> Response {
        switch (method, path) {
        case (.GET, "/_calls"):
            guard query?.hasPrefix("prefix=") ?? true else {
                return Self.refusal(.badRequest, "expected /_calls?prefix=PATH")
            }
            let prefix = query?.dropFirst("prefix=".count) ?? ""
            let calls = log.withLock { $0.calls.filter { $0.path.hasPrefix(prefix) } }
            return Response(status: .ok, json: Self.encode(calls))
        case (.DELETE, "/_calls"):
            log.withLock { $0.clearCalls() }
            return Response(status: .ok, json: Data(#"{"ok":true}"#.utf8))
        case (.GET, "/_fail"):
            return Response(status: .ok, json: Self.encode(log.withLock { $0.faults }))
        case (.DELETE, "/_fail"):
            log.withLock { $0.clearFaults() }
            return Response(status: .ok, json: Data(#"{"ok":true}"#.utf8))
        case (.POST, "/_fail"):
            guard let fault = try? JSONDecoder().decode(Fault.self, from: Data(body.utf8)) else {
                return Self.refusal(
                    .badRequest, #"expected {"path": prefix, "times": n, "status": 500, "delayMs": 0}"#)
            }
            if let objection = fault.objection { return Self.refusal(.badRequest, objection) }
            log.withLock { $0.add(fault) }
            return Response(status: .ok, json: Data(#"{"ok":true}"#.utf8))
        default:
            return Self.refusal(.methodNotAllowed, "\(method.rawValue) \(path) has no meaning")
        }
    }

    static func refusal(_ status: HTTPResponseStatus, _ sentence: String) -> Response {
        Response(status: status, json: encode(["error": sentence]))
    }

    private static func encode(_ value: some Encodable) -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Encoding strings and numbers cannot fail; an empty body would show if it ever did.
        return (try? encoder.encode(value)) ?? Data()
    }
}
