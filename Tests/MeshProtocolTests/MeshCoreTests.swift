import Identifiers
import Testing
import TimeAndChance

@testable import MeshProtocol

@Suite("The mesh of one node") struct MeshCoreTests {
    private func connectedPair(
        lanes: Set<MeshLane> = [.data], settings: MeshSettings = MeshSettings()
    ) -> VirtualMesh {
        var mesh = VirtualMesh(count: 2, settings: settings)
        mesh.connect(0, to: 1, lanes: lanes)
        mesh.run()
        return mesh
    }

    @Test("Frames arrive in order, on their lane, with who sent them")
    func exchange() {
        var mesh = connectedPair(lanes: Set(MeshLane.allCases))
        for index in 0..<200 {
            let lane = MeshLane.allCases[index % 3]
            #expect(
                mesh.send([UInt8](repeating: UInt8(index), count: index), from: 0, to: 1, on: lane) == .queued
            )
            #expect(mesh.send([UInt8(index)], from: 1, to: 0, on: lane) == .queued)
        }
        mesh.run()
        for lane in MeshLane.allCases {
            let frames = mesh.events[1].compactMap { event -> Frame? in
                guard case .frame(let frame, let peer) = event, peer.lane == lane else { return nil }
                #expect(peer.node == mesh.id(0) && peer.store == mesh.cores[0].identity.store)
                return frame
            }
            #expect(
                frames.map { Int($0.payload.first ?? 0) }.dropFirst()
                    == frames.map { $0.payload.count }.dropFirst())
            #expect(frames.count == (200 + 2 - Int(lane.rawValue)) / 3)
        }
        #expect(mesh.payloads(at: 0).count == 200)
    }

    @Test("A node that was removed from the cluster loses its connections, and gets none any more")
    func removed() {
        var mesh = connectedPair(lanes: Set(MeshLane.allCases))
        mesh.handle(.members([mesh.id(1)]), at: 1)
        mesh.run()
        mesh.advance(by: .seconds(60))
        #expect(mesh.cores[1].linkCount == 0)
        let told = mesh.events[0].compactMap { event in
            if case .disconnected(_, .refusedByPeer(let refusal)) = event { refusal.code } else { nil }
        }
        #expect(told == [.removed, .removed, .removed])
        let refused = mesh.events[0].contains { event in
            if case .dialFailed(_, _, _, .refusedByPeer(let refusal), _) = event {
                refusal.code == .removed
            } else {
                false
            }
        }
        #expect(refused)
    }

    @Test("What may not be sent is refused with a reason, and nothing is closed")
    func invalidSends() {
        var mesh = connectedPair()
        let unknown = Frame(FrameKind(rawValue: 99))
        let (outcome, effects) = mesh.cores[0].send(unknown, to: mesh.id(1), on: .data)
        #expect(outcome == .invalid("frames of kind 99 are not registered") && effects.isEmpty)
        #expect(mesh.send([], from: 0, to: 1, on: .bulk) == .notConnected)
        let large = [UInt8](repeating: 0, count: Frame.payloadBytesMax + 1)
        guard case .invalid = mesh.send(large, from: 0, to: 1) else {
            Issue.record("a frame beyond the limit was taken")
            return
        }
        #expect(mesh.wire(0, 1) != nil)
    }

    @Test("When both dial at once both keep what the lower one dialled", arguments: 0..<300)
    func simultaneousDials(seed: UInt64) throws {
        var mesh = VirtualMesh(count: 2, seed: seed)
        var random = SplitMix64(seed: seed)
        mesh.connect(0, to: 1)
        mesh.connect(1, to: 0)
        // Any interleaving of the two handshakes, in pieces of any size.
        for _ in 0..<400 {
            if !mesh.dials.isEmpty, Bool.random(using: &random) {
                mesh.carryOutDial(Int.random(in: mesh.dials.indices, using: &random))
            }
            for wire in mesh.wires.keys.sorted() {
                let side = Int.random(in: 0...1, using: &random)
                mesh.deliver(wire, side: side, count: Int.random(in: 1...60, using: &random))
            }
        }
        mesh.run()
        let wire = try #require(mesh.wire(0, 1))
        #expect(mesh.wire(1, 0) == wire)
        #expect(mesh.cores.map(\.linkCount) == [1, 1])
        _ = mesh.send([7], from: 0, to: 1)
        _ = mesh.send([8], from: 1, to: 0)
        mesh.run()
        #expect(mesh.payloads(at: 1) == [[7]] && mesh.payloads(at: 0) == [[8]])
    }

    @Test("Whatever happens, calm leads to one connection for each pair and lane", arguments: 0..<150)
    func chaos(seed: UInt64) {
        var mesh = VirtualMesh(count: 3, seed: seed)
        var random = SplitMix64(seed: seed &+ 99)
        for node in 0..<3 {
            for other in 0..<3 where node != other {
                mesh.connect(node, to: other, lanes: [.control, .data])
            }
        }
        for _ in 0..<300 {
            switch Int.random(in: 0..<12, using: &random) {
            case 0: if let wire = mesh.wires.keys.sorted().randomElement(using: &random) { mesh.cut(wire) }
            case 1:
                // Half-open: bytes vanish and nobody hears of it.
                if let wire = mesh.wires.keys.sorted().randomElement(using: &random) {
                    mesh.wires[wire]?.isSilent = true
                }
            case 2, 3:
                mesh.now += .milliseconds(Int.random(in: 1...3000, using: &random))
                for node in 0..<3 { mesh.handle(.tick, at: node) }
            case 4...6 where !mesh.dials.isEmpty:
                mesh.carryOutDial(Int.random(in: mesh.dials.indices, using: &random))
            default:
                for wire in mesh.wires.keys.sorted() {
                    mesh.deliver(wire, side: Int.random(in: 0...1, using: &random))
                }
            }
        }
        mesh.run()
        mesh.advance(by: .seconds(60))
        for node in 0..<3 {
            #expect(mesh.cores[node].linkCount == 4, "\(mesh.cores[node].links)")
            for other in 0..<3 where node != other {
                for lane in [MeshLane.control, .data] {
                    #expect(mesh.wire(node, other, lane) != nil)
                    #expect(mesh.wire(node, other, lane) == mesh.wire(other, node, lane))
                }
            }
            // Ups and downs of each connection alternate.
            for other in 0..<3 where node != other {
                for lane in [MeshLane.control, .data] {
                    let changes = mesh.events[node].compactMap { event -> Bool? in
                        switch event {
                        case .connected(let peer) where peer.node == mesh.id(other) && peer.lane == lane: true
                        case .disconnected(let peer, _)
                        where peer.node == mesh.id(other) && peer.lane == lane:
                            false
                        default: nil
                        }
                    }
                    #expect(changes.enumerated().allSatisfy { $0.element == $0.offset.isMultiple(of: 2) })
                    #expect(changes.last == true)
                }
            }
        }
    }

    @Test("A lost connection is dialled again, later each time, within the bound")
    func reconnect() {
        var mesh = connectedPair()
        mesh.unreachable = [1]
        if let wire = mesh.wire(0, 1) { mesh.cut(wire) }
        mesh.advance(by: .seconds(120))
        let waits = mesh.events[0].compactMap { event -> Duration? in
            if case .dialFailed(_, _, _, _, let wait) = event { wait } else { nil }
        }
        #expect(waits.count > 12)
        #expect(waits.allSatisfy { $0 <= .seconds(10) } && waits.suffix(8).allSatisfy { $0 >= .seconds(5) })
        #expect(waits[0] < .milliseconds(101))
        mesh.unreachable = []
        mesh.advance(by: .seconds(10))
        #expect(mesh.wire(0, 1) != nil)
        // A new address is tried at once.
        mesh.unreachable = [1]
        if let wire = mesh.wire(0, 1) { mesh.cut(wire) }
        mesh.advance(by: .seconds(100))
        mesh.unreachable = []
        mesh.handle(
            .connect(mesh.id(1), [VirtualMesh.address(9), VirtualMesh.address(1)], lanes: [.data]), at: 0)
        mesh.run()
        mesh.advance(by: .milliseconds(200))
        #expect(mesh.wire(0, 1) != nil)
    }

    @Test("What only a person can change is retried at the longest wait")
    func hopeless() {
        var mesh = VirtualMesh(count: 2)
        var stranger = HandshakeTests.identity(2)
        stranger.cluster = ClusterID(high: 6, low: 6)
        mesh.cores[1] = MeshCore(stranger, catalog: VirtualMesh.catalog)
        mesh.connect(0, to: 1)
        mesh.run()
        guard case .dialFailed(_, _, _, .refusedByPeer(let refusal), let wait?)? = mesh.events[0].first,
            case .rejected(_, .refused)? = mesh.events[1].first
        else {
            Issue.record("\(mesh.events)")
            return
        }
        #expect(refusal.code == .wrongCluster && wait >= .seconds(5))
    }

    @Test("R15: a newer incarnation replaces all connections of the old; the old stays out")
    func restart() {
        var mesh = VirtualMesh(
            [1, 2, 2].enumerated().map { HandshakeTests.identity($1, incarnation: UInt32($0) + 5) })
        // Core 1 is the old process of node 2, core 2 the new one.
        mesh.connect(1, to: 0, lanes: [.control, .data])
        mesh.run()
        mesh.connect(2, to: 0, lanes: [.data])
        mesh.run()
        #expect(mesh.cores[0].peer(mesh.id(1), on: .data)?.incarnation.rawValue == 7)
        #expect(mesh.cores[0].peer(mesh.id(1), on: .control) == nil)
        let reasons = mesh.events[1].compactMap { event -> Refusal.Code? in
            if case .disconnected(_, .refusedByPeer(let refusal)) = event { refusal.code } else { nil }
        }
        #expect(Set(reasons) == [.superseded, .oldIncarnation])
        mesh.advance(by: .seconds(30))
        #expect(mesh.wire(1, 0) == nil && mesh.wire(2, 0) != nil)
        let late = mesh.events[1].contains {
            if case .dialFailed(_, _, _, .refusedByPeer(let refusal), _) = $0 {
                refusal.code == .oldIncarnation
            } else {
                false
            }
        }
        #expect(late)
    }

    @Test("R8: a process that gets its incarnation makes every connection anew in it, without a long wait")
    func nextLife() {
        var mesh = connectedPair(lanes: Set(MeshLane.allCases))
        mesh.handle(.become(Incarnation(rawValue: 8)), at: 0)
        mesh.run()
        mesh.advance(by: .milliseconds(200))
        for lane in MeshLane.allCases {
            #expect(mesh.cores[1].peer(mesh.id(0), on: lane)?.incarnation.rawValue == 8)
        }
        let refusals = mesh.events[1].compactMap { event -> Refusal.Code? in
            if case .disconnected(_, .refusedByPeer(let refusal)) = event { refusal.code } else { nil }
        }
        #expect(refusals == [.superseded, .superseded, .superseded])
        // The same again changes nothing.
        mesh.handle(.become(Incarnation(rawValue: 8)), at: 0)
        mesh.run()
        #expect(mesh.wire(0, 1) != nil)
    }

    @Test("R11: news of another store ends the connection to the old one")
    func storeReplaced() {
        var mesh = connectedPair()
        let record = PeerDirectory.Record(store: StoreID(high: 1, low: 1), incarnation: .init(rawValue: 9))
        mesh.handle(.learn(mesh.id(1), record), at: 0)
        mesh.run()
        #expect(mesh.wire(0, 1) == nil)
        guard case .disconnected(_, .refusedByPeer(let refusal))? = mesh.events[1].last else {
            Issue.record("\(mesh.events[1])")
            return
        }
        #expect(refusal.code == .otherStore)
    }

    @Test("A silent peer is pinged, then given up; a peer that answers stays")
    func idle() {
        var mesh = connectedPair()
        mesh.advance(by: .seconds(300))
        #expect(mesh.events.map(\.count) == [1, 1])
        if let wire = mesh.wire(0, 1) { mesh.wires[wire]?.isSilent = true }
        mesh.unreachable = [1]
        mesh.advance(by: .seconds(8))
        for node in 0...1 {
            guard case .disconnected(_, .noPong)? = mesh.events[node].dropFirst().first else {
                Issue.record("\(mesh.events[node])")
                return
            }
        }
    }

    @Test("A71: a peer that never reads costs a bounded queue and ends by its deadline")
    func clogged() {
        var settings = MeshSettings()
        settings.dataQueue = QueueLimits(
            bytesMax: 1 << 20, framesMax: 100, highBytes: 1 << 18, lowBytes: 1 << 16)
        settings.deadlines.writeProgress = .seconds(3)
        var mesh = connectedPair(settings: settings)
        let link = mesh.cores[0].table[LinkKey(node: mesh.id(1), lane: .data)] ?? LinkID(rawValue: 0)
        mesh.clogged = [VirtualMesh.End(node: 0, link: link)]
        let payload = [UInt8](repeating: 1, count: 1 << 16)
        var outcomes: [SendOutcome] = []
        for _ in 0..<100 { outcomes.append(mesh.send(payload, from: 0, to: 1)) }
        #expect(outcomes.last == .full)
        #expect(mesh.cores[0].pendingBytes(to: mesh.id(1), on: .data) <= settings.dataQueue.bytesMax)
        let marks = mesh.events[0].filter { if case .backPressure = $0 { true } else { false } }
        #expect(marks.count == 1)
        // The socket took a part and then nothing more.
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) {
            _ = mesh.cores[0].fill($0, for: link, now: mesh.now)
        }
        mesh.unreachable = [1]
        for _ in 0..<4 {
            // The peer goes on talking, and is not silent.
            _ = mesh.send([1], from: 1, to: 0)
            mesh.run()
            mesh.advance(by: .seconds(1))
        }
        #expect(
            mesh.events[0].contains {
                if case .disconnected(_, .notReading) = $0 { true } else { false }
            })
    }

    @Test("Half a handshake is given up; too many at once are not even begun")
    func handshakeLimits() {
        var settings = MeshSettings()
        settings.handshakesMax = 3
        var core = MeshCore(HandshakeTests.identity(1), catalog: VirtualMesh.catalog, settings: settings)
        var random = SplitMix64(seed: 1)
        for _ in 0..<3 {
            let id = core.accept(from: "x", now: .zero)
            #expect(id != nil)
            if let id { _ = core.handle(.secured(id, nil), now: .zero, random: &random) }
        }
        #expect(core.accept(from: "x", now: .zero) == nil)
        #expect(core.nextDeadline == settings.deadlines.handshake)
        let effects = core.handle(.tick, now: settings.deadlines.handshake, random: &random)
        let rejected = effects.filter {
            if case .report(.rejected(_, .handshakeTimedOut)) = $0 { true } else { false }
        }
        #expect(rejected.count == 3 && core.linkCount == 0)
        #expect(core.accept(from: "x", now: .seconds(9)) != nil)
    }

    @Test("A71: bytes that are no frames close this connection only")
    func malformed() {
        var mesh = VirtualMesh(count: 3)
        mesh.connect(0, to: 1)
        mesh.connect(0, to: 2)
        mesh.run()
        guard let wire = mesh.wire(0, 1) else { return }
        mesh.wires[wire]?.bytes[1] += [UInt8](repeating: 0xEE, count: 50)
        mesh.run()
        guard case .disconnected(let peer, .malformed)? = mesh.events[1].last,
            case .disconnected(_, .refusedByPeer(let refusal))? = mesh.events[0].last
        else {
            Issue.record("\(mesh.events)")
            return
        }
        #expect(peer.node == mesh.id(0) && refusal.code == .malformed)
        #expect(mesh.wire(0, 2) != nil)
    }

    @Test(
        "A frame that the mesh does not know, or not on this lane, ends the connection"
    )
    func strangeFrames() {
        for frame in [Frame(FrameKind(rawValue: 77)), Frame(.hello), Frame(FrameKind(rawValue: 9))] {
            var mesh = connectedPair()
            guard let wire = mesh.wire(0, 1) else { return }
            mesh.wires[wire]?.bytes[1] += frame.encoded(on: .data)
            mesh.run()
            guard case .disconnected(_, .malformed)? = mesh.events[1].last else {
                Issue.record("\(frame) was accepted")
                return
            }
        }
    }

    @Test("Introductions say who is there, once")
    func introduction() {
        var mesh = VirtualMesh(count: 2)
        mesh.handle(.introduce(VirtualMesh.address(1)), at: 0)
        mesh.run()
        guard case .connected(let peer)? = mesh.events[0].first else {
            Issue.record("\(mesh.events)")
            return
        }
        #expect(peer.node == mesh.id(1) && peer.lane == .control)
        mesh.handle(.introduce(VirtualMesh.address(1)), at: 0)
        mesh.run()
        #expect(mesh.wire(0, 1, .control) != nil && mesh.cores.map(\.linkCount) == [1, 1])
        mesh.handle(.introduce(VirtualMesh.address(5)), at: 0)
        mesh.run()
        guard case .dialFailed(nil, _, .control, .transport, retryIn: nil)? = mesh.events[0].last else {
            Issue.record("\(mesh.events[0])")
            return
        }
    }

    @Test("A stop says farewell to everybody, and says when all is closed")
    func stop() {
        var mesh = VirtualMesh(count: 3)
        mesh.connect(0, to: 1, lanes: [.control, .data])
        mesh.connect(2, to: 0)
        mesh.run()
        mesh.handle(.stop, at: 0)
        #expect(mesh.events[0].last != .stopped)
        mesh.run()
        #expect(mesh.events[0].last == .stopped && mesh.cores[0].linkCount == 0)
        for node in 1...2 {
            guard case .disconnected(_, .refusedByPeer(let refusal))? = mesh.events[node].last else {
                Issue.record("\(mesh.events[node])")
                continue
            }
            #expect(refusal.code == .stopping)
        }
        #expect(mesh.cores[0].accept(from: "x", now: .zero) == nil)
        // A peer that does not close is not waited for.
        var half = connectedPair()
        if let wire = half.wire(0, 1) { half.wires[wire]?.isSilent = true }
        half.handle(.stop, at: 0)
        half.run()
        #expect(half.events[0].last != .stopped)
        half.advance(by: .seconds(1))
        #expect(half.events[0].last == .stopped)
    }

    @Test("Disconnecting is for good until somebody asks again")
    func disconnect() {
        var mesh = connectedPair()
        mesh.handle(.disconnect(mesh.id(1)), at: 0)
        mesh.run()
        mesh.advance(by: .seconds(60))
        #expect(mesh.wire(0, 1) == nil && mesh.cores.map(\.linkCount) == [0, 0])
        mesh.connect(0, to: 1)
        mesh.run()
        #expect(mesh.wire(0, 1) != nil)
    }

    @Test("A core that nobody disturbs has nothing to do before its deadline")
    func noIdleWork() throws {
        var mesh = connectedPair(lanes: Set(MeshLane.allCases))
        for _ in 0..<50 {
            let next = try #require(mesh.cores[0].nextDeadline)
            mesh.now = max(mesh.now, next)
            mesh.handle(.tick, at: 0)
            mesh.run()
            mesh.handle(.tick, at: 0)
            #expect(try #require(mesh.cores[0].nextDeadline) > mesh.now)
        }
    }
}
