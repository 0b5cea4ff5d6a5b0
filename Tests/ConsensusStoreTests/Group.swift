import ConsensusCore
import Identifiers
import TimeAndChance

@testable import ConsensusStore

/// Three voters and a node that comes and goes, for the writes that they ask for: driven by chance, with lost
/// messages, nodes that are cut off, and compactions.
struct Group {
    /// What a random life must contain, or the test shows less than it says.
    struct Kinds: OptionSet {
        let rawValue: Int
        static let hardState = Kinds(rawValue: 1)
        static let snapshot = Kinds(rawValue: 2)
        static let removeFrom = Kinds(rawValue: 4)
        static let removeThrough = Kinds(rawValue: 8)
        static let entries = Kinds(rawValue: 16)
        static let configuration = Kinds(rawValue: 32)
        static let installed = Kinds(rawValue: 64)
        static let all = Kinds(rawValue: 127)
    }

    let members = (1...4).map { ReplicaID($0) }
    var random: SplitMix64
    /// By the meaning of `Raft.PersistentState.apply`.
    var disks: [Raft.PersistentState]
    var seen: Kinds = []
    private var rafts: [Raft] = []
    private var network: [Raft.Message] = []
    private var isolated: Int?
    private var token: UInt64 = 0

    init(seed: UInt64) throws {
        random = SplitMix64(seed: seed)
        let voters = Raft.Configuration(voters: Array(members.prefix(3)))!
        disks = [Raft.PersistentState](
            repeating: Raft.PersistentState(founding: voters, state: [9]), count: 3)
        disks.append(Raft.PersistentState())
        for number in members.indices { rafts.append(try raft(number)) }
    }

    private mutating func raft(_ number: Int) throws -> Raft {
        var settings = Raft.Settings()
        settings.retainedEntries = 3
        settings.snapshotChunkBytes = 64
        settings.appendBytesMax = 400
        return try Raft(id: members[number], state: disks[number], settings: settings, seed: random.next())
    }

    /// The process of a node ends and starts again from its disk.
    mutating func restart(_ number: Int) throws { rafts[number] = try raft(number) }

    /// Something happens.
    /// - Returns: the writes that are asked for, which the disks have already.
    mutating func step() -> [(number: Int, write: Raft.Write)] {
        var writes: [(number: Int, write: Raft.Write)] = []
        let number = Int.random(in: members.indices, using: &random)
        let chance = Int.random(in: 0..<100, using: &random)
        token += 1
        if chance == 0 { isolated = isolated == nil ? number : nil }
        switch chance {
        case 0..<20: handle(.tick, at: number, &writes)
        case 20..<40:
            let length = Int.random(in: 0..<300, using: &random)
            let command = [UInt8](repeating: UInt8(truncatingIfNeeded: token), count: length)
            handle(.propose([Raft.Proposal(token: token, command: command)]), at: number, &writes)
        case 40 where token % 3 == 0:
            let state = [UInt8](repeating: UInt8(truncatingIfNeeded: token), count: 500)
            handle(.compact(through: rafts[number].applied, state: state), at: number, &writes)
        case 41:
            let change = [Raft.Change.addLearner(members[3]), .promote(members[3]), .remove(members[3])]
                .randomElement(using: &random)!
            handle(.change(token: token, change), at: number, &writes)
        default: deliver(&writes)
        }
        return writes
    }

    private mutating func deliver(_ writes: inout [(number: Int, write: Raft.Write)]) {
        guard !network.isEmpty else { return }
        let message = network.remove(at: Int.random(in: 0..<min(4, network.count), using: &random))
        guard let to = members.firstIndex(of: message.to), to != isolated,
            members.firstIndex(of: message.from) != isolated, Int.random(in: 0..<20, using: &random) > 0
        else { return }
        handle(.message(message), at: to, &writes)
    }

    private mutating func handle(
        _ event: Raft.Event, at number: Int, _ writes: inout [(number: Int, write: Raft.Write)]
    ) {
        let output = rafts[number].handle(event)
        network += output.messages
        guard let write = output.write else { return }
        note(write)
        disks[number].apply(write)
        writes.append((number, write))
        handle(.persisted(write.number), at: number, &writes)
    }

    private mutating func note(_ write: Raft.Write) {
        if write.hardState != nil { seen.insert(.hardState) }
        if write.snapshot != nil { seen.insert(write.removeFrom == 1 ? .installed : .snapshot) }
        if write.removeFrom ?? 1 > 1 { seen.insert(.removeFrom) }
        if write.removeThrough != nil { seen.insert(.removeThrough) }
        for entry in write.entries {
            if case .configuration = entry.payload {
                seen.insert(.configuration)
            } else {
                seen.insert(.entries)
            }
        }
    }
}
