import Identifiers
import MeshProtocol
import Testing
import TimeAndChance

@testable import MeshTransport

@Suite("Nodes on loopback", .timeLimit(.minutes(2)))
struct TransportTests {
    static let allLanes = Set(MeshLane.allCases)

    private func frame(_ payload: [UInt8]) -> Frame { Frame(Lab.kind, payload) }

    @Test(
        "A70: three nodes exchange frames on all lanes over mutual TLS, in order", arguments: [false, true])
    func exchange(plain: Bool) async throws {
        let lab = try Lab()
        var nodes: [LabNode] = []
        for id in 1...3 { nodes.append(try await lab.node(UInt64(id), plain: plain)) }
        // Everybody dials everybody at the same time.
        for node in nodes {
            for other in nodes where other.id != node.id {
                await node.connect(to: other, lanes: Self.allLanes)
            }
        }
        for node in nodes {
            for other in nodes where other.id != node.id {
                await node.isConnected(to: other, lanes: Self.allLanes)
                // The connections of simultaneous dials may still replace each other: only what is queued on
                // the one that stays arrives.
                for index in 0..<100 {
                    while await node.transport.send(frame([UInt8(index)]), to: other.id, on: .data) != .queued
                    {
                        await Task.yield()
                    }
                }
            }
        }
        for node in nodes {
            for other in nodes where other.id != node.id {
                await node.log.wait {
                    if case .frame(let frame, let peer) = $0 {
                        peer.node == other.id && frame.payload == [99] && peer.store == other.identity.store
                    } else {
                        false
                    }
                }
            }
        }
        for node in nodes { await node.transport.close() }
    }

    @Test("A frame of 16 MiB passes, together with small ones on either side", arguments: [false, true])
    func largeFrames(plain: Bool) async throws {
        let lab = try Lab()
        let left = try await lab.node(1, plain: plain)
        let right = try await lab.node(2, plain: plain)
        await left.connect(to: right, lanes: [.bulk])
        await left.isConnected(to: right, lanes: [.bulk])
        var random = SplitMix64(seed: 5)
        let sizes = [1, Frame.payloadBytesMax, 0, 100_000, 16_384, 65_536 - 12, 7]
        let payloads = sizes.map { size in
            var payload = [UInt8](repeating: 0, count: size)
            // Different bytes here and there, so that a piece in the wrong place shows.
            for place in stride(from: 0, to: size, by: 1001) { payload[place] = UInt8(random.next() & 0xFF) }
            return payload
        }
        for payload in payloads {
            #expect(await left.transport.send(frame(payload), to: right.id, on: .bulk) == .queued)
        }
        #expect(await right.payloads(from: left, count: sizes.count) == payloads)
        await left.transport.close()
        await right.transport.close()
    }

    @Test("A71: a peer that never reads costs bounded memory and is closed by the deadline for progress")
    func neverReads() async throws {
        var settings = MeshSettings()
        settings.deadlines.writeProgress = .milliseconds(500)
        // The peer does not answer pings either, which is another reason than the one to be shown.
        settings.deadlines.idle = .seconds(600)
        settings.dataQueue = QueueLimits(
            bytesMax: 2 << 20, framesMax: 1000, highBytes: 1 << 20, lowBytes: 1 << 19)
        let lab = try Lab()
        let node = try await lab.node(1, plain: true, settings: settings)
        let peer = Lab.identity(2)
        let socket = try await blocking {
            let socket = try RawSocket(port: node.address.port)
            try socket.greet(as: peer)
            return socket
        }
        await node.log.wait { if case .connected = $0 { true } else { false } }
        let payload = [UInt8](repeating: 1, count: 1 << 18)
        // The system's own buffers take some megabytes; after them the queue is full until the connection
        // ends.
        var outcome = SendOutcome.full
        while outcome == .full {
            outcome = await flood(
                node.transport, payload, to: peer.node, bytesMax: settings.dataQueue.bytesMax)
            await Task.yield()
        }
        #expect(outcome == .notConnected)
        #expect(await node.failure() == .notReading)
        #expect(node.log.events.contains { if case .backPressure(_, true) = $0 { true } else { false } })
        withExtendedLifetime(socket) {}
        await node.transport.close()
    }

    /// Sends until it is refused, in one go.
    private func flood(
        _ transport: isolated MeshTransport, _ payload: [UInt8], to peer: NodeID, bytesMax: Int
    ) -> SendOutcome {
        while true {
            let outcome = transport.send(frame(payload), to: peer, on: .data)
            guard outcome == .queued else { return outcome }
            #expect(transport.pendingBytes(to: peer, on: .data) <= bytesMax)
        }
    }

