import ConsensusCore
import Identifiers

/// A node of the tests: a disk that survives, and a replica that does not.
///
/// A class, because a run would spend its time on copies of it: a replica is many arrays.
final class Node {
    var member: Raft.Member
    /// Counts the starts, of any store.
    var life = 0
    var disk: Raft.PersistentState
    /// Asked for and not durable; lost in a crash, but for what the disk happened to do first.
    var pending: [Raft.Write] = []
    /// Nil while the node is down.
    var raft: Raft?
    var machine = Machine(index: 0)
    /// Takes part in nothing, and keeps its memory.
    var isPaused = false
    /// Writes wait for a command.
    var holdsWrites = false

    init(member: Raft.Member, disk: Raft.PersistentState) {
        self.member = member
        self.disk = disk
    }
}

/// Replicas with disks, a network between them, and the checker above them.
struct Cluster {
    struct Link: Hashable {
        var from: Int
        var to: Int
    }

    var nodes: [Node] = []
    var network: [Raft.Message] = []
    var cut: Set<Link> = []
    var checker = Checker()
    var settings = Cluster.smallSettings
    var mutations: Mutations = []
    var seed: UInt64
    /// What happens, line by line; nil if nobody reads it.
    var trace: [String]?
    var nextToken: UInt64 = 1
    private var names: [UInt64: String] = [:]

    /// Everything is cut into the smallest pieces, so that every path is taken.
    static var smallSettings: Raft.Settings {
        var settings = Raft.Settings()
        settings.appendBytesMax = 60
        settings.appendsInFlightMax = 3
        settings.snapshotChunkBytes = 16
        settings.retainedEntries = 2
        settings.uncommittedBytesMax = 1000
        settings.commandBytesMax = 100
        return settings
    }

    /// - Parameters:
    ///   - voters: the founding voters are the nodes from 1 to this.
    ///   - blank: nodes behind them, with formatted disks and nothing on them.
    init(voters: Int, blank: Int = 0, seed: UInt64 = 1, mutations: Mutations = [], traced: Bool = false) {
        self.seed = seed
        self.mutations = mutations
        trace = traced ? [] : nil
        let members = (1...voters).map { Raft.Member(number: $0, generation: 0) }
        let configuration = Raft.Configuration(voters: members) ?? .empty
        let founding = Raft.PersistentState(founding: configuration, state: Machine.founding.encoded())
        for number in 1...voters + blank {
            nodes.append(
                Node(
                    member: Raft.Member(number: number, generation: 0),
                    disk: number <= voters ? founding : Raft.PersistentState()))
            start(number)
        }
    }

    subscript(number: Int) -> Node { nodes[number - 1] }

    mutating func say(_ line: @autoclosure () -> String) { trace?.append(line()) }

    // MARK: Processes and disks

    mutating func start(_ number: Int) {
        self[number].life += 1
        let node = self[number]
        do {
            var raft = try Raft(
                id: node.member, state: node.disk, settings: settings,
                seed: seed &* 1000 &+ UInt64(number * 100 + node.life))
            raft.mutations = mutations
            self[number].raft = raft
            self[number].machine = try Machine(node.disk.snapshot)
        } catch {
            checker.report("restart: \(node.member.name) does not start: \(error)")
        }
    }

    /// - Parameter durableWrites: how many pending writes reach the disk before the process ends.
    mutating func crash(_ number: Int, durableWrites: Int = 0) {
        for write in self[number].pending.prefix(durableWrites) { self[number].disk.apply(write) }
        self[number].pending = []
        self[number].raft = nil
        self[number].isPaused = false
    }

    /// The disk is replaced by an empty one; the node comes back under another store.
    mutating func wipe(_ number: Int) {
        crash(number)
        self[number].member = Raft.Member(
            number: number, generation: self[number].member.generation + 1)
        self[number].disk = Raft.PersistentState()
        start(number)
    }

    mutating func completeWrite(_ number: Int) {
        guard !self[number].pending.isEmpty else { return }
        let write = self[number].pending.removeFirst()
        self[number].disk.apply(write)
        handle(.persisted(write.number), at: number)
    }

    // MARK: Events

