import ConsensusCore
import ControlCore
import Identifiers
import PlacementCore
import ReplicationCore
import TimeAndChance

/// A whole cluster in one thread: virtual time, a network, disks, processes, clients and an operator, all
/// driven by one seed. The control plane, placement and replication are the real ones; what the drivers
/// around them do is played here.
public final class Simulation {
    static let tickMicros: UInt64 = 50_000
    static let operatorMicros: UInt64 = 400_000
    static let callMicros: UInt64 = 1_000_000

    public let settings: SimulationSettings
    var random: SplitMix64
    var now: UInt64 = 0
    var events = EventQueue()
    var network = SimulatedNetwork()
    var machines: [SimulatedMachine] = []
    var clients: [SimulatedClient] = []
    var checker = Checker()
    /// The same for clusters that other machines have founded, and the disks that each cluster has let in.
    var others: [Int: Checker] = [:]
    var members: [Int: Set<StoreID>] = [:]
    /// What owners have asked for, which may be decided at any time as long as nothing else is.
    var requested: [PartitionID: Removals] = [:]
    var report: SimulationReport
    var isFaulty = true
    var stopsCalling = false
    /// What there is besides in plans of whole nodes.
    var whole: WholeRun?
    private var processCount = 0
    private var nextStore: UInt64 = 1
    /// When faults happen does not depend on anything else, and neither does what one of them does, so that a
    /// plan without some of them is otherwise the same.
    private var faultTimes: SplitMix64
    private var nextFault = 0
    private var happened: [Int] = []
    /// What happened, for people; kept only on request.
    public private(set) var trace: [String] = []

    public init(_ settings: SimulationSettings) throws {
        self.settings = settings
        random = SplitMix64(seed: settings.seed)
        faultTimes = SplitMix64(seed: ~settings.seed)
        report = SimulationReport(seed: settings.seed)
        for index in 0..<settings.machines {
            machines.append(SimulatedMachine(index: index, disk: emptyDisk()))
            machines[index].files = emptyFiles()
        }
        let ring = try found()
        if let plan = settings.whole {
            let error = plan.clockErrorMicros
            let clocks = machines.map { _ in SimulatedClock.start - error + chance(0...2 * error) }
            whole = WholeRun(plan, cluster: cluster, ring: ring, clocks: clocks)
        }
        for machine in machines { events.plan(.start(machine: machine.index), at: chance(1...100_000)) }
        for index in 0..<settings.clients {
            clients.append(SimulatedClient(index: index))
            whole?.callers.append(caller(index))
            events.plan(.clientTurn(index), at: 1_000_000 + chance(0...100_000))
        }
        events.plan(.operator, at: Self.operatorMicros)
        for kind in FaultKind.allCases { planFault(kind) }
        for event in settings.script { events.plan(.scripted(event.kind), at: event.atMicros) }
        events.plan(.heal, at: settings.faultyMicros)
    }

    // MARK: Chance

    func chance(_ range: ClosedRange<UInt64>) -> UInt64 { UInt64.random(in: range, using: &random) }

    func happens(_ percent: UInt64) -> Bool { chance(0...99) < percent }

    func emptyDisk() -> SimulatedDisk {
        defer { nextStore += 1 }
        return SimulatedDisk(
            store: StoreID(high: nextStore, low: settings.seed), founder: settings.isFormed ? 0 : nil,
            partitions: settings.partitions, keepsRows: settings.whole != nil)
    }

    /// Exponentially distributed around the mean.
    private func planFault(_ kind: FaultKind) {
        let mean = kind.meanMicros(settings.faults)
        guard mean > 0 else { return }
        let share = Double(UInt64.random(in: 1...1_000_000, using: &faultTimes)) / 1_000_000
        let delay = 1_000 + UInt64(-Double(mean) * logarithm(share))
        events.plan(.fault(kind, number: nextFault), at: now + delay)
        nextFault += 1
    }

    private func happen(_ kind: FaultKind, number: Int) {
        guard isFaulty else { return }
        if settings.keptFaults?.contains(number) ?? true {
            let others = random
            random = SplitMix64(seed: settings.seed ^ UInt64(number + 1) << 32)
            if happen(kind) {
                happened.append(number)
                note("that was fault \(number)")
            }
            random = others
        }
        planFault(kind)
    }

    /// The natural logarithm, by its series, so that every machine gets the same bits.
    private func logarithm(_ value: Double) -> Double {
        var (mantissa, exponent) = (value, 0.0)
        while mantissa < 0.75 { (mantissa, exponent) = (mantissa * 2, exponent - 1) }
        let ratio = (mantissa - 1) / (mantissa + 1)
        var (term, sum) = (ratio, 0.0)
        for odd in stride(from: 1.0, through: 25, by: 2) {
            sum += term / odd
            term *= ratio * ratio
        }
        return 2 * sum + exponent * 0.693147180559945309417
    }

    // MARK: Record of what happened

