import ConsensusCore
import Identifiers
import TimeAndChance

/// One run from one seed: a cluster, what befalls it, and the time after.
///
/// Faults and why they are survivable: messages are lost, repeated and reordered, links are cut in one
/// direction or both, and nodes pause, because Raft assumes nothing of either. Crashes lose what was not
/// durable. Disks are replaced, but in no configuration those of half of the voters, since what a
/// majority forgets nobody can know.
struct Simulation {
    struct Result {
        var violations: [String]
        var trace: [String]
        var tally: Tally
    }

    /// What the runs were made of, to see that they were made of something.
    struct Tally: CustomStringConvertible {
        var elections = 0, applied = 0, reads = 0, crashes = 0, wipes = 0, changes = 0, restores = 0

        mutating func add(_ other: Tally) {
            elections += other.elections
            applied += other.applied
            reads += other.reads
            crashes += other.crashes
            wipes += other.wipes
            changes += other.changes
            restores += other.restores
        }

        var description: String {
            "\(elections) elections, \(applied) entries applied, \(reads) reads, \(crashes) crashes, "
                + "\(wipes) wipes, \(changes) changes of members, \(restores) snapshots installed"
        }
    }

    private enum Action: CaseIterable {
        case tick, lapse, deliver, write, propose, read, crash, start, cut, heal, wipe, change, transfer,
            compact
        case pause
    }

    private static let leaderFaults: [Action] = [.crash, .cut, .pause]
    static let steps = 1500
    private var random: SplitMix64
    private var cluster: Cluster
    private var tally = Tally()
    /// Actions, each as often as it is likely in this run.
    private var urn: [Action] = []
    private let nodeCount: Int
    private var lossPercent: Int
    private var repeatPercent: Int

    static func run(seed: UInt64, mutations: Mutations = [], traced: Bool = false) -> Result {
        var simulation = Simulation(seed: seed, mutations: mutations, traced: traced)
        for _ in 0..<steps {
            simulation.step()
            if !simulation.cluster.checker.violations.isEmpty { return simulation.result }
        }
        simulation.recover()
        return simulation.result
    }

    private var result: Result {
        Result(violations: cluster.checker.violations, trace: cluster.trace ?? [], tally: tally)
    }

    private init(seed: UInt64, mutations: Mutations, traced: Bool) {
        random = SplitMix64(seed: seed)
        let voters = [1, 3, 3, 3, 5].randomElement(using: &random) ?? 3
        nodeCount = voters + Int.random(in: 0...2, using: &random)
        cluster = Cluster(
            voters: voters, blank: nodeCount - voters, seed: seed, mutations: mutations, traced: traced)
        lossPercent = [0, 2, 10].randomElement(using: &random) ?? 0
        repeatPercent = [0, 5].randomElement(using: &random) ?? 0
        for number in 1...nodeCount { cluster[number].holdsWrites = true }
        // Every run has its own mixture of faults: some show only where others do not get in the way.
        func chance(_ weights: [Int]) -> Int { weights.randomElement(using: &random) ?? 0 }
        let weights: [(Action, Int)] = [
            (.tick, chance([50, 200])), (.lapse, chance([2, 10, 30])), (.deliver, 500), (.write, 300),
            (.propose, 60), (.read, 30),
            (.crash, chance([0, 3, 12])), (.start, 12), (.cut, chance([0, 3, 10])), (.heal, 6),
            (.wipe, chance([0, 0, 2])), (.change, chance([0, 15])), (.transfer, chance([0, 4])),
            (.compact, chance([0, 10])), (.pause, chance([0, 6])),
        ]
        for (action, weight) in weights { urn += Array(repeating: action, count: weight) }
    }

