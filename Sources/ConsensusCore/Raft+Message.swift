extension Raft {
    /// What one replica says to another.
    public struct Message: Hashable, Sendable {
        public var from: Member
        public var to: Member
        /// The sender's term; for a pre-vote and the consent to it, the term that the election would have.
        public var term: Term
        public var body: Body

        public init(from: Member, to: Member, term: Term, body: Body) {
            self.from = from
            self.to = to
            self.term = term
            self.body = body
        }

        public enum Body: Hashable, Sendable {
            /// Would you vote for a log that ends here?
            case preVote(last: Position)
            case preVoteResponse(granted: Bool)
            /// - Parameter transfer: the leader asked for this election, so it disturbs nobody.
            case vote(last: Position, transfer: Bool)
            case voteResponse(granted: Bool)
            /// Without entries it is a heartbeat, and proves the log all the same.
            case append(Append)
            case appendResponse(AppendResponse)
            case snapshot(SnapshotChunk)
            case snapshotResponse(SnapshotResponse)
            /// Stand for election now.
            case timeoutNow
        }
    }

    /// Entries behind one that both have.
    public struct Append: Hashable, Sendable {
        public var previous: Position
        public var entries: [Entry]
        public var commit: Index
        /// The leader's last round of confirmation for reads, sent back in the answer.
        public var round: UInt64

        public init(previous: Position, entries: [Entry], commit: Index, round: UInt64) {
            self.previous = previous
            self.entries = entries
            self.commit = commit
            self.round = round
        }
    }

    public struct AppendResponse: Hashable, Sendable {
        public enum Result: Hashable, Sendable {
            /// Up to this index the follower's log is the leader's, and durable.
            case accepted(match: Index)
            /// There is no such entry as `previous`; the logs can agree at `hint` at the latest.
            case rejected(previous: Index, hint: Position)
        }
        public var result: Result
        public var round: UInt64

        public init(result: Result, round: UInt64) {
            self.result = result
            self.round = round
        }
    }

    /// A piece of a snapshot, for a follower whose next entry is compacted away.
    public struct SnapshotChunk: Hashable, Sendable {
        public var position: Position
        public var configuration: Configuration
        public var stateBytes: Int
        public var offset: Int
        /// Empty when the leader only asks how far the follower is.
        public var bytes: [UInt8]
        public var round: UInt64

        public init(
            position: Position, configuration: Configuration, stateBytes: Int, offset: Int, bytes: [UInt8],
            round: UInt64
        ) {
            self.position = position
            self.configuration = configuration
            self.stateBytes = stateBytes
            self.offset = offset
            self.bytes = bytes
            self.round = round
        }
    }

    /// How much of a snapshot has arrived; a complete one is answered as an accepted append.
    public struct SnapshotResponse: Hashable, Sendable {
        public var position: Position
        public var receivedBytes: Int
        public var round: UInt64

        public init(position: Position, receivedBytes: Int, round: UInt64) {
            self.position = position
            self.receivedBytes = receivedBytes
            self.round = round
        }
    }
}
