import ByteCoding
import HeapModule
import Identifiers
import MembershipCore
import TimeAndChance

/// Failure detectors of a whole cluster in virtual time: the real `Swim`, a network that loses and delays,
/// and processes that end, stand still, or are half cut off. The map says that all of them are members.
///
/// A lost message stands for a connection that breaks with what was on it. Messages are encoded and decoded.
struct GossipCluster {
    enum Event {
        case tick(Int, process: UInt32)
        case arrive([UInt8], at: Int)
        case resume(Int)
    }

    private struct Entry: Comparable {
        var micros: UInt64
        var order: UInt64
        var event: Event
        static func < (a: Self, b: Self) -> Bool { (a.micros, a.order) < (b.micros, b.order) }
        static func == (a: Self, b: Self) -> Bool { a.order == b.order }
    }

    struct Process {
        /// nil while the process does not run.
        var swim: Swim?
        var incarnation: UInt32 = 1
        var isPaused = false
        /// What its sockets hold while it stands still.
        var waiting: [[UInt8]] = []
    }

    /// That somebody's opinion of a node has changed.
    struct Change: Hashable {
        var micros: UInt64
        var observer: Int
        var node: Int
        var standing: Standing
    }

    /// The mesh's own bytes around a message.
    static let frameBytes = 12
    /// From one machine to another one in the same network.
    static let latencyMicros: ClosedRange<UInt64> = 100...1_000
    /// What the sockets of a process that stands still take.
    static let waitingMax = 10_000

    let settings: SwimSettings
    var lossPercent: UInt64 = 0
    /// Nodes whose messages reach nobody.
    var mute: Set<Int> = []
    /// Nodes that nothing reaches.
    var deaf: Set<Int> = []
    private(set) var processes: [Process]
    private(set) var micros: UInt64 = 0
    private(set) var messages = 0
    private(set) var bytes = 0
    /// Since they were last taken.
    private(set) var changes: [Change] = []
    private(set) var lonelyNow: Set<Int> = []
    private(set) var damaged = 0
    private var heap = Heap<Entry>()
    private var nextOrder: UInt64 = 0
    var random: SplitMix64

    init(_ size: Int, settings: SwimSettings, seed: UInt64) {
        self.settings = settings
        random = SplitMix64(seed: seed)
        processes = Array(repeating: Process(), count: size)
        for index in 0..<size { start(index) }
    }

    static func node(_ index: Int) -> NodeID { NodeID(rawValue: UInt64(index + 1)) }
    private var now: Duration { .microseconds(Int64(micros)) }
    private var tickMicros: UInt64 { UInt64(settings.tick.wholeMicroseconds) }

    // MARK: Time

    private mutating func plan(_ event: Event, at micros: UInt64) {
        heap.insert(Entry(micros: micros, order: nextOrder, event: event))
        nextOrder += 1
    }

    mutating func run(for duration: Duration) { run(until: micros + UInt64(duration.wholeMicroseconds)) }

    /// Stops early when `isEnough` says so; it is asked after every millisecond in which something changed.
    mutating func run(until end: UInt64, isEnough: (borrowing Self) -> Bool = { _ in false }) {
        var asked = changes.count
        while let next = heap.min, next.micros <= end {
            if changes.count != asked, next.micros > micros {
                asked = changes.count
                if isEnough(self) { return }
            }
            heap.removeMin()
            micros = next.micros
            perform(next.event)
        }
        micros = end
    }

    private mutating func perform(_ event: Event) {
        switch event {
        case .tick(let index, let process):
            guard processes[index].swim != nil, processes[index].incarnation == process else { return }
            if !processes[index].isPaused { handle(.tick, at: index) }
            plan(event, at: micros + tickMicros)
        case .arrive(let message, let index):
            guard processes[index].swim != nil else { return }
            if processes[index].isPaused {
                if processes[index].waiting.count < Self.waitingMax {
                    processes[index].waiting.append(message)
                }
            } else {
                receive(message, at: index)
            }
        case .resume(let index): resume(index)
        }
    }

