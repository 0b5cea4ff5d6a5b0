import Identifiers
import TimeAndChance

@testable import MeshProtocol

/// Nodes whose connections are queues of bytes, for tests of `MeshCore` without sockets.
struct VirtualMesh {
    /// One half of a connection: what its end has sent and the other has not read.
    struct End: Hashable {
        var node: Int
        var link: LinkID
    }

    struct Wire {
        var ends: [End]
        /// By receiving end.
        var bytes: [[UInt8]] = [[], []]
        var isFinished = [false, false]
        /// The network swallows everything.
        var isSilent = false
    }

    static let kind = FrameKind(rawValue: 20)
    // The kinds are different and not reserved.
    static let catalog = try! FrameCatalog([
        FrameCatalog.Entry(kind, "test", on: Set(MeshLane.allCases))
    ])

    var cores: [MeshCore]
    var events: [[MeshEvent]]
    var wires: [Int: Wire] = [:]
    var wireOf: [End: Int] = [:]
    /// Dials that the network has not carried out, in order.
    var dials: [(End, MeshAddress)] = []
    var unreachable: Set<Int> = []
    var now = Duration.zero
    var random: SplitMix64
    private var lastWire = 0
    /// Sockets whose peer does not read.
    var clogged: Set<End> = []

    init(_ identities: [NodeIdentity], settings: MeshSettings = MeshSettings(), seed: UInt64 = 1) {
        cores = identities.map { MeshCore($0, catalog: Self.catalog, settings: settings) }
        events = identities.map { _ in [] }
        random = SplitMix64(seed: seed)
    }

    init(count: UInt64, settings: MeshSettings = MeshSettings(), seed: UInt64 = 1) {
        self.init((1...count).map { HandshakeTests.identity($0) }, settings: settings, seed: seed)
    }

    /// A node's address is its place among the cores.
    static func address(_ node: Int) -> MeshAddress { MeshAddress(host: "node", port: UInt16(node)) }
    func id(_ node: Int) -> NodeID { cores[node].identity.node }

    mutating func handle(_ input: MeshInput, at node: Int) {
        perform(cores[node].handle(input, now: now, random: &random), at: node)
    }

    mutating func connect(_ node: Int, to other: Int, lanes: Set<MeshLane> = [.data]) {
        handle(.connect(id(other), [Self.address(other)], lanes: lanes), at: node)
    }

    mutating func send(
        _ payload: [UInt8], from node: Int, to other: Int, on lane: MeshLane = .data
    )
        -> SendOutcome
    {
        let (outcome, effects) = cores[node].send(
            Frame(Self.kind, payload), to: id(other), on: lane)
        perform(effects, at: node)
        return outcome
    }

    mutating func perform(_ effects: [MeshEffect], at node: Int) {
        for effect in effects {
            switch effect {
            case .dial(let link, let address): dials.append((End(node: node, link: link), address))
            case .flush(let link): flush(End(node: node, link: link))
            case .finish(let link): finish(End(node: node, link: link))
            case .abort(let link):
                dials.removeAll { $0.0 == End(node: node, link: link) }
                finish(End(node: node, link: link))
                wireOf[End(node: node, link: link)] = nil
            case .read: break
            case .report(let event): events[node].append(event)
            }
        }
    }

    private mutating func finish(_ end: End) {
        guard let wire = wireOf[end], let side = wires[wire]?.ends.firstIndex(of: end) else { return }
        wires[wire]?.isFinished[1 - side] = true
    }

    private mutating func flush(_ end: End) {
        guard let wire = wireOf[end], !clogged.contains(end), let side = wires[wire]?.ends.firstIndex(of: end)
        else { return }
        while true {
            let bytes = [UInt8](unsafeUninitializedCapacity: 100) { buffer, count in
                count = cores[end.node].fill(UnsafeMutableRawBufferPointer(buffer), for: end.link, now: now)
            }
            guard !bytes.isEmpty else { return }
            wires[wire]?.bytes[1 - side] += bytes
            handle(.wrote(end.link, bytes.count), at: end.node)
        }
    }

    // MARK: The network

    /// Carries out the dial at `index` among those that wait.
    mutating func carryOutDial(_ index: Int = 0) {
        let (end, address) = dials.remove(at: index)
        let target = Int(address.port)
        guard !unreachable.contains(target), cores.indices.contains(target),
            let accepted = cores[target].accept(from: "n\(end.node)", now: now)
        else { return handle(.ended(end.link, failure: "nobody listens"), at: end.node) }
        lastWire += 1
        let other = End(node: target, link: accepted)
        wires[lastWire] = Wire(ends: [end, other])
        (wireOf[end], wireOf[other]) = (lastWire, lastWire)
        handle(.connected(end.link), at: end.node)
        handle(.secured(end.link, nil), at: end.node)
        handle(.secured(other.link, nil), at: target)
    }

    /// Delivers up to `count` bytes to one end, or the end of the stream.
    /// - Returns: false if there was nothing to deliver.
    @discardableResult
    mutating func deliver(_ wire: Int, side: Int, count: Int = .max) -> Bool {
        guard let state = wires[wire], !state.isSilent else { return false }
        let end = state.ends[side]
        guard wireOf[end] != nil else { return false }
        let bytes = Array(state.bytes[side].prefix(count))
        if bytes.isEmpty {
            guard state.isFinished[side] else { return false }
            handle(.ended(end.link, failure: nil), at: end.node)
            finish(end)
            wireOf[end] = nil
            return true
        }
        wires[wire]?.bytes[side].removeFirst(bytes.count)
        let effects = bytes.withUnsafeBytes {
            cores[end.node].received($0, on: end.link, now: now, random: &random)
        }
        perform(effects, at: end.node)
        return true
    }

    /// Carries out and delivers everything until nothing is under way.
    mutating func run() {
        var isBusy = true
        while isBusy {
            isBusy = false
            while !dials.isEmpty {
                carryOutDial()
                isBusy = true
            }
            for wire in wires.keys.sorted() {
                for side in 0...1 { while deliver(wire, side: side) { isBusy = true } }
            }
        }
    }

    /// Lets time pass, deadline by deadline.
    mutating func advance(by duration: Duration) {
        let end = now + duration
        while let next = cores.compactMap(\.nextDeadline).min(), next <= end {
            now = max(now, next)
            for node in cores.indices { handle(.tick, at: node) }
            run()
        }
        now = end
    }

    /// Breaks a connection: both ends hear of it.
    mutating func cut(_ wire: Int) {
        guard let state = wires.removeValue(forKey: wire) else { return }
        for end in state.ends where wireOf[end] != nil {
            wireOf[end] = nil
            handle(.ended(end.link, failure: "cut"), at: end.node)
        }
    }

    /// The established connection between two nodes, as each of them knows it.
    func wire(_ node: Int, _ other: Int, _ lane: MeshLane = .data) -> Int? {
        let key = LinkKey(node: id(other), lane: lane)
        return cores[node].table[key].flatMap { wireOf[End(node: node, link: $0)] }
    }

    func payloads(at node: Int) -> [[UInt8]] {
        events[node].compactMap { if case .frame(let frame, _) = $0 { frame.payload } else { nil } }
    }
}
