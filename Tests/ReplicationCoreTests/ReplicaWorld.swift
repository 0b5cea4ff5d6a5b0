import Identifiers
import ReplicationCore
import TimeAndChance

/// A few nodes with one partition, a control plane that is linearizable by construction, a network that
/// loses, repeats and reorders, and disks that forget what was not synced; all driven by one seed. What must
/// hold is checked from outside after every step.
struct ReplicaWorld {
    struct Violation: Error, CustomStringConvertible {
        var description: String
    }

    /// What is on a node's disk; survives crashes.
    struct Disk {
        var store: StoreID
        var incarnation: UInt32 = 0
        var promised = Epoch(rawValue: 0)
        var base = LogMark.origin
        var baseEpochs: [EpochStart] = []
        var records: [LogRecord] = []
        var applied = LogPosition.zero

        var tail: LogTail {
            var tail = LogTail(base: base, epochs: baseEpochs)
            for record in records { tail.append(record) }
            return tail
        }

        mutating func apply(_ write: DiskWrite) {
            switch write {
            case .log(_, .adopt(let epoch)): promised = max(promised, epoch)
            case .log(_, .truncate(let position)): records.removeAll { $0.mark.position > position }
            case .log(_, .append(let new)): records += new
            case .snapshot(let mark, let epochs, _):
                (base, baseEpochs, records, applied) = (mark, epochs, [], mark.position)
            }
        }

        func hash(at position: LogPosition) -> UInt64? {
            if position == base.position { return base.hash }
            guard position > base.position else { return nil }
            let index = Int(position.rawValue - base.position.rawValue - 1)
            return index < records.count ? records[index].mark.hash : nil
        }
    }

    /// On its way to the disk; a snapshot replaces everything in the order of the other writes.
    enum DiskWrite {
        case log(ticket: UInt64, LogWrite)
        case snapshot(LogMark, [EpochStart], Epoch)
    }

    struct Process {
        var replica: Replica
        var life: NodeLife
        var pending: [DiskWrite] = []
        /// Came in, and waits for the replica's word.
        var arrived: DiskWrite?
        var serving: Epoch?
        var isLeading = false
        /// The version of the map that it knows.
        var map = 0
        /// The map that has its registration in it.
        var mapAtStart: Int
    }

    struct Node {
        var disk: Disk
        var process: Process?
    }

    enum Packet {
        case message(ReplicaMessage, from: NodeLife)
        case snapshot(LogMark, [EpochStart], Epoch)
    }

    let settings: WorldSettings
    var rules: ReplicationRules
    var random: SplitMix64
    var now: UInt64 = 1_000_000
    var nodes: [Node] = []
    var network: [(to: Int, packet: Packet)] = []
    /// Every decision of the control plane; a node's knowledge is an index into it.
    var maps: [PartitionConfiguration] = []
    var registered: [NodeLife] = []
    var requests: [MembershipRequest] = []
    var trace: [String] = []
    var nextStore: UInt64 = 1
    var nextValue: UInt64 = 1
    /// What was acknowledged to clients: the value at each position.
    var acknowledged: [LogPosition: UInt64] = [:]
    var acknowledgedEnd = LogPosition.zero
    var crashesLeft: Int
    var wipesLeft: Int
    var commits = 0

    init(seed: UInt64, rules: ReplicationRules, settings: WorldSettings) {
        random = SplitMix64(seed: seed)
        self.rules = rules
        self.settings = settings
        crashesLeft = settings.crashes
        wipesLeft = settings.wipes
        for index in 0..<settings.nodes {
            nodes.append(Node(disk: Disk(store: freshStore()), process: nil))
            registered.append(
                NodeLife(
                    node: Self.id(index), incarnation: Incarnation(rawValue: 0),
                    store: nodes[index].disk.store))
        }
        maps = [
            PartitionConfiguration(
                epoch: Epoch(rawValue: 0), revision: 0, owner: nil,
                inSync: registered.prefix(settings.copies).map(\.replica),
                learners: registered.dropFirst(settings.copies).map(\.replica))
        ]
        for index in nodes.indices { start(index) }
    }

