import ClientProtocol
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket
import SessionCore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The port where clients reach a node: HTTP/1.1, and WebSocket at `/connect`. The protocol is in
/// `docs/protocol.md`.
///
/// Everything malformed ends one request or one connection with its error, never more.
public final class ClientGateway: Sendable {
    /// The port that is bound; the system's choice if 0 was asked for.
    public let port: Int
    private let server: any Channel
    private let group: MultiThreadedEventLoopGroup
    private let inboxes: [LoopInbox]
    private let connections: ConnectionRegistry
    private let logger: Logger
    private let stopping = Mutex<Task<Void, Never>?>(nil)

    private init(
        port: Int, server: any Channel, group: MultiThreadedEventLoopGroup, inboxes: [LoopInbox],
        connections: ConnectionRegistry, logger: Logger
    ) {
        self.port = port
        self.server = server
        self.group = group
        self.inboxes = inboxes
        self.connections = connections
        self.logger = logger
    }

    /// Connections that are open now.
    public var connectionCount: Int { connections.count }

    /// Binds and begins to serve.
    /// - Parameters:
    ///   - service: what clients reach; a `ServiceInWaiting` if it cannot serve yet.
    ///   - cluster: what operators reach below `/cluster`.
    ///   - host: the address to bind, such as `127.0.0.1`.
    ///   - port: 0 for any free one.
    /// - Throws: `CannotListen` if the address cannot be bound.
    public static func start(
        service: any ActorService, cluster: any ClusterAdministration = NoCluster(), host: String, port: Int,
        configuration: GatewayConfiguration = .init(), logger: Logger
    ) async throws -> ClientGateway {
        // Files that the node itself needs stay free, whatever clients do.
        let limit = max(64, OpenFiles.raiseLimit() - 512)
        let connections = ConnectionRegistry(limit: min(configuration.connectionsMax, limit))
        let group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, configuration.threads))
        var inboxes: [ObjectIdentifier: LoopInbox] = [:]
        for loop in group.makeIterator() { inboxes[ObjectIdentifier(loop)] = LoopInbox(loop: loop) }
        let context = GatewayContext(
            service: service, cluster: cluster, configuration: configuration, logger: logger)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: configuration.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            // A client that vanished without a word is found even while it waits for a reply without a limit.
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 32 << 10, high: 64 << 10))
            .childChannelInitializer { [inboxes] channel in
                channel.eventLoop.makeCompletedFuture {
                    guard connections.add(channel) else { throw ConnectionLimitReached() }
                    guard let inbox = inboxes[ObjectIdentifier(channel.eventLoop)] else {
                        throw ConnectionLimitReached()
                    }
                    try Self.addHandlers(to: channel, context: context, inbox: inbox)
                }.flatMapError { error in
                    guard error is ConnectionLimitReached else {
                        return channel.eventLoop.makeFailedFuture(error)
                    }
                    return Self.refuse(channel, linger: configuration.linger)
                }
            }
        do {
            let server = try await bootstrap.bind(host: host, port: port).get()
            let bound = server.localAddress?.port ?? port
            logger.info("serving clients", metadata: ["host": "\(host)", "port": "\(bound)"])
            return ClientGateway(
                port: bound, server: server, group: group, inboxes: Array(inboxes.values),
                connections: connections, logger: logger)
        } catch {
            try? await group.shutdownGracefully()
            throw CannotListen(host: host, port: port, error: error)
        }
    }

    /// Stops accepting, lets requests under way finish, closes WebSockets with code 1001, and ends. A second
    /// call waits for the first.
    /// - Parameter deadline: after that long whatever is left is cut off.
    public func stop(within deadline: Duration) async {
        let task = stopping.withLock { stopping in
            let task = stopping ?? Task { await self.performStop(within: deadline) }
            stopping = task
            return task
        }
        await task.value
    }

    private func performStop(within deadline: Duration) async {
        try? await server.close().get()
        for channel in connections.all {
            channel.pipeline.fireUserInboundEventTriggered(GatewayStopping())
        }
        let loop = group.next()
        let allClosed = connections.whenEmpty(on: loop)
        let timer = loop.scheduleTask(in: TimeAmount(deadline)) { [connections] in
            for channel in connections.all { channel.close(promise: nil) }
        }
        try? await allClosed.get()
        timer.cancel()
        for inbox in inboxes { await inbox.close() }
        try? await group.shutdownGracefully()
        logger.info("no longer serving clients")
    }

    private struct ConnectionLimitReached: Error {}

    /// One connection too many: say so in the one protocol that every client reads, and close.
    private static func refuse(_ channel: any Channel, linger: Duration) -> EventLoopFuture<Void> {
        let body =
            Array("{\"error\":".utf8)
            + {
                var bytes: [UInt8] = []
                JSONWriter.append(error: .overloaded, to: &bytes)
                return bytes
            }() + Array("}".utf8)
        var answer = ByteBuffer(
            string: "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n"
                + "connection: close\r\ncontent-length: \(body.count)\r\n\r\n")
        answer.writeBytes(body)
        // The channel becomes active only after this future; the write waits in its queue until then.
        let bytes = answer
        channel.eventLoop.execute {
            channel.writeAndFlush(bytes).whenComplete { _ in channel.close(promise: nil) }
        }
        return channel.eventLoop.makeSucceededFuture(())
    }

    private static func addHandlers(
        to channel: any Channel, context: GatewayContext, inbox: LoopInbox
    ) throws {
        let watch = ConnectionWatch(loop: channel.eventLoop, settings: context.configuration.deadlines)
        let activity = ActivityHandler(watch: watch)
        let encoder = HTTPResponseEncoder()
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderListSize = context.configuration.headBytesMax
        limits.maxHeaderFieldSize = context.configuration.headBytesMax
        limits.maxHeaderFieldCount = context.configuration.headerFieldsMax
        let decoder = ByteToMessageHandler(
            HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: limits))
        let pipeline = HTTPServerPipelineHandler()
        let handler = HTTPConnectionHandler(gateway: context, inbox: inbox, activity: activity)
        let activityBound = NIOLoopBound(activity, eventLoop: channel.eventLoop)
        let upgrader = WebSocketUpgrader(
            path: ClientWire.path, subprotocols: [ClientWire.subprotocol, ClientWire.subprotocolCBOR]
        ) { channel, subprotocol in
            let decoder = BoundaryFrameDecoder(frameBytesMax: context.configuration.session.messageBytesMax)
            let handler = WebSocketConnectionHandler(
                gateway: context, inbox: inbox, activity: activityBound.value, decoder: decoder,
                isCBOR: subprotocol == ClientWire.subprotocolCBOR)
            try channel.pipeline.syncOperations.addHandlers(ByteToMessageHandler(decoder), handler)
        }
        let upgrade = HTTPServerUpgradeHandler(
            upgraders: [upgrader], httpEncoder: encoder, extraHTTPHandlers: [handler, pipeline, decoder],
            upgradeCompletionHandler: { _ in })
        try channel.pipeline.syncOperations.addHandlers([
            activity, encoder, decoder, pipeline, upgrade, handler,
        ])
    }
}

