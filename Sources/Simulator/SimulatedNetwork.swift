import ClientProtocol
import ClientRouting
import ConsensusCore
import ControlCore
import Identifiers
import ReplicationCore

/// What travels between machines, and between clients and machines.
enum Packet {
    case raft(Raft.Message)
    case request(ControlRequest)
    case reply(ControlReply)
    case handovers([UInt8])
    case gossip([UInt8])
    case replication([UInt8], from: NodeLife)
    case snapshot(PartitionID, PartitionSnapshot, Epoch, from: NodeLife)
    case call(SimulatedCall)
    case answer(SimulatedAnswer)
    /// A batch of messages between actors, or the answer to one, as `MeshCarrier` sends them.
    case mail(id: UInt64, [UInt8], isAnswer: Bool)
    /// What a client of whole nodes and a node say to each other on one of the client's connections.
    case said(LinkID, ClientFrame)
    case heard(LinkID, ServerFrame)
    /// A request to an actor that one node hands on to another, and its answer.
    case ask(id: UInt64, ActorRequest)
    case told(id: UInt64, Result<ActorReply, ActorError>)
}

/// Connections with the behaviour of TCP: in order, complete, or broken together with what was on the way.
/// Control and data have connections of their own, so one can overtake the other.
struct SimulatedNetwork {
    struct Line: Hashable {
        var from: Int
        var to: Int
        var isControl: Bool
    }

    struct State {
        /// Counts the connections that there were; what was sent on an older one never arrives.
        var connection: UInt64 = 1
        var lastArrival: UInt64 = 0
    }

    private var states: [Line: State] = [:]
    /// Pairs that hear nothing of one another, in that direction.
    private(set) var cuts: Set<[Int]> = []

    func isCut(_ from: Int, _ to: Int) -> Bool { cuts.contains([from, to]) }

    mutating func cut(_ from: Int, _ to: Int) { cuts.insert([from, to]) }

    mutating func heal() { cuts.removeAll() }

    /// When a packet that is sent now arrives, and on which connection; nil if nothing gets through.
    mutating func send(
        _ line: Line, at time: UInt64, latency: UInt64
    ) -> (arrival: UInt64, connection: UInt64)? {
        guard !isCut(line.from, line.to) else { return nil }
        var state = states[line] ?? State()
        state.lastArrival = max(state.lastArrival, time + latency)
        states[line] = state
        return (state.lastArrival, state.connection)
    }

    func isCurrent(_ line: Line, _ connection: UInt64) -> Bool {
        states[line]?.connection == connection
    }

    /// Breaks the connections between two machines, with everything on the way in both directions.
    mutating func reset(_ a: Int, _ b: Int) {
        for (from, to) in [(a, b), (b, a)] {
            for isControl in [true, false] {
                let line = Line(from: from, to: to, isControl: isControl)
                states[line, default: State()].connection += 1
            }
        }
    }
}