    static func id(_ index: Int) -> NodeID { NodeID(rawValue: UInt64(index + 1)) }
    static func index(_ node: NodeID) -> Int { Int(node.rawValue) - 1 }

    mutating func freshStore() -> StoreID {
        defer { nextStore += 1 }
        return StoreID(high: nextStore, low: 0)
    }

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    mutating func note(_ text: @autoclosure () -> String) {
        if settings.traces { trace.append("\(now / 1000) ms  \(text())") }
    }

    var config: PartitionConfiguration { maps[maps.count - 1] }

    mutating func decide(_ change: (inout PartitionConfiguration) -> Void) {
        var next = config
        next.revision += 1
        change(&next)
        next.inSync.sort()
        next.learners.sort()
        maps.append(next)
        note(
            "control plane: epoch \(next.epoch.rawValue).\(next.revision) owner "
                + (next.owner?.description ?? "none")
                + " in sync \(next.inSync) learning \(next.learners)")
    }

    // MARK: Processes

    /// Starts a process and registers it: its grants of a former life are void, its disk's place stays.
    mutating func start(_ index: Int) {
        nodes[index].disk.incarnation += 1
        let disk = nodes[index].disk
        let life = NodeLife(
            node: Self.id(index), incarnation: Incarnation(rawValue: disk.incarnation), store: disk.store)
        let former = registered[index]
        registered[index] = life
        let rules = rules
        decide { map in
            let voids: ReplicationRules = former.store == life.store ? .oneLifePerEpoch : .grantNamesStore
            if map.owner?.node == life.node, rules.contains(voids) { map.owner = nil }
            guard former.store != life.store else { return }
            map.learners.removeAll { $0 == former.replica }
            // The old disk stays in sync until the owner lets it go (R19); then the new one may learn.
            if map.inSync.contains(where: { $0.node == life.node }) {
                map.leaving.append(former.replica)
            } else {
                map.learners.append(life.replica)
            }
        }
        var replica = Replica(
            partition: PartitionID(0), me: life, log: disk.tail,
            promised: max(disk.promised, disk.tail.end.epoch), committed: disk.applied,
            settings: settings.replication)
        replica.rules = rules
        nodes[index].process = Process(replica: replica, life: life, mapAtStart: maps.count - 1)
        note("\(life) starts, log ends at \(disk.tail.end), promised \(disk.promised.rawValue)")
    }

    mutating func crash(_ index: Int) {
        guard let process = nodes[index].process else { return }
        // What was on its way to the disk may or may not have got there, in order.
        let survivors = Int.random(in: 0...process.pending.count, using: &random)
        for write in process.pending.prefix(survivors) { nodes[index].disk.apply(write) }
        nodes[index].process = nil
        note("\(process.life) crashes; \(survivors) of \(process.pending.count) writes had arrived")
        linksChanged(Self.id(index))
    }

    func isThere(_ replica: ReplicaID) -> Bool { nodes[Self.index(replica.node)].disk.store == replica.store }

    /// Whether another disk is left in the in-sync set, also if what was asked for is decided: whoever asks
    /// to drop a member says that the others' disks are enough.
    func maySpare(_ index: Int) -> Bool {
        let dropped = requests.compactMap { request -> ReplicaID? in
            guard case .drop(let replica) = request.change, request.revision == config.revision else {
                return nil
            }
            return replica
        }
        return (dropped.map(Optional.init) + [nil]).allSatisfy { dropped in
            config.inSync.contains { $0 != dropped && $0.node != Self.id(index) && isThere($0) }
        }
    }

    mutating func wipe(_ index: Int) {
        let incarnation = nodes[index].disk.incarnation
        nodes[index].disk = Disk(store: freshStore(), incarnation: incarnation)
        note("node \(index + 1) gets an empty disk")
    }

