import ByteCoding
import Identifiers
import PlacementCore
import Testing
import TimeAndChance

@Suite("Random commands")
struct RandomCommandTests {
    /// Makes commands that are mostly almost right.
    private struct Source {
        var random: SplitMix64
        /// Every life that was ever issued: messages of all of them may still be under way.
        var lives: [NodeLife] = []

        mutating func chance(_ oneIn: Int) -> Bool { Int.random(in: 0..<oneIn, using: &random) == 0 }
        mutating func number(_ range: Range<Int>) -> Int { Int.random(in: range, using: &random) }

        mutating func life(_ map: ClusterMap) -> NodeLife {
            if chance(4), let old = lives.randomElement(using: &random) { return old }
            var life = map.nodes.randomElement(using: &random)!.life
            if chance(12) { life.store = ControlPlane.store(number(1..<12)) }
            if chance(12) { life.incarnation.rawValue &+= 1 }
            return life
        }

        mutating func commands(for state: ClusterState) -> [Command] {
            guard let map = state.map else {
                return [
                    ControlPlane.initialization(
                        settings: ClusterSettings(replicationFactor: number(1..<4)))
                ]
            }
            return (0..<(chance(5) ? number(2..<5) : 1)).map { _ in command(map) }
        }

        mutating func command(_ map: ClusterMap) -> Command {
            let life = life(map)
            let id = PartitionID(number(0..<(chance(30) ? 5 : 4)))
            let partition = map[id] ?? map.partitions[0]
            var revision = partition.revision
            if chance(10) { revision.rawValue &-= 1 }
            switch number(0..<26) {
            case 0...3: return register(map)
            case 4...7: return .confirm(map.nodes.randomElement(using: &random)!.life)
            case 8, 9: return .nodeDown(life.node, life.incarnation, .silent)
            case 10: return .drain(life.node, life.incarnation, chance(2))
            case 11: return .leave(life.node, life.incarnation)
            case 12...14:
                let learner = partition.learners.randomElement(using: &random)
                let known = learner.flatMap { map[$0.node]?.life }
                return .changeInSync(id, partition.epoch, revision, .add(chance(3) ? life : known ?? life))
            case 15:
                let member = partition.inSync.randomElement(using: &random)!
                return .changeInSync(
                    id, partition.epoch, revision, .drop(chance(3) ? life.replica : member))
            case 16...19:
                let member = partition.inSync.randomElement(using: &random)!
                let to = chance(3) ? life : map[member.node]?.life ?? life
                return .promote(id, revision, to: to)
            case 20: return .forcePromote(id, revision, to: life, acceptsDataLoss: !chance(3))
            case 21, 22: return .addLearner(id, revision, life.replica)
            case 23:
                let held = (partition.inSync + partition.learners).randomElement(using: &random)!
                return .removeReplica(id, revision, chance(3) ? life.replica : held)
            case 24:
                let nodes = map.nodes.map(\.id).shuffled(using: &random).prefix(number(0..<4))
                return .setTargets([.init(partition: id, nodes: Array(nodes))], map.version)
            default:
                let change: [VoterChange] = [
                    .addLearner(life.replica), .promote(life.replica), .remove(life.replica),
                ]
                return .changeVoters(change.randomElement(using: &random)!, map.voters.revision)
            }
        }

        private mutating func register(_ map: ClusterMap) -> Command {
            let store = number(1..<12)
            let known = map.nodes.first { $0.record(of: ControlPlane.store(store)) != nil }
            let last =
                chance(6)
                ? number(0..<9) : Int(known?.record(of: ControlPlane.store(store))?.persisted.rawValue ?? 0)
            let node = chance(2) ? nil : known?.id.rawValue ?? UInt64(number(1..<8))
            return .register(ControlPlane.registration(node: node, store: store, last: UInt32(last)))
        }
    }

    @Test(
        "I4, I9, I10, I19, R4, R5: invariants, monotony, deltas and snapshots over random commands",
        arguments: 0..<12)
    func sequences(seed: Int) throws {
        var source = Source(random: SplitMix64(seed: UInt64(seed)))
        var plane = ControlPlane()
        var stale = MapFollower()
        var accepted: Set<Int> = []
        for step in 0..<1500 {
            let commands = source.commands(for: plane.state)
            // What is applied went through the log.
            let entry = ClusterEntry(time: Timestamp(rawValue: 0), commands: commands)
            #expect(try ClusterEntry.decode(entry.encoded()) == entry)
            for (command, outcome) in zip(commands, plane.run(commands)) {
                if case .registered(let life) = outcome {
                    #expect(
                        !source.lives.contains { $0.node == life.node && $0.incarnation == life.incarnation })
                    source.lives.append(life)
                }
                if case .refused = outcome { continue }
                accepted.insert(Self.kind(of: command))
            }
            if step % 40 == 0 {
                #expect(try ClusterState.decode(plane.state.encoded()) == plane.state)
                for update in plane.log.updates(after: stale.version, of: plane.map) {
                    #expect(stale.follow(try MapUpdate.decode(update.encoded())) == .followed)
                }
                #expect(stale.map == plane.map)
            }
        }
        // The sequence did something.
        #expect(accepted.count >= 10, "only \(accepted.sorted()) were ever accepted")
    }

    @Test("The same entries give the same state everywhere")
    func deterministic() {
        var source = Source(random: SplitMix64(seed: 99))
        var (one, two) = (ClusterState(), ClusterState())
        for index in 1...800 {
            let entry = ClusterEntry(time: Timestamp(rawValue: 1), commands: source.commands(for: one))
            #expect(one.apply(entry, at: UInt64(index)) == two.apply(entry, at: UInt64(index)))
        }
        #expect(one == two && one.encoded() == two.encoded())
    }

    private static func kind(of command: Command) -> Int {
        switch command {
        case .initialize: 0
        case .register: 1
        case .confirm: 2
        case .nodeDown: 3
        case .drain: 4
        case .leave: 5
        case .changeInSync(_, _, _, .drop): 6
        case .changeInSync: 7
        case .promote: 8
        case .forcePromote: 9
        case .addLearner: 10
        case .removeReplica: 11
        case .setTargets: 12
        case .changeVoters: 13
        case .changeSettings: 14
        }
    }
}