    @Test("A receiver that pauses holds the sender back; when it goes on everything arrives in order")
    func backPressure() async throws {
        let lab = try Lab()
        let left = try await lab.node(1)
        let right = try await lab.node(2)
        await left.connect(to: right)
        await left.isConnected(to: right)
        await right.isConnected(to: left)
        await right.transport.pauseReading(left.id, on: .data, true)
        let count = 24
        for index in 0..<count {
            let payload = [UInt8](repeating: UInt8(index), count: 1 << 20)
            #expect(await left.transport.send(frame(payload), to: right.id, on: .data) == .queued)
        }
        await left.log.wait { if case .backPressure(_, true) = $0 { true } else { false } }
        #expect(await left.transport.pendingBytes(to: right.id, on: .data) > 4 << 20)
        await right.transport.pauseReading(left.id, on: .data, false)
        await left.log.wait { if case .backPressure(_, false) = $0 { true } else { false } }
        let payloads = await right.payloads(from: left, count: count)
        #expect(payloads.map { $0[0] } == (0..<count).map { UInt8($0) })
        await left.transport.close()
        await right.transport.close()
    }

    @Test("A connection that is cut comes back by itself")
    func reconnect() async throws {
        let lab = try Lab()
        let left = try await lab.node(1, settings: Lab.quick)
        let right = try await lab.node(2)
        let proxy = try CuttingProxy(to: right.address.port)
        let address = MeshAddress(host: "127.0.0.1", port: proxy.port)
        await left.transport.connect(right.id, at: [address], lanes: [.data])
        for round in 1...5 {
            for node in [left, right] {
                await node.log.wait(round) { if case .connected = $0 { true } else { false } }
            }
            #expect(await left.transport.send(frame([UInt8(round)]), to: right.id, on: .data) == .queued)
            #expect(await right.payloads(from: left, count: round).last == [UInt8(round)])
            proxy.cut()
            for node in [left, right] {
                await node.log.wait(round) { if case .disconnected = $0 { true } else { false } }
            }
        }
        proxy.stop()
        await left.transport.close()
        await right.transport.close()
    }

    @Test("A connection that swallows everything is noticed by both ends and replaced")
    func halfOpen() async throws {
        var settings = Lab.quick
        settings.deadlines.idle = .milliseconds(100)
        settings.deadlines.pong = .milliseconds(200)
        settings.deadlines.handshake = .milliseconds(300)
        let lab = try Lab()
        let left = try await lab.node(1, settings: settings)
        let right = try await lab.node(2, settings: settings)
        let proxy = try CuttingProxy(to: right.address.port)
        let address = MeshAddress(host: "127.0.0.1", port: proxy.port)
        await left.transport.connect(right.id, at: [address], lanes: [.control])
        await right.log.wait { if case .connected = $0 { true } else { false } }
        proxy.swallow(true)
        for node in [left, right] {
            await node.log.wait { if case .disconnected(_, .noPong) = $0 { true } else { false } }
        }
        proxy.swallow(false)
        await left.log.wait(2) { if case .connected = $0 { true } else { false } }
        proxy.stop()
        await left.transport.close()
        await right.transport.close()
    }

    @Test("R15: a restarted node takes its place, and its older process stays out")
    func restart() async throws {
        let lab = try Lab()
        let left = try await lab.node(1, settings: Lab.quick)
        let old = try await lab.node(2)
        await left.connect(to: old)
        await left.isConnected(to: old)
        let new = try await lab.node(2, identity: Lab.identity(2, incarnation: 2))
        await new.connect(to: left)
        await left.log.wait {
            if case .connected(let peer) = $0 { peer.incarnation.rawValue == 2 } else { false }
        }
        let reason = await old.failure()
        guard case .refusedByPeer(let refusal) = reason else {
            Issue.record("\(reason)")
            return
        }
        #expect(refusal.code == .superseded)
        await old.connect(to: left)
        await old.log.wait {
            if case .dialFailed(_, _, _, .refusedByPeer(let refusal), _) = $0 {
                refusal.code == .oldIncarnation
            } else {
                false
            }
        }
        for node in [left, old, new] { await node.transport.close() }
    }

    @Test("200 connections at once", arguments: [false, true])
    func manyConnections(plain: Bool) async throws {
        // A slow machine takes its time for 400 handshakes.
        var settings = MeshSettings()
        (settings.deadlines.connect, settings.deadlines.handshake) = (.seconds(60), .seconds(60))
        (settings.deadlines.idle, settings.deadlines.pong) = (.seconds(30), .seconds(30))
        let lab = try Lab()
        let hub = try await lab.node(1000, plain: plain, settings: settings, loop: EventLoop(name: "hub"))
        var spokes: [LabNode] = []
        for id in 1...67 { spokes.append(try await lab.node(UInt64(id), plain: plain, settings: settings)) }
        for spoke in spokes { await spoke.connect(to: hub, lanes: Self.allLanes) }
        await hub.log.wait(201) { if case .connected = $0 { true } else { false } }
        for spoke in spokes {
            for lane in MeshLane.allCases {
                #expect(await hub.transport.send(frame([1]), to: spoke.id, on: lane) == .queued)
            }
        }
        for spoke in spokes { _ = await spoke.payloads(from: hub, count: 3) }
        await hub.transport.close()
        #expect(await hub.transport.openHandles == 0)
        for spoke in spokes {
            await spoke.log.wait(3) { if case .disconnected = $0 { true } else { false } }
            await spoke.transport.close()
        }
    }