/// The open connections of a gateway.
final class ConnectionRegistry: Sendable {
    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        var emptied: EventLoopPromise<Void>?
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = limit }

    var count: Int { state.withLock { $0.channels.count } }

    /// False: there are as many as there may be.
    func add(_ channel: any Channel) -> Bool {
        let id = ObjectIdentifier(channel)
        let isAdded = state.withLock { state in
            guard state.channels.count < limit else { return false }
            state.channels[id] = channel
            return true
        }
        if isAdded { channel.closeFuture.whenComplete { _ in self.remove(id) } }
        return isAdded
    }

    private func remove(_ id: ObjectIdentifier) {
        let promise = state.withLock { state -> EventLoopPromise<Void>? in
            state.channels[id] = nil
            guard state.channels.isEmpty else { return nil }
            defer { state.emptied = nil }
            return state.emptied
        }
        promise?.succeed()
    }

    var all: [any Channel] { state.withLock { Array($0.channels.values) } }

    /// Completes when there is no connection left.
    func whenEmpty(on loop: any EventLoop) -> EventLoopFuture<Void> {
        let promise = loop.makePromise(of: Void.self)
        let isEmpty = state.withLock { state in
            if !state.channels.isEmpty { state.emptied = promise }
            return state.channels.isEmpty
        }
        if isEmpty { promise.succeed() }
        return promise.futureResult
    }
}

/// The address for clients cannot be bound.
public struct CannotListen: Error, CustomStringConvertible {
    /// The address that was asked for.
    public let host: String
    public let port: Int
    private let reason: String

    init(host: String, port: Int, error: any Error) {
        self.host = host
        self.port = port
        if let error = error as? IOError {
            reason = String(cString: strerror(error.errnoCode))
        } else {
            reason = "\(error)"
        }
    }

    public var description: String {
        "nothing can listen on \(host):\(port): \(reason); free the address or listen on another one"
    }
}
