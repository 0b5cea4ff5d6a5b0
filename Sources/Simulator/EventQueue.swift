import ClientRouting
import ControlCore
import HeapModule
import Identifiers

/// What happens next, in the order of time and, at one time, of planning.
struct EventQueue {
    enum Event {
        case tick(machine: Int, process: Int)
        case arrive(Packet, line: SimulatedNetwork.Line, connection: UInt64)
        case raftSynced(machine: Int, process: Int, count: Int)
        case laneSynced(machine: Int, process: Int, count: Int)
        case identitySynced(machine: Int, process: Int, NodeLife)
        case start(machine: Int)
        case fault(FaultKind, number: Int)
        case scripted(ScriptedEvent.Kind)
        /// A machine that has no process refuses a connection.
        case refused(asker: Int, ControlPeer)
        case heal
        case `operator`
        case snapshotEnded(machine: Int, process: Int, PartitionID, ReplicaID)
        case clientTurn(Int)
        case clientTimeout(Int, attempt: UInt64)
        /// A client of whole nodes is at a machine's door, hears whether it may come in or that it is out,
        /// and looks at its clock.
        case clientConnects(Int, LinkID, machine: Int)
        case clientLinked(Int, LinkID, isOpen: Bool)
        case clientTick(Int)
        /// The shards of a host and the loop of its replicas get to their work.
        case hostRound(machine: Int, process: Int)
        case apply(machine: Int, process: Int)
        /// The outside world answers, or does not.
        case world(call: Int)

        /// Whose process the event reaches; what the operator, faults and clients do reaches it by packets.
        var machine: Int? {
            switch self {
            case .tick(let machine, _), .raftSynced(let machine, _, _), .laneSynced(let machine, _, _),
                .identitySynced(let machine, _, _), .snapshotEnded(let machine, _, _, _),
                .hostRound(let machine, _), .apply(let machine, _):
                machine
            case .arrive(_, let line, _): line.to
            default: nil
            }
        }
    }

    private struct Entry: Comparable {
        var time: UInt64
        var order: UInt64
        var event: Event
        static func < (a: Self, b: Self) -> Bool { (a.time, a.order) < (b.time, b.order) }
        static func == (a: Self, b: Self) -> Bool { a.order == b.order }
    }

    private var heap = Heap<Entry>()
    private var nextOrder: UInt64 = 0

    mutating func plan(_ event: Event, at time: UInt64) {
        heap.insert(Entry(time: time, order: nextOrder, event: event))
        nextOrder += 1
    }

    mutating func next() -> (time: UInt64, event: Event)? {
        heap.popMin().map { ($0.time, $0.event) }
    }
}
