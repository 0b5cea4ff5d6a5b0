import NIOCore
import NIOPosix
import Synchronization

/// A TCP proxy on the loopback that can swallow a node's replies and cut every connection.
final class CuttingProxy: Sendable {
    private struct State {
        var channels: [any Channel] = []
        /// Connections belong to the generation in which they were made; a cut begins a new one.
        var generation = 0
        var swallowedGeneration = -1
    }

    private let state = Mutex(State())
    private let server = Mutex<(any Channel)?>(nil)

    var port: Int { server.withLock { $0?.localAddress?.port ?? 0 } }

    static func start(to port: Int) async throws -> CuttingProxy {
        let proxy = CuttingProxy()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { client in
                let generation = proxy.state.withLock { state in
                    state.channels.append(client)
                    return state.generation
                }
                return ClientBootstrap(group: client.eventLoop)
                    .channelInitializer { upstream in
                        upstream.eventLoop.makeCompletedFuture {
                            try upstream.pipeline.syncOperations.addHandler(
                                Pipe(to: client) { proxy.swallows(generation) })
                        }
                    }
                    .connect(host: "127.0.0.1", port: port)
                    .flatMapThrowing { upstream in
                        try client.pipeline.syncOperations.addHandler(Pipe(to: upstream) { false })
                    }
                    .flatMap { client.setOption(.autoRead, value: true) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        proxy.server.withLock { $0 = channel }
        return proxy
    }

    private func swallows(_ generation: Int) -> Bool {
        state.withLock { $0.swallowedGeneration >= generation }
    }

    /// From now on no reply comes through the connections that there are.
    func swallowReplies() { state.withLock { $0.swallowedGeneration = $0.generation } }

    /// Cuts all connections; later ones work.
    func cut() {
        let channels = state.withLock { state in
            defer { state.channels = [] }
            state.generation += 1
            return state.channels
        }
        for channel in channels { channel.close(promise: nil) }
    }

    func stop() async throws {
        cut()
        try await server.withLock { $0 }?.close()
    }

    private final class Pipe: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let other: any Channel
        private let swallows: @Sendable () -> Bool

        init(to other: any Channel, swallows: @escaping @Sendable () -> Bool) {
            self.other = other
            self.swallows = swallows
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            if !swallows() { other.writeAndFlush(unwrapInboundIn(data), promise: nil) }
        }
        func channelInactive(context: ChannelHandlerContext) { other.close(promise: nil) }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
