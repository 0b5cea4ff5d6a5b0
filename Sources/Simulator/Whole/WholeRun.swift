import Apus
import ByteCoding
import ClientProtocol
import Identifiers
import PartitionStore
import WorkflowCore

/// What there is besides in a simulation of whole nodes: the outside world, clients that ask actors, and the
/// checks' view of what is committed.
struct WholeRun {
    let plan: WholePlan
    let ring: HashRing
    /// By machine.
    let clocks: [SimulatedClock]
    var world = OutsideWorld()
    var committed: CommittedState
    var callers: [WholeCaller] = []
    /// The next job of an errand.
    var nextJob = 1
    /// Bounds how often the healed cluster is looked at.
    var looksAgainAt: UInt64 = 0

    /// - Parameter clocks: what the wall clock of each machine shows at the beginning.
    init(_ plan: WholePlan, cluster: ClusterID, ring: HashRing, clocks: [UInt64]) {
        self.plan = plan
        self.ring = ring
        self.clocks = clocks.map { SimulatedClock(start: $0) }
        committed = CommittedState(
            StoreIdentity(
                cluster: cluster, node: NodeID(rawValue: 0), store: StoreID(high: 0, low: 0),
                incarnation: Incarnation(rawValue: 0), ring: ring),
            timeErrorMicros: plan.timeErrorMicros)
    }

    func setClocks(_ now: UInt64) { for clock in clocks { clock.now = now } }

    static func address(_ kind: String, _ number: Int) -> ActorAddress {
        guard let kind = try? ActorKind(kind), let key = try? ActorKey(["\(number)"]) else {
            // Both are constants of this file's users.
            preconditionFailure("\(kind) is a name, and a number is a key")
        }
        return ActorAddress(kind: kind, key: key)
    }

    // MARK: The end

    private func states<State: Decodable>(
        _ kind: String, _ type: State.Type
    ) -> [(address: ActorAddress, State)] {
        committed.partitions.flatMap { partition in
            partition.rows.rows.values.compactMap { row in
                guard row.stored.address.kind.name == kind else { return nil }
                let state = row.stored.state.flatMap { try? PayloadCoding.decode(type, from: $0) }
                return state.map { (row.stored.address, $0) }
            }
        }.sorted { $0.0 < $1.0 }
    }

    /// What has not come to its end yet; I14 and I15: no deadline is long over, no message stays.
    func whatIsMissing(at time: UInt64) -> String? {
        for caller in callers {
            if let call = caller.call { return "client \(caller.index) waits for \(call.target)" }
        }
        for (number, partition) in committed.partitions.enumerated() {
            if partition.rows.items(of: .partition, .outbox).keys.contains(where: {
                $0.suffix(8).contains { $0 != 0 }
            }) {
                return "I13: messages wait in the outbox of p\(number)"
            }
            if !partition.rows.items(of: .partition, .call).isEmpty {
                return "a call of an action waits in p\(number)"
            }
            for row in partition.rows.rows.values.sorted(by: { $0.stored.id < $1.stored.id }) {
                if let missing = whatIsMissing(of: row, at: time) {
                    return "p\(number) \(row.stored.address): \(missing)"
                }
            }
        }
        let served = states("teller", Teller.State.self).reduce(0) { $0 + $1.1.served }
        let orders = callers.reduce(0) { $0 + $1.orders }
        if served < orders { return "I15: \(served) orders of \(orders) are served" }
        let done = states("errand", Errand.State.self).reduce(0) { $0 + $1.1.done.count }
        let jobs = callers.reduce(0) { $0 + $1.jobs.count }
        return done < jobs ? "I15: \(done) jobs of \(jobs) are done" : nil
    }

    private func whatIsMissing(of row: PartitionRows.Row, at time: UInt64) -> String? {
        if !(row.items[.message] ?? [:]).isEmpty { return "I15: messages wait" }
        var overdue: (sequence: UInt64, text: String)?
        for (_, body) in row.items[.history] ?? [:] {
            guard let entry = try? HistoryEntry.decode(body) else { return "an entry cannot be read" }
            var due: UInt64?
            switch entry.operation {
            case .sleep(let until, false): due = until
            case .next(let deadline, nil): due = deadline
            case .step(.retrying(let at, _), _, _, _): due = at
            case .call(_, let deadline, .waiting): due = deadline
            default: break
            }
            guard let due, due + Self.lateMicros + 2 * plan.timeErrorMicros < time,
                entry.sequence < overdue?.sequence ?? .max
            else { continue }
            overdue = (entry.sequence, "I14: \(entry.path) was due at \(due)")
        }
        if let overdue { return overdue.text }
        if let run = row.stored.run.flatMap({ try? RunRecord.decode($0) }),
            run.status == .failed || run.status == .stalled
        {
            return "its run is \(run.status): \(run.detail) \(run.failure?.message ?? "")"
        }
        return nil
    }

    /// So much later than its time a deadline may be noticed in a healed cluster.
    private static let lateMicros: UInt64 = 5_000_000

    /// I12, I15, I20: everything was done once, and the money is what it was.
    func breachAtEnd() -> String? {
        let accounts = states("account", Account.State.self)
        let total = accounts.reduce(0) { $0 + $1.1.balance }
        if total != accounts.count * Account.opening {
            return "I20: \(accounts.count) accounts have \(total), not \(accounts.count * Account.opening)"
        }
        for (address, state) in accounts {
            let bumps = callers.reduce(0) { $0 + ($1.bumps[address] ?? 0) }
            if state.bumps != bumps { return "I12: \(address) counts \(state.bumps) of \(bumps) calls" }
            let sent = callers.reduce(0) { $0 + ($1.sent[address] ?? 0) }
            if state.sent != sent { return "I12: \(address) has sent \(state.sent) of \(sent) transfers" }
        }
        let served = states("teller", Teller.State.self).reduce(0) { $0 + $1.1.served }
        let orders = callers.reduce(0) { $0 + $1.orders }
        if served != orders { return "I15: \(served) orders of \(orders) are served" }
        let done = states("errand", Errand.State.self).flatMap(\.1.done).sorted()
        let jobs = callers.flatMap(\.jobs).sorted()
        if done != jobs { return "I15: the jobs \(done) are done, \(jobs) were asked for" }
        let scratches = states("scratch", Scratch.State.self)
        for caller in callers {
            let found = scratches.first { $0.address == caller.scratchAddress }
            if found.map({ UInt64($0.1.count) }) != caller.scratch {
                return
                    "I12: \(caller.scratchAddress) is \(found.map { "\($0.1.count)" } ?? "gone"), its client "
                    + "has \(caller.scratch.map { "\($0)" } ?? "destroyed it")"
            }
        }
        return nil
    }
}
