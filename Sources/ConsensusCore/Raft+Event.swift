extension Raft {
    /// What can happen to a replica.
    public enum Event: Sendable {
        /// Time has passed; the driver fixes how much, for example 100 ms.
        case tick
        case message(Message)
        /// Commands for the log. Those that come together travel together.
        case propose([Proposal])
        /// Asks for the moment at which the applied state shows everything that was committed before now.
        case read(token: UInt64)
        case change(token: UInt64, Change)
        /// Lets another voter become leader without a pause.
        case transfer(token: UInt64, to: Member)
        /// The state machine's state after the entry at the index, which has been applied.
        case compact(through: Index, state: [UInt8])
        /// The write of this number, and with it all before, is on disk and survives a loss of power.
        case persisted(UInt64)
    }

    /// A command and the number under which its proposer hears of it.
    public struct Proposal: Hashable, Sendable {
        public var token: UInt64
        public var command: [UInt8]

        public init(token: UInt64, command: [UInt8]) {
            self.token = token
            self.command = command
        }
    }

    /// Why nothing was done; asking again later, or elsewhere, may help.
    public enum Refusal: Error, Hashable, Sendable {
        case notLeader(leader: Member?)
        case commandTooLong
        case tooMuchUncommitted
        case tooManyReads
        case leadershipInTransfer
        /// The leader has not yet committed an entry of its own term.
        case termNotCommitted
        /// The change before this one is not committed.
        case changeInFlight
        case notAMember
        case notAVoter
        case notALearner
        /// The learner lacks entries that are committed.
        case learnerBehind
        /// The node is a member already, perhaps under another store, which must be removed first.
        case nodeIsAMember
        case tooManyMembers
        /// The leader does not remove itself; it hands over first.
        case isLeader
        /// Too few of the voters that would be there then are heard of, so that they could decide nothing.
        case quorumSilent
    }
}