    // MARK: Processes

    private mutating func start(_ index: Int) {
        let life = Incarnation(rawValue: processes[index].incarnation)
        processes[index].swim = Swim(
            Self.node(index), life, settings: settings, seed: random.next(), now: now)
        handle(.members(listed), at: index)
        plan(
            .tick(index, process: life.rawValue),
            at: micros + UInt64.random(in: 0..<tickMicros, using: &random)
        )
    }

    private var listed: [Swim.Listed] {
        processes.enumerated().map {
            Swim.Listed(Self.node($0), Incarnation(rawValue: $1.incarnation), isUp: true)
        }
    }

    /// The process ends without a word.
    /// - Parameter isKilled: its machine goes on, so the connections break at once; else it is only silent.
    mutating func end(_ index: Int, isKilled: Bool) {
        let incarnation = processes[index].incarnation
        processes[index] = Process(incarnation: incarnation)
        lonelyNow.remove(index)
        guard isKilled else { return }
        for other in processes.indices where processes[other].swim != nil {
            handle(.linkChanged(Self.node(index)), at: other)
        }
    }

    /// A new process, which the map shows to all.
    mutating func restart(_ index: Int) {
        processes[index].incarnation += 1
        start(index)
        for other in processes.indices where processes[other].swim != nil {
            handle(.members(listed), at: other)
        }
    }

    mutating func pause(_ index: Int, for duration: Duration) {
        processes[index].isPaused = true
        plan(.resume(index), at: micros + UInt64(duration.wholeMicroseconds))
    }

    /// The timer that is due, and what the sockets hold, in whatever order.
    private mutating func resume(_ index: Int) {
        guard processes[index].isPaused else { return }
        processes[index].isPaused = false
        let waiting = processes[index].waiting
        processes[index].waiting = []
        let isTickFirst = Bool.random(using: &random)
        if isTickFirst { handle(.tick, at: index) }
        for message in waiting { receive(message, at: index) }
        if !isTickFirst { handle(.tick, at: index) }
    }

    // MARK: Messages

    private mutating func receive(_ message: [UInt8], at index: Int) {
        guard let message = try? SwimMessage.decode(message) else {
            damaged += 1
            return
        }
        handle(.message(message), at: index)
    }

    private mutating func handle(_ event: Swim.Event, at index: Int) {
        let now = now
        guard let effects = processes[index].swim?.handle(event, now: now) else { return }
        for effect in effects {
            switch effect {
            case .send(let message, let node): send(message, from: index, to: Int(node.rawValue) - 1)
            case .changed(let node, let standing):
                changes.append(
                    Change(
                        micros: micros, observer: index, node: Int(node.rawValue) - 1, standing: standing))
            case .loneliness(let isLonely):
                if isLonely { lonelyNow.insert(index) } else { lonelyNow.remove(index) }
            case .accused, .stalled, .succeeded: break
            }
        }
    }

    private mutating func send(_ message: SwimMessage, from sender: Int, to receiver: Int) {
        let encoded = message.encoded()
        messages += 1
        bytes += encoded.count + Self.frameBytes
        guard !mute.contains(sender), !deaf.contains(receiver) else { return }
        if lossPercent > 0, UInt64.random(in: 0..<100, using: &random) < lossPercent { return }
        let latency = UInt64.random(in: Self.latencyMicros, using: &random)
        plan(.arrive(encoded, at: receiver), at: micros + latency)
    }

    // MARK: Looking from outside

    mutating func takeChanges() -> [Change] {
        defer { changes = [] }
        return changes
    }

    mutating func resetTraffic() { (messages, bytes) = (0, 0) }

    /// Whether every other process that runs takes the node for unreachable.
    func isKnownUnreachable(_ index: Int) -> Bool {
        processes.indices.allSatisfy { other in
            guard other != index, let swim = processes[other].swim else { return true }
            return swim.members[Self.node(index)]?.state == .unreachable
        }
    }
}