    mutating func handle(_ event: Raft.Event, at number: Int) {
        guard let role = self[number].raft?.role, let term = self[number].raft?.term,
            let commit = self[number].raft?.commit,
            let output = self[number].raft?.handle(event)
        else { return }
        perform(output, at: number, role: role, term: term, commit: commit)
        while !self[number].holdsWrites, !self[number].pending.isEmpty { completeWrite(number) }
    }

    /// - Parameters: what the output belongs to, and how the replica was before it.
    private mutating func perform(
        _ output: Raft.Output, at number: Int, role: Raft.Role, term: Raft.Term, commit: Raft.Index
    ) {
        guard let raft = self[number].raft else { return }
        let name = self[number].member.name
        if let fault = output.fault {
            checker.report("fault: \(name): \(fault)")
            say("\(name) stops: \(fault)")
            return crash(number)
        }
        if raft.role != role || raft.term != term { say("\(name) \(raft.roleText)") }
        if let write = output.write {
            checker.write(write, of: raft)
            self[number].pending.append(write)
            if write.removeFrom != nil || write.snapshot != nil {
                var state = self[number].disk
                for write in self[number].pending { state.apply(write) }
                checker.compareMembers(of: raft, with: state)
                checker.compareMembers(in: state.snapshot, at: self[number])
            }
        }
        checker.compare(raft, with: self[number].disk)
        if raft.role == .leader { checker.lead(self[number]) }
        if commit < raft.commit {
            let leaders = nodes.filter { $0.raft?.role == .leader }.compactMap(\.raft)
            checker.commit(raft, from: commit, leaders: leaders)
        }
        for message in output.messages {
            checker.leave(message, disk: self[number].disk)
            network.append(message)
        }
        apply(output, at: number)
        for acceptance in output.accepted {
            let asked = take(acceptance.token)
            say("\(name) accepts \(asked) as \(acceptance.position.name)")
        }
        for refused in output.refused {
            let asked = take(refused.token)
            say("\(name) refuses \(asked): \(refused.reason.text)")
        }
    }

    private mutating func apply(_ output: Raft.Output, at number: Int) {
        let name = self[number].member.name
        if let snapshot = output.restore {
            if let machine = try? Machine(snapshot) { self[number].machine = machine }
            checker.agree(self[number].machine, self[number])
            say("\(name) restores \(snapshot.position.name)")
        }
        for entry in output.committed {
            let before = self[number].machine.index
            self[number].machine.apply(entry)
            checker.apply(
                entry, giving: self[number].machine, at: self[number], after: before)
            say("\(name) applies \(entry.text)")
        }
        for token in output.reads {
            checker.answer(token, by: self[number])
            let (asked, index) = (take(token), self[number].machine.index)
            say("\(name) reads \(asked) at \(index)")
        }
    }

    /// A token for something that is asked, remembered by name where somebody reads along.
    mutating func token(_ name: String) -> UInt64 {
        defer { nextToken += 1 }
        if trace != nil { names[nextToken] = name }
        return nextToken
    }

    private mutating func take(_ token: UInt64) -> String { names.removeValue(forKey: token) ?? "\(token)" }

    mutating func propose(_ commands: [String], at number: Int) {
        let proposals = commands.map { Raft.Proposal(token: token($0), command: Array($0.utf8)) }
        handle(.propose(proposals), at: number)
    }

    mutating func read(_ name: String, at number: Int) {
        let token = token(name)
        checker.ask(token)
        handle(.read(token: token), at: number)
    }

    mutating func compact(_ number: Int) {
        let machine = self[number].machine
        handle(.compact(through: machine.index, state: machine.encoded()), at: number)
    }

    // MARK: Network

    func isCut(_ message: Raft.Message) -> Bool {
        cut.contains(Link(from: message.from.number, to: message.to.number))
    }

    /// The message arrives, if the link is not cut, whatever store the node has now.
    mutating func deliver(_ message: Raft.Message) {
        guard !isCut(message), self[message.to.number].raft != nil else { return }
        handle(.message(message), at: message.to.number)
    }

    var leader: Int? {
        nodes.filter { $0.raft?.role == .leader }.max { ($0.raft?.term ?? 0) < ($1.raft?.term ?? 0) }?
            .member.number
    }
}