    mutating func linksChanged(_ node: NodeID) {
        for index in nodes.indices where nodes[index].process != nil {
            perform(.linkChanged(node), at: index)
        }
    }

    // MARK: One event at one node

    mutating func perform(_ event: ReplicaEvent, at index: Int) {
        guard var process = nodes[index].process else { return }
        let effects = process.replica.handle(event, now: now)
        nodes[index].process = process
        for effect in effects { perform(effect, at: index) }
    }

    private mutating func perform(_ effect: ReplicaEffect, at index: Int) {
        guard let process = nodes[index].process else { return }
        switch effect {
        case .persist(let ticket, let write):
            let isAdoption = if case .adopt = write { true } else { false }
            if process.replica.isInstalling, !isAdoption {
                failures.append("\(process.life) writes \(write) over a snapshot")
            }
            nodes[index].process?.pending.append(.log(ticket: ticket, write))
        case .send(let message, let node):
            guard network.count < settings.packetsMax else { return }
            network.append((Self.index(node), .message(message, from: process.life)))
        case .committed(let position): committed(position, at: index)
        case .lead(let epoch, _):
            nodes[index].process?.isLeading = true
            note("\(process.life) leads epoch \(epoch.rawValue) after \(process.replica.log.end)")
            append(at: index)
        case .serve(let epoch):
            nodes[index].process?.serving = epoch
            note("\(process.life) serves epoch \(epoch.rawValue)")
        case .standDown(let epoch):
            nodes[index].process?.serving = nil
            nodes[index].process?.isLeading = false
            note("\(process.life) is no longer the owner of epoch \(epoch.rawValue)")
        case .propose(let request):
            note(
                "\(process.life) asks for \(request.change) at \(request.epoch.rawValue).\(request.revision)")
            if requests.count < 4 { requests.append(request) }
        case .handOver(let life, let revision):
            guard config.revision == revision, registered[Self.index(life.node)] == life,
                config.inSync.contains(life.replica)
            else { return }
            note("\(process.life) hands over to \(life), whose log reaches further")
            decide { map in
                map.epoch = Epoch(rawValue: map.epoch.rawValue + 1)
                map.owner = life
            }
        case .readLog(let replica, let position, _):
            perform(.logRead(for: replica, after: position, records: read(index, after: position)), at: index)
        case .sendSnapshot(let replica): snapshot(from: index, to: replica)
        case .installSnapshot(let mark):
            guard let snapshot = process.arrived else { return }
            note("\(process.life) installs a snapshot up to \(mark)")
            nodes[index].process?.pending.append(snapshot)
        case .discardSnapshot: nodes[index].process?.arrived = nil
        case .readConfirmed, .readLost: break
        case .damaged(let reason): failures.append("\(process.life) is damaged: \(reason)")
        }
    }

    /// Found while events were handled; looked at after each step.
    var failures: [String] = []

    private func read(_ index: Int, after position: LogPosition) -> [LogRecord]? {
        let disk = nodes[index].disk
        guard position >= disk.base.position else { return nil }
        let records = disk.records.drop { $0.mark.position <= position }.prefix(3)
        return records.isEmpty ? nil : Array(records)
    }

    private mutating func snapshot(from index: Int, to replica: ReplicaID) {
        guard let process = nodes[index].process, let epoch = process.replica.owner?.epoch else { return }
        let committed = min(process.replica.committed, process.replica.durable)
        if let mark = process.replica.log.mark(at: committed) {
            let epochs = process.replica.log.epochs.filter { $0.first <= committed }
            network.append((Self.index(replica.node), .snapshot(mark, epochs, epoch)))
            note("\(process.life) sends a snapshot up to \(mark) to \(replica)")
        }
        perform(.snapshotEnded(replica), at: index)
    }