    private mutating func step() {
        var number = Int.random(in: 1...nodeCount, using: &random)
        let action = urn.randomElement(using: &random) ?? .tick
        // Leaders have more to lose.
        if Self.leaderFaults.contains(action), Bool.random(using: &random) { number = someLeader() ?? number }
        let isAwake = cluster[number].raft != nil && !cluster[number].isPaused
        switch action {
        case .tick: if isAwake { handle(.tick, number) }
        case .lapse: if isAwake { lapse(number) }
        case .deliver: deliver()
        case .write: if isAwake { write(number) }
        case .propose: if let leader = someLeader() { cluster.propose(["c\(cluster.nextToken)"], at: leader) }
        case .read:
            if let leader = someLeader() {
                cluster.read("read", at: leader)
                tally.reads += 1
            }
        case .crash: if cluster[number].raft != nil { crash(number) }
        case .start:
            if cluster[number].raft == nil {
                cluster.say("start \(number)")
                cluster.start(number)
            }
        case .cut: cut(number)
        case .heal:
            cluster.say("heal")
            cluster.cut = []
        case .wipe: if mayWipe(number) { wipe(number) }
        case .change: if let leader = someLeader() { change(leader) }
        case .transfer: if let leader = someLeader() { transfer(leader) }
        case .compact:
            if isAwake {
                cluster.say("compact \(number)")
                cluster.compact(number)
            }
        case .pause:
            cluster[number].isPaused =
                cluster[number].raft != nil && !cluster[number].isPaused
        }
    }

    private mutating func handle(_ event: Raft.Event, _ number: Int) {
        guard let role = cluster[number].raft?.role,
            let commit = cluster[number].raft?.commit,
            let applied = cluster[number].raft?.applied
        else { return }
        cluster.handle(event, at: number)
        if cluster[number].raft?.role == .leader, role != .leader { tally.elections += 1 }
        if let after = cluster[number].raft?.applied { tally.applied += Int(after - applied) }
        if let after = cluster[number].raft?.snapshotIndex, after > commit { tally.restores += 1 }
    }

    /// Any node that believes it leads, not only the newest.
    private mutating func someLeader() -> Int? {
        cluster.nodes.filter { $0.raft?.role == .leader && !$0.isPaused }.randomElement(using: &random)?
            .member.number
    }

    private mutating func write(_ number: Int) {
        guard let write = cluster[number].pending.first else { return }
        cluster[number].disk.apply(write)
        cluster[number].pending.removeFirst()
        handle(.persisted(write.number), number)
    }

    private mutating func deliver() {
        if cluster.network.count > 100 { cluster.network.removeFirst(50) }
        guard !cluster.network.isEmpty else { return }
        // Mostly in order, as a connection has it.
        let isInOrder = Int.random(in: 0..<4, using: &random) > 0
        let place = isInOrder ? 0 : Int.random(in: 0..<cluster.network.count, using: &random)
        let message = cluster.network[place]
        if Int.random(in: 0..<100, using: &random) >= repeatPercent { cluster.network.remove(at: place) }
        if Int.random(in: 0..<100, using: &random) < lossPercent { return }
        guard !cluster[message.to.number].isPaused, !cluster.isCut(message) else { return }
        cluster.say(message.text)
        handle(.message(message), message.to.number)
    }

    /// The clock of one node runs ahead of the others'.
    private mutating func lapse(_ number: Int) {
        cluster.say("lapse \(number)")
        for _ in 0..<Int.random(in: 1...30, using: &random) { handle(.tick, number) }
    }

    // MARK: Faults

    private mutating func crash(_ number: Int) {
        let pending = cluster[number].pending.count
        let durable = Int.random(in: 0...pending, using: &random)
        cluster.say("crash \(number), \(durable) of \(pending) writes are durable")
        cluster.crash(number, durableWrites: durable)
        tally.crashes += 1
    }

    private mutating func cut(_ number: Int) {
        let isOneWay = Bool.random(using: &random)
        let isInbound = Bool.random(using: &random)
        cluster.say("cut \(number)")
        for peer in 1...nodeCount where peer != number && Int.random(in: 0..<4, using: &random) > 0 {
            if !isOneWay || isInbound { cluster.cut.insert(Cluster.Link(from: peer, to: number)) }
            if !isOneWay || !isInbound { cluster.cut.insert(Cluster.Link(from: number, to: peer)) }
        }
    }

