import ConsensusCore
import ControlCore
import Identifiers
import PlacementCore
import ReplicationCore

/// Watches from outside what no participant can see, and keeps the first thing that is wrong
/// (`cluster.md` 4.3).
struct Checker {
    private(set) var failure: String?
    /// The newest map that consensus has decided.
    var decided: ClusterMap?
    /// The furthest record of each partition that a client was told of.
    private(set) var acknowledged: [PartitionID: (position: LogPosition, hash: UInt64)] = [:]
    private var commits: [PartitionID: [LogPosition: UInt64]] = [:]
    private var servers: [PartitionID: [Epoch: Int]] = [:]
    private var leaders: [Raft.Term: ReplicaID] = [:]
    private var versions: [Int: MapVersion] = [:]
    /// The largest result that anybody was told, and to whom each result belongs.
    private(set) var toldMax: [PartitionID: UInt64] = [:]
    private var owners: [PartitionID: [UInt64: (client: Int, sequence: UInt64)]] = [:]
    private var asked: [PartitionID: UInt64] = [:]

    mutating func fail(_ reason: String) { if failure == nil { failure = reason } }

    /// I9: the decided maps only get newer; I4, I10: what they say is possible.
    mutating func decide(_ map: ClusterMap) {
        guard map.version > decided?.version ?? MapVersion(rawValue: 0) else { return }
        if let breach = map.firstBreach() { fail("the map breaks a rule: \(breach)") }
        decided = map
    }

    /// I8: one leader in a term.
    mutating func observe(_ server: ControlServer, at machine: Int) {
        guard server.isLeader else { return }
        let former = leaders[server.raft.term]
        if let former, former != server.raft.id {
            fail("I8: \(former) and \(server.raft.id) both lead term \(server.raft.term)")
        }
        leaders[server.raft.term] = server.raft.id
    }

    /// I3: one process serves a partition in an epoch.
    mutating func serve(_ partition: PartitionID, _ epoch: Epoch, by machine: Int, _ process: Int) {
        if let other = servers[partition]?[epoch], other != process {
            fail("I3: two processes serve p\(partition.rawValue) in epoch \(epoch.rawValue)")
        }
        servers[partition, default: [:]][epoch] = process
    }

    /// I5: what is committed at a position is the same everywhere, for ever.
    mutating func committed(
        _ partition: PartitionID, _ position: LogPosition, _ hash: UInt64, by machine: Int
    ) {
        if let known = commits[partition]?[position], known != hash {
            fail(
                "I5: two records stand at p\(partition.rawValue) \(position.rawValue), last on m\(machine)"
            )
        }
        commits[partition, default: [:]][position] = hash
    }

    /// I2, I7: what a client is told of is one record for ever.
    mutating func acknowledge(_ partition: PartitionID, _ position: LogPosition, _ hash: UInt64) {
        committed(partition, position, hash, by: -1)
        if position > acknowledged[partition]?.position ?? .zero {
            acknowledged[partition] = (position, hash)
        }
    }

    mutating func noteAsked(_ call: SimulatedCall) { asked[call.partition, default: 0] += 1 }

    /// The same for a counter of a real actor, which stands for a partition.
    mutating func noteAsked(_ counter: PartitionID) { asked[counter, default: 0] += 1 }

    /// I12 and linearizability of a counter: each result belongs to one call, is larger than everything
    /// anybody knew when the call began, and not larger than the calls that were made.
    mutating func told(_ call: SimulatedCall, _ result: UInt64, floor: UInt64) {
        let name = "call \(call.sequence) of client \(call.client) on p\(call.partition.rawValue)"
        if result > asked[call.partition] ?? 0 {
            fail("I12: \(name) counts \(result), more than were asked for")
        }
        switch call.kind {
        case .read: if result < floor { fail("\(name) reads \(result), \(floor) was told before it began") }
        case .increment:
            if result <= floor { fail("\(name) gets \(result), \(floor) was told before it began") }
            if let other = owners[call.partition]?[result],
                other != (call.client, call.sequence)
            {
                fail("\(name) and call \(other.sequence) of client \(other.client) both get \(result)")
            }
            owners[call.partition, default: [:]][result] = (call.client, call.sequence)
        }
        toldMax[call.partition] = max(toldMax[call.partition] ?? 0, result)
    }

    /// Whether the machine has a disk from the past, which the cluster has not refused yet.
    func isRolledBack(_ machine: SimulatedMachine) -> Bool {
        guard let node = decided?[Simulation.node(machine.index)] else { return false }
        return node.store == machine.disk.store && machine.disk.incarnation < node.disk.persisted
    }
}

/// The members of one partition's in-sync set whose removal was asked for, of the newest revision.
struct Removals {
    private var revision: UInt64 = 0
    private var replicas: [ReplicaID] = []

    mutating func add(_ request: MembershipRequest) {
        guard case .drop(let replica) = request.change, request.revision >= revision else { return }
        if request.revision > revision { replicas = [] }
        revision = request.revision
        replicas.append(replica)
    }

    /// One of these at the most: any decision makes the others refused.
    func dropped(at state: PartitionState) -> [ReplicaID?] {
        state.revision.rawValue == revision ? replicas : []
    }
}

extension Simulation {
    /// I1: what a client was told is on disk at every in-sync replica whose disk is there.
    func checkAcknowledged() {
        guard let map = checker.decided else { return }
        for (partition, mark) in checker.acknowledged {
            guard let state = map[partition] else { continue }
            for member in state.inSync {
                let machine = machines[Self.machine(member.node)]
                guard machine.disk.store == member.store, machine.refusal == nil,
                    !checker.isRolledBack(machine), machine.lostEnd(of: partition) == nil
                else { continue }
                let stored = machine.disk.partitions[Int(partition.rawValue)]
                guard stored.base.position <= mark.position, stored.hash(at: mark.position) != mark.hash
                else {
                    continue
                }
                let what = stored.hash(at: mark.position) == nil ? "is missing" : "is another one"
                checker.fail(
                    "I1: record \(mark.position.rawValue) of p\(partition.rawValue), which a client knows, "
                        + "\(what) on m\(machine.index)")
            }
        }
    }

    /// I6, I12, I20: at the end every copy says the same, and exactly what the clients did.
    func checkEnd() throws {
        guard let map = checker.decided else { return }
        checkAcknowledged()
        if let failure = checker.failure { throw Violation(failure) }
        if whole != nil { return try checkWhole(map) }
        for (number, partition) in map.partitions.enumerated() {
            let wanted = clients.reduce(0) { $0 + ($1.increments[PartitionID(number)] ?? 0) }
            for member in partition.inSync {
                var stored = machines[Self.machine(member.node)].disk.partitions[number]
                stored.apply(through: stored.end.position)
                guard stored.tables.total == wanted else {
                    throw Violation(
                        "p\(number) counts \(stored.tables.total) on m\(Self.machine(member.node)), "
                            + "the clients made \(wanted) changes")
                }
            }
            mark(wanted)
        }
    }
}