    mutating func append(at index: Int) {
        guard let process = nodes[index].process, process.isLeading,
            let epoch = process.replica.owner?.epoch
        else { return }
        let end = process.replica.log.end
        let value = nextValue
        nextValue += 1
        var hash = SplitMix64(seed: end.hash &+ value &* 31 &+ epoch.rawValue)
        let mark = LogMark(position: end.position.next, epoch: epoch, hash: hash.next())
        note("\(process.life) appends \(mark) value \(value)")
        let bytes = withUnsafeBytes(of: value.littleEndian) { Array($0) }
        perform(.append([LogRecord(mark: mark, previousHash: end.hash, bytes: bytes)]), at: index)
        if !rules.contains(.outputGate) { release(through: mark.position, at: index) }
    }

    // MARK: Commits

    private mutating func committed(_ position: LogPosition, at index: Int) {
        guard let process = nodes[index].process else { return }
        if process.replica.owner != nil { release(through: position, at: index) }
        note("\(process.life) knows \(position.rawValue) as committed")
    }

    /// What the owner's gate lets out: each value is now known to a client.
    private mutating func release(through position: LogPosition, at index: Int) {
        guard let process = nodes[index].process else { return }
        var next = acknowledgedEnd.next
        while next <= position {
            guard let hash = process.replica.log.mark(at: next)?.hash ?? nodes[index].disk.hash(at: next)
            else {
                break
            }
            acknowledged[next] = hash
            acknowledgedEnd = next
            commits += 1
            next = next.next
        }
        // A second owner's view of what was acknowledged before must be the same.
        var earlier = position
        while earlier > .zero, let known = acknowledged[earlier] {
            guard
                let hash = process.replica.log.mark(at: earlier)?.hash ?? nodes[index].disk.hash(at: earlier)
            else { break }
            if hash != known {
                failures.append(
                    "two values acknowledged at \(earlier.rawValue), the second by \(process.life)")
            }
            earlier = LogPosition(rawValue: earlier.rawValue - 1)
        }
    }

    /// Every acknowledged record is on disk at every in-sync replica whose disk is there (I1), with one value
    /// (I2); nobody serves twice in an epoch (I3).
    func check() throws {
        if let failure = failures.first { throw Violation(description: failure) }
        guard config.inSync.contains(where: isThere) else {
            throw Violation(description: "no disk of the in-sync set \(config.inSync) is there any more")
        }
        for member in config.inSync {
            let node = nodes[Self.index(member.node)]
            guard node.disk.store == member.store, acknowledgedEnd > .zero else { continue }
            let end = acknowledgedEnd
            guard node.disk.base.position < end || node.disk.base.position == end else { continue }
            let hash = node.disk.hash(at: end)
            if hash != acknowledged[end] {
                throw Violation(
                    description: "acknowledged record \(end.rawValue) is "
                        + (hash == nil ? "missing" : "another one") + " at \(member)")
            }
        }
        var servers: Set<Epoch> = []
        for node in nodes {
            guard let epoch = node.process?.serving else { continue }
            guard servers.insert(epoch).inserted else {
                throw Violation(description: "two nodes serve epoch \(epoch.rawValue)")
            }
        }
    }
}

struct WorldSettings {
    var nodes = 3
    var copies = 2
    var steps = 400
    var crashes = 4
    var wipes = 1
    var epochsMax = 8
    var valuesMax = 40
    var packetsMax = 24
    var traces = false
    /// R8: a change names the revision and the life that it was made for.
    var checksRequests = true
    /// R4 taken away: whoever is registered may be promoted.
    var promotesAnybody = false
    /// R19 taken away: a promotion drops everybody else.
    var promotesAlone = false
    var replication = ReplicationSettings()

    init() {
        replication.expandAfterMicros = 20_000
        replication.shrinkAfterMicros = 60_000
        replication.resendAfterMicros = 30_000
        replication.announceAfterMicros = 5_000
        replication.askPatienceMicros = 300_000
        replication.tailBytesMax = 40
        replication.windowBytesMax = 64
        replication.appendBytesMax = 24
    }
}
