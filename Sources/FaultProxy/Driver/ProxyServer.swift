import CLibUV
import MeshProtocol
import MeshTransport
import TimeAndChance

/// A node behind the proxy.
package struct ProxyRoute: Hashable, Sendable {
    package var name: String
    /// Where others dial in order to reach the node: numeric; port 0 lets the system choose.
    package var listen: MeshAddress
    /// Where the node is.
    package var target: MeshAddress
    /// The host that the node dials others from, by which its connections are known.
    package var source: String?

    package init(name: String, listen: MeshAddress, target: MeshAddress, source: String? = nil) {
        self.name = name
        self.listen = listen
        self.target = target
        self.source = source
    }
}

/// Stands between nodes and harms what they say to each other: accepts connections, dials whom they are for,
/// and carries bytes as `RelayCore` decides, with the faults of a `FaultTable`.
///
/// An actor on the thread of an event loop. It keeps itself alive from `start` until `close`.
package actor ProxyServer {
    package static let connectionsMax = 1_024
    package static let controlConnectionsMax = 16

    package nonisolated let loop: EventLoop
    package nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private let routes: [ProxyRoute]
    private let controlAddress: MeshAddress?
    private var table: FaultTable
    private var random: SplitMix64
    private let buffer = ReadBuffer()
    private var listeners: [ObjectIdentifier: (listener: TCPListener, route: Int?)] = [:]
    private var relays: [Int: Relay] = [:]
    private var controls: [Int: ControlConnection] = [:]
    private var lastID = 0
    private var openHandles = 0
    private var closeWaiters: [CheckedContinuation<Void, Never>] = []
    /// Connections that were refused as there were too many.
    private var refused = 0

    /// - Parameters:
    ///   - control: where commands are taken; numeric; nil for nowhere.
    ///   - commands: followed before the first connection.
    ///   - seed: the same one makes the same choices for the same connections, in the order of their arrival.
    package init(
        _ routes: [ProxyRoute], control: MeshAddress?, commands: [String] = [], seed: UInt64,
        on loop: EventLoop
    ) throws(ControlError) {
        self.routes = routes
        self.loop = loop
        controlAddress = control
        random = SplitMix64(seed: seed)
        table = try FaultTable(routes.map { FaultTable.Node(name: $0.name, source: $0.source) })
        for command in commands {
            do { _ = try table.handle(command) } catch {
                throw ControlError("\"\(command)\": \(error)")
            }
        }
    }

    /// Where the proxy listens, with the ports that the system chose.
    package struct Addresses: Hashable, Sendable {
        package var nodes: [String: MeshAddress] = [:]
        package var control: MeshAddress?
    }

    /// Listens everywhere, or nowhere.
    package func start() async throws(ControlError) -> Addresses {
        var addresses = Addresses()
        do throws(ControlError) {
            if let controlAddress { addresses.control = try listen(controlAddress, for: nil) }
            for (index, route) in routes.enumerated() {
                addresses.nodes[route.name] = try listen(route.listen, for: index)
            }
            return addresses
        } catch {
            await close()
            throw error
        }
    }

    private func listen(_ address: MeshAddress, for route: Int?) throws(ControlError) -> MeshAddress {
        guard let numeric = SocketAddress(numeric: address) else {
            throw ControlError("listening on \(address) needs a numeric address")
        }
        do {
            let listener = try TCPListener(numeric, on: loop.thread, for: self)
            openHandles += 1
            listeners[ObjectIdentifier(listener)] = (listener, route)
            return listener.address ?? address
        } catch {
            throw ControlError(
                "listening on \(address) failed (\(error)): choose a free port and an address of this machine"
            )
        }
    }

    /// Resets all connections, and returns when libuv has let go of every socket.
    package func close() async {
        for (listener, _) in listeners.values { listener.close() }
        listeners = [:]
        for relay in relays.values { relay.handle(.reset) }
        for control in controls.values { control.close() }
        if openHandles == 0, relays.isEmpty, controls.isEmpty { return }
        await withCheckedContinuation { closeWaiters.append($0) }
    }

    private func closeIfDone() {
        guard openHandles == 0, relays.isEmpty, controls.isEmpty else { return }
        for waiter in closeWaiters { waiter.resume() }
        closeWaiters = []
    }

    // MARK: Commands

    /// Follows a command.
    /// - Returns: what it answers.
    @discardableResult
    package func follow(_ command: String) throws(ControlError) -> [String] {
        var lines: [String] = []
        for effect in try table.handle(command) {
            switch effect {
            case .faultsChanged:
                for relay in relays.values {
                    let (forward, back) = faults(of: relay.direction)
                    relay.handle(.faults(forward: forward, back: back))
                }
            case .reset(let directions):
                for relay in relays.values where directions.contains(relay.direction) { relay.handle(.reset) }
            case .answer(let answer): lines += answer
            case .describeConnections: lines += connections
            }
        }
        return lines
    }

    func answer(_ command: String) -> String {
        do { return (try follow(command) + ["ok"]).map { $0 + "\n" }.joined() } catch {
            return "error: \(error)\n"
        }
    }

    private func faults(of direction: FaultTable.Direction) -> (LinkFault, LinkFault) {
        (
            table[direction],
            table[FaultTable.Direction(from: direction.to, to: direction.from)]
        )
    }

    private var connections: [String] {
        var counts: [FaultTable.Direction: (count: Int, forward: Int, back: Int)] = [:]
        for relay in relays.values {
            let (forward, back) = relay.heldBytes
            counts[relay.direction, default: (0, 0, 0)].count += 1
            counts[relay.direction, default: (0, 0, 0)].forward += forward
            counts[relay.direction, default: (0, 0, 0)].back += back
        }
        let lines = counts.sorted { $0.key < $1.key }.map {
            "connections \($0.key): \($0.value.count), held \($0.value.forward) bytes there, "
                + "\($0.value.back) back"
        }
        return lines + (refused > 0 ? ["refused \(refused): too many at once"] : [])
    }

    // MARK: What the sockets say

    private func arrived(at listener: TCPListener, on stream: UnsafeMutablePointer<uv_stream_t>) {
        guard let (_, route) = listeners[ObjectIdentifier(listener)] else { return }
        lastID += 1
        guard let route else { return arrivedForControl(on: stream) }
        let side = RelaySide(.forward, on: loop)
        guard let socket = side.socket, socket.accept(from: stream), relays.count < Self.connectionsMax,
            let peer = socket.peerAddress
        else {
            refused += 1
            side.socket?.close()
            return
        }
        let node = routes[route]
        let direction = FaultTable.Direction(from: table.dialler(at: peer.host), to: node.name)
        let relay = Relay(
            lastID, of: self, direction, to: node.target, faults: faults(of: direction), seed: random.next(),
            buffer: buffer)
        relays[lastID] = relay
        relay.begin(side)
    }

    private func arrivedForControl(on stream: UnsafeMutablePointer<uv_stream_t>) {
        let control = ControlConnection(lastID, of: self, buffer: buffer)
        controls[lastID] = control
        if !control.accept(from: stream) || controls.count > Self.controlConnectionsMax { control.close() }
    }

    func tick(_ relay: Int) { relays[relay]?.handle(.tick) }

    func relayClosed(_ relay: Int) {
        relays[relay] = nil
        closeIfDone()
    }

    func closeControl(_ control: Int) { controls[control]?.close() }

    func controlClosed(_ control: Int) {
        controls[control] = nil
        closeIfDone()
    }

    private func oneListenerLess() {
        openHandles -= 1
        closeIfDone()
    }
}

extension ProxyServer: TCPListenerOwner {
    package nonisolated func connectionArrived(
        at listener: TCPListener, on stream: UnsafeMutablePointer<uv_stream_t>
    ) {
        // Lent for the duration of the call, on the one thread that both sides run on.
        nonisolated(unsafe) let (listener, stream) = (listener, stream)
        assumeIsolated { $0.arrived(at: listener, on: stream) }
    }

    package nonisolated func listenerClosed() { assumeIsolated { $0.oneListenerLess() } }
}