    private mutating func wipe(_ number: Int) {
        cluster.say("wipe \(number)")
        cluster.wipe(number)
        tally.wipes += 1
    }

    /// Every configuration that anybody may still act on keeps a majority of its disks.
    private func mayWipe(_ number: Int) -> Bool {
        var configurations = cluster.nodes.compactMap { $0.raft?.configuration }
        for node in cluster.nodes {
            var disk = node.disk
            for write in node.pending { disk.apply(write) }
            for state in [node.disk, disk] {
                configurations.append(state.snapshot.configuration)
                for entry in state.entries {
                    if case .configuration(let members) = entry.payload { configurations.append(members) }
                }
            }
        }
        return configurations.allSatisfy { configuration in
            let lost = configuration.voters.count {
                $0.number == number || cluster[$0.number].member != $0
            }
            return lost < configuration.quorum && (lost == 0 || lost <= (configuration.voters.count - 1) / 2)
        }
    }

    // MARK: Operators

    private mutating func change(_ leader: Int) {
        guard let configuration = cluster[leader].raft?.configuration else { return }
        let lost = configuration.members.filter { cluster[$0.number].member != $0 }
        let learner = configuration.learners.filter { !lost.contains($0) }.randomElement(using: &random)
        let strangers = cluster.nodes.map(\.member).filter { member in
            !configuration.members.contains { $0.node == member.node }
        }
        let change: Raft.Change
        switch Int.random(in: 0..<4, using: &random) {
        case 0 where lost.first != nil: change = .remove(lost[0])
        case 1 where learner != nil: change = .promote(learner ?? lost[0])
        case 2 where !strangers.isEmpty:
            change = .addLearner(strangers.randomElement(using: &random) ?? strangers[0])
        case 3 where lost.isEmpty && configuration.members.count > 2:
            // Not while a voter's disk is lost: the rest might be half of the voters and no more.
            change = .remove(configuration.members.randomElement(using: &random) ?? configuration.members[0])
        default: return
        }
        let token = cluster.token(change.text)
        cluster.handle(.change(token: token, change), at: leader)
        tally.changes += 1
    }

    private mutating func transfer(_ leader: Int) {
        guard let voters = cluster[leader].raft?.configuration.voters,
            let target = voters.randomElement(using: &random)
        else { return }
        let token = cluster.token("transfer")
        cluster.handle(.transfer(token: token, to: target), at: leader)
    }

    // MARK: Afterwards

    /// All faults end for good. A leader appears, and what it is given reaches every member that is left.
    private mutating func recover() {
        cluster.say("recover")
        cluster.cut = []
        for number in 1...nodeCount {
            cluster[number].isPaused = false
            if cluster[number].raft == nil { cluster.start(number) }
        }
        for round in 0..<400 {
            for number in 1...nodeCount { handle(.tick, number) }
            if round % 40 == 20, let leader = cluster.leader { cluster.propose(["last"], at: leader) }
            settle()
            if round > 40, hasConverged { return }
            if !cluster.checker.violations.isEmpty { return }
        }
        cluster.checker.report("progress: no agreement in 400 rounds without faults")
    }

    private mutating func settle() {
        for _ in 0..<200 {
            for number in 1...nodeCount {
                while !cluster[number].pending.isEmpty { write(number) }
            }
            let batch = cluster.network
            if batch.isEmpty { return }
            cluster.network = []
            for message in batch { handle(.message(message), message.to.number) }
        }
    }

    private var hasConverged: Bool {
        guard let number = cluster.leader, let leader = cluster[number].raft,
            leader.applied == leader.lastPosition.index,
            leader.term(at: leader.applied) == leader.term
        else { return false }
        return leader.configuration.members.allSatisfy { member in
            let node = cluster[member.number]
            return node.member != member || node.machine == cluster[number].machine
        }
    }
}
