import ClientProtocol
import ClientRouting
import Identifiers

/// Somebody who asks one actor after the other, by the real decisions of a client.
struct WholeCaller {
    enum Kind {
        case bump, look, transfer
        case order
        /// Counts on, or destroys, the client's own actor.
        case scratch, scrap
        case job(Int)
    }

    struct Call {
        var kind: Kind
        var target: ActorAddress
        var calledAt: UInt64
        /// When the client does not wait any longer; nil: it does until it has its answer.
        var deadline: UInt64?
        /// The largest count that anybody had been told when the call began.
        var floor: UInt64
        /// How often it was sent on to somebody else since it was last put off, and when that was last.
        var hops = 0
        var redirectedAt: UInt64?
    }

    let index: Int
    var router: RoutingCore
    let answers = AnswerBox()
    /// To which machine each of its connections leads.
    var links: [LinkID: Int] = [:]
    /// When it looks at its clock next.
    var tickAt: UInt64?
    var call: Call?
    /// Counts the calls.
    var number: UInt64 = 0
    var bumps: [ActorAddress: Int] = [:]
    var sent: [ActorAddress: Int] = [:]
    var orders = 0
    var jobs: [Int] = []
    /// What the client's own actor counts; nil: there is none.
    var scratch: UInt64?

    var scratchAddress: ActorAddress { WholeRun.address("scratch", index) }
}

/// Answers that a client has and the simulation has not taken.
///
/// Sound to share: a simulation has one thread.
final class AnswerBox: @unchecked Sendable {
    private var all: [Result<ActorReply, ClientError>] = []
    func add(_ answer: Result<ActorReply, ClientError>) { all.append(answer) }

    func take() -> [Result<ActorReply, ClientError>] {
        defer { all = [] }
        return all
    }
}
