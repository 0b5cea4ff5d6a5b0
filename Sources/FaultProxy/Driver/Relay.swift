import MeshProtocol
import MeshTransport
import TimeAndChance

/// The two sockets of one connection through the proxy: carries out what `RelayCore` decides. Used on the
/// loop's thread only.
final class Relay {
    /// From who dialled to the node that the connection is for.
    let direction: FaultTable.Direction
    private let id: Int
    private let server: ProxyServer
    private let target: MeshAddress
    private var core: RelayCore
    private var random: SplitMix64
    /// The socket at the beginning of each way: of who dialled, and of the target.
    private var sockets: [TCPSocket?] = [nil, nil]
    private var openHandles = 0
    private var timer: LoopTimer?
    private var waiting: [RelayEffect] = []
    private var isPerforming = false
    private let buffer: ReadBuffer

    init(
        _ id: Int, of server: ProxyServer, _ direction: FaultTable.Direction, to target: MeshAddress,
        faults: (LinkFault, LinkFault), seed: UInt64, buffer: ReadBuffer
    ) {
        self.id = id
        self.server = server
        self.direction = direction
        self.target = target
        self.buffer = buffer
        random = SplitMix64(seed: seed)
        core = RelayCore(forward: faults.0, back: faults.1, now: EventLoop.now)
    }

    /// Begins with who dialled, who is connected.
    func begin(_ socket: RelaySide) {
        add(socket)
        perform(core.begin(now: EventLoop.now, random: &random))
        arm()
    }

    func handle(_ event: RelayEvent) {
        perform(core.handle(event, now: EventLoop.now, random: &random))
        arm()
    }

    /// Bytes that wait in the proxy, there and back.
    var heldBytes: (forward: Int, back: Int) { (core.heldBytes(.forward), core.heldBytes(.back)) }

    private func add(_ side: RelaySide) {
        side.relay = self
        side.socket?.tune()
        sockets[side.way.rawValue] = side.socket
        openHandles += 1
    }

    // MARK: Carrying out

    /// Effects of one event come before those of the events that they cause.
    private func perform(_ effects: [RelayEffect]) {
        waiting += effects
        guard !isPerforming else { return }
        isPerforming = true
        while !waiting.isEmpty {
            let next = waiting
            waiting = []
            for effect in next { perform(effect) }
        }
        isPerforming = false
    }

    private func perform(_ effect: RelayEffect) {
        switch effect {
        case .dial:
            let side = RelaySide(.back, on: server.loop)
            add(side)
            side.socket?.dial(target)
        case .write(let way, let bytes):
            guard let socket = end(of: way) else { return }
            if bytes.withUnsafeBytes({ socket.write($0) }) { handle(.wrote(way)) }
        case .shutDown(let way): end(of: way)?.finish()
        case .read(let way, let isReading): sockets[way.rawValue]?.read(isReading)
        case .close(let resets):
            for way in Way.allCases {
                if resets.contains(way) { end(of: way)?.reset() } else { end(of: way)?.close() }
            }
            // Sockets that broke are gone already.
            if openHandles == 0 { server.assumeIsolated { [id] in $0.relayClosed(id) } }
        }
    }

    private func end(of way: Way) -> TCPSocket? { sockets[way.other.rawValue] }

    private func arm() {
        guard let deadline = core.nextDeadline else {
            timer?.close()
            timer = nil
            return
        }
        let timer =
            timer
            ?? LoopTimer(on: server.loop.thread) { [server, id] in
                server.assumeIsolated { $0.tick(id) }
            }
        self.timer = timer
        timer.start(after: max(.zero, deadline - EventLoop.now))
    }

    // MARK: What the sockets say

    func space(_ way: Way) -> UnsafeMutableRawBufferPointer {
        let count = max(1, min(buffer.space.count, core.room(way)))
        return UnsafeMutableRawBufferPointer(rebasing: buffer.space[..<count])
    }

    func failed(_ way: Way) {
        sockets[way.rawValue]?.close()
        handle(.broken(way))
    }

    func closed(_ way: Way) {
        sockets[way.rawValue] = nil
        openHandles -= 1
        if openHandles == 0, core.isClosed { server.assumeIsolated { [id] in $0.relayClosed(id) } }
    }
}

/// One of the two sockets of a relay, at the beginning of a way and at the end of the other one.
final class RelaySide: TCPSocketOwner {
    let way: Way
    private(set) var socket: TCPSocket?
    /// Freed when the socket is.
    var relay: Relay?

    init(_ way: Way, on loop: EventLoop) {
        self.way = way
        socket = TCPSocket(on: loop.thread, for: self)
    }

    func socketConnected() { relay?.handle(.connected) }
    func socketSpace() -> UnsafeMutableRawBufferPointer {
        relay?.space(way) ?? UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }
    func socketReceived(_ bytes: UnsafeRawBufferPointer) { relay?.handle(.received(way, Array(bytes))) }
    func socketEnded() { relay?.handle(.ended(way)) }
    func socketFailed(_: String) { relay?.failed(way) }
    func socketWrote() { relay?.handle(.wrote(way.other)) }
    func socketClosed() {
        socket = nil
        relay?.closed(way)
        relay = nil
    }
}