    @Test("After a close libuv has nothing left, whatever was under way, and the thread ends")
    func cleanEnd() async throws {
        let lab = try Lab()
        let ended = AsyncStream<CInt>.makeStream()
        let right = try await lab.node(9)
        do {
            let loop = EventLoop(name: "ends") { ended.continuation.yield($0) }
            let node = try await lab.node(1, loop: loop)
            // Established, refused, never answered, half greeted, and looked up: all at once.
            await node.connect(to: right, lanes: Self.allLanes)
            await node.isConnected(to: right, lanes: Self.allLanes)
            let silent = try await blocking { try RawSocket(port: node.address.port) }
            await node.transport.connect(
                NodeID(rawValue: 7), at: [MeshAddress(host: "127.0.0.1", port: 1)], lanes: [.data])
            await node.transport.connect(
                NodeID(rawValue: 8), at: [MeshAddress(host: "192.0.2.1", port: 1)], lanes: [.data])
            await node.transport.introduce(MeshAddress(host: "name.invalid", port: 1))
            await node.transport.schedule(after: .seconds(100), every: .seconds(1)) { _ in }
            await node.transport.send(frame([UInt8](repeating: 1, count: 1 << 20)), to: right.id, on: .bulk)
            await node.transport.close()
            #expect(await node.transport.openHandles == 0)
            #expect(node.log.events.last == .stopped)
            await node.transport.close()
            #expect(await node.transport.schedule(after: .zero) { _ in } == nil)
            withExtendedLifetime(silent) {}
        }
        var iterator = ended.stream.makeAsyncIterator()
        #expect(await iterator.next() == 0)
        await right.transport.close()
    }

    @Test("Timers run on the loop, once or again and again until they are cancelled")
    func timers() async throws {
        let lab = try Lab()
        let node = try await lab.node(1)
        let ticks = AsyncStream<Bool>.makeStream()
        let body: @Sendable (isolated MeshTransport) -> Void = { transport in
            transport.preconditionIsolated()
            ticks.continuation.yield(true)
        }
        let timer = try #require(await node.transport.schedule(after: .zero, every: .milliseconds(1), body))
        var iterator = ticks.stream.makeAsyncIterator()
        for _ in 0..<5 { _ = await iterator.next() }
        await node.transport.cancel(timer)
        await node.transport.schedule(after: .milliseconds(1)) { _ in ticks.continuation.finish() }
        while await iterator.next() != nil {}
        await node.transport.close()
    }

    @Test("The handler answers on the loop without a hop, and names are looked up")
    func echoByName() async throws {
        let lab = try Lab()
        let echo = try await lab.node(2) { transport, event in
            guard case .frame(let frame, let peer) = event else { return }
            transport.send(frame, to: peer.node, on: peer.lane)
        }
        let node = try await lab.node(1)
        let address = MeshAddress(host: "localhost", port: echo.address.port)
        await node.transport.introduce(address)
        let found = await node.log.first { if case .connected(let peer) = $0 { peer } else { nil } }
        #expect(found.node == echo.id)
        #expect(await node.transport.send(frame([5]), to: echo.id, on: .control) == .queued)
        #expect(await node.payloads(from: echo, count: 1) == [[5]])
        await node.transport.introduce(MeshAddress(host: "name.invalid", port: 1))
        let sentence = await node.log.first { event -> String? in
            if case .dialFailed(nil, _, _, .transport(let sentence), _) = event { sentence } else { nil }
        }
        #expect(sentence.hasPrefix("the name name.invalid cannot be resolved"))
        await node.transport.close()
        await echo.transport.close()
    }

    @Test("A node dials from the address that it is told to, and says what is wrong with another one")
    func dialFrom() async throws {
        let lab = try Lab()
        let right = try await lab.node(2)
        // Nobody has this address (RFC 5737), so the connection cannot be made from it.
        let left = try await lab.node(1, settings: Lab.quick, dialFrom: "192.0.2.1")
        await left.connect(to: right, lanes: [.control])
        let reason = await left.log.first {
            if case .dialFailed(_, _, _, let reason, _) = $0 { "\(reason)" } else { nil }
        }
        #expect(reason.contains("192.0.2.1"), "\(reason)")
        let other = try await lab.node(3, dialFrom: "127.0.0.1")
        await other.connect(to: right, lanes: [.control])
        await other.isConnected(to: right, lanes: [.control])
        await #expect(throws: MeshTransportError.dialFrom("here")) {
            _ = try await lab.node(4, dialFrom: "here")
        }
        for node in [left, right, other] { await node.transport.close() }
    }

    @Test("A port that is taken is an error that says what to do")
    func portTaken() async throws {
        let lab = try Lab()
        let node = try await lab.node(1)
        await #expect(throws: MeshTransportError.self) {
            do { _ = try await lab.node(2, port: node.address.port) } catch {
                #expect("\(error)".contains("choose a free port"))
                throw error
            }
        }
        await node.transport.close()
        await #expect(throws: MeshTransportError.closed) { _ = try await node.transport.listen(node.address) }
    }
}
