import ActorHost
import ClientProtocol
import Identifiers
import MailboxCore
import PartitionStore
import ReplicationCore

/// The real host of a simulated process, and what its node's other threads know.
final class WholeNode {
    let host: ActorHost
    let store: SimulatedStore
    let carrier: SimulatedCarrier
    let port: WorldPort
    let replies = ReplyBox()
    /// Its threads are about to get to their work, or when they must.
    var isRoundPlanned = false
    var wakeAt = UInt64.max
    /// When something becomes due by itself; looked up after each step.
    var dueAt: UInt64?
    var isApplyPlanned = false
    /// By partition, the latest time of any record that was ever in its log here.
    var times: [UInt64]
    /// What the host is to hear after the round.
    var events: [PartitionEvent] = []
    /// Who waits for which confirmation of an epoch.
    var reads: [UInt64: @Sendable (Bool) -> Void] = [:]
    /// The epoch in which the host has last begun to own each partition.
    var epochs: [PartitionID: Epoch] = [:]
    /// Requests that are not answered.
    var asks: [UInt64: RoutedAsk] = [:]
    var nextAsk: UInt64
    /// Who owned each partition by the last map.
    var owners: [PartitionID: NodeID] = [:]

    init(host: ActorHost, store: SimulatedStore, carrier: SimulatedCarrier, port: WorldPort, times: [UInt64])
    {
        self.host = host
        self.store = store
        self.carrier = carrier
        self.port = port
        // An answer to an earlier process of the machine must not be taken for one to this.
        nextAsk = UInt64(port.process) << 32
        self.times = times
    }

    var hasWork: Bool {
        store.hasNews || !carrier.outgoing.isEmpty || port.hasNews || !replies.all.isEmpty
            || (0..<host.shardCount).contains { host.hasWork($0) }
    }

    func noteTimes(of writes: [(partition: PartitionID, write: LogWrite)]) {
        for case (let partition, .append(let records)) in writes {
            times[Int(partition.rawValue)].formMax(records.last?.time ?? 0)
        }
    }
}

/// Answers of a host that the simulation has not taken.
///
/// Sound to share: a simulation has one thread.
final class ReplyBox: @unchecked Sendable {
    enum Answer {
        case ask(UInt64, Result<ActorReply, ActorError>)
        /// To a batch that came from another machine.
        case mail(UInt64, BatchResult, to: Int)
        /// The host has come to the end of an epoch.
        case handedOver(PartitionID, Epoch)
    }

    private(set) var all: [Answer] = []
    func add(_ answer: Answer) { all.append(answer) }

    func take() -> [Answer] {
        defer { all = [] }
        return all
    }
}

/// A request on its way through a node, like a `RoutedCall`.
struct RoutedAsk {
    enum Asker {
        /// Under that id there.
        case machine(Int, id: UInt64)
        case client(ClientEnd, id: UInt64)

        var isClient: Bool { if case .client = self { true } else { false } }
    }

    enum Place: Equatable {
        /// It waits for an owner.
        case nowhere
        case host(RequestToken)
        case machine(Int)
    }

    var asker: Asker
    var request: ActorRequest
    var until: UInt64
    /// When the client's time is over.
    var deadline: UInt64?
    var place = Place.nowhere

    /// The request as the next place gets it.
    func rest(at now: UInt64) -> ActorRequest {
        guard let deadline else { return request }
        var rest = request
        rest.timeLeftMillis = (deadline > now ? deadline - now : 0) / 1_000
        return rest
    }

    /// What the client hears when nobody was found in time.
    func surrender(at now: UInt64) -> ActorError {
        if let deadline, deadline <= now { return .deadlineExceeded }
        return .moved
    }
}

extension UInt64 {
    mutating func formMax(_ other: UInt64) { self = Swift.max(self, other) }
}