    func note(_ text: @autoclosure () -> String) {
        guard settings.traces else { return }
        let micros = String(now % 1_000)
        let padding = String(repeating: "0", count: 3 - micros.count)
        trace.append("\(now / 1_000).\(padding)\(micros) ms  \(text())")
    }

    /// Makes the run's fingerprint depend on something.
    func mark(_ values: UInt64...) {
        for value in values { report.traceHash = (report.traceHash ^ value) &* 0x100_0000_01B3 }
    }

    func count(_ fault: FaultKind) { report.faults[fault.rawValue, default: 0] += 1 }

    // MARK: Running

    /// Runs to the end, or to the first violation.
    public static func run(_ settings: SimulationSettings) throws(Violation) -> SimulationReport {
        let simulation: Simulation
        do { simulation = try Simulation(settings) } catch { throw Violation("cannot begin: \(error)") }
        do { return try simulation.run() } catch {
            var violation = error as? Violation ?? Violation("\(error)")
            violation.description += " (after \(simulation.now / 1_000) ms)"
            violation.trace = simulation.trace
            violation.faults = simulation.happened
            simulation.dissolve()
            throw violation
        }
    }

    /// Lets go of the code that waits in the hosts.
    private func dissolve() {
        for machine in machines {
            guard let process = machine.process else { continue }
            endHost(machine.index, process)
            closeFiles(machine.index, process)
        }
    }

    func run() throws -> SimulationReport {
        while let (time, event) = events.next() {
            now = time
            whole?.setClocks(now)
            report.events += 1
            try handle(event)
            if let machine = event.machine {
                inspect(machine)
                wakeHost(machine)
            }
            if let failure = failure { throw Violation(failure) }
            if !isFaulty, isSettled {
                try checkEnd()
                report.virtualMicros = now
                report.trace = trace
                countWhole()
                dissolve()
                return report
            }
            guard now < settings.faultyMicros + settings.healMicros else {
                throw Violation("no progress after everything was healed: \(unsettled())")
            }
        }
        throw Violation("nothing is planned any more")
    }

    private func handle(_ event: EventQueue.Event) throws {
        switch event {
        case .tick(let machine, let number):
            guard let process = running(machine, number, event) else { return }
            events.plan(event, at: now + Self.tickMicros)
            observe(machine, process)
            take(process.client.handle(.tick), at: machine)
            take(process.server.handle(.tick, time: time), at: machine)
            leave(machine, process)
            retryAsks(machine, process)
            tellClients(machine, process)
            control(machine, process)
            process.replication?.handleAll(.tick, now: now)
            finishRound(machine)
        case .arrive(let packet, let line, let connection):
            guard network.isCurrent(line, connection) else { return }
            try arrive(packet, line, event)
        case .raftSynced(let machine, let number, let count): raftSynced(machine, number, count, event)
        case .laneSynced(let machine, let number, let count): laneSynced(machine, number, count, event)
        case .identitySynced(let machine, let number, let life):
            guard let process = running(machine, number, event) else { return }
            machines[machine].disk.incarnation = life.incarnation
            machines[machine].disk.node = life.node
            if settings.without?.startsEarly ?? false { begin(life, machine, process) }
            take(process.client.handle(.incarnationPersisted), at: machine)
        case .snapshotEnded(let machine, let number, let partition, let replica):
            guard let process = running(machine, number, event) else { return }
            process.replication?.handle(.snapshotEnded(replica), of: partition, now: now)
            finishRound(machine)
        case .start(let machine): try start(machine)
        case .fault(let kind, let number): happen(kind, number: number)
        case .scripted(let kind): try happen(kind)
        case .refused(let asker, let peer):
            guard let process = machines[asker].process else { return }
            take(process.client.handle(.gone(peer)), at: asker)
        case .heal: heal()
        case .operator:
            operate()
            events.plan(.operator, at: now + Self.operatorMicros)
        case .hostRound(let machine, let number): hostRound(machine, number, event)
        case .apply(let machine, let number): applyTables(machine, number, event)
        case .world(let call): answerEffect(call)
        case .clientTurn(let index): if whole == nil { nextCall(index) } else { nextRequest(index) }
        case .clientConnects(let client, let link, let machine): knock(client, link, machine)
        case .clientLinked(let client, let link, let isOpen): linked(client, link, isOpen: isOpen)
        case .clientTick(let client): tickClient(client)
        case .clientTimeout(let index, let attempt):
            if clients[index].call != nil, clients[index].attempt == attempt { sendCall(index) }
        }
    }

    var time: Timestamp { Timestamp(rawValue: SimulatedClock.start + now) }

    /// The process that an event was for, if it still runs. What happens to a paused one happens when it
    /// wakes.
    func running(_ machine: Int, _ number: Int, _ event: EventQueue.Event) -> SimulatedProcess? {
        guard let process = machines[machine].process, process.number == number else { return nil }
        guard process.pausedUntil <= now else {
            events.plan(event, at: process.pausedUntil)
            return nil
        }
        return process
    }

    func nextProcessNumber() -> Int {
        processCount += 1
        return processCount
    }
}
