extension Raft {
    /// What the driver has to do after an event.
    public struct Output: Hashable, Sendable {
        /// To be made durable in one transaction, in the order of the numbers, and reported by `persisted`.
        public var write: Write?
        /// May leave at once: an answer that rests on a write is not here before the write is durable.
        public var messages: [Message] = []
        /// Replaces the state machine's state, before anything in `committed` is applied.
        public var restore: Snapshot?
        /// To be applied in this order. They are committed, and durable on this replica.
        public var committed: [Entry] = []
        /// Reads whose answer the state shows, once `committed` is applied.
        public var reads: [UInt64] = []
        /// Where accepted proposals and changes stand in the log. They succeed if an entry of that term is
        /// committed at that index, and fail if one of another term is.
        public var accepted: [Acceptance] = []
        public var refused: [Refused] = []
        /// The log has grown: `compact` is wanted, with the state as it is after `committed`.
        public var compactionDue = false
        /// The replica has stopped for good, and the process must: nothing else is in this output.
        public var fault: Fault?

        public init() {}
    }

    /// A proposal or change that is in the leader's log.
    public struct Acceptance: Hashable, Sendable {
        public var token: UInt64
        public var position: Position
    }

    /// A proposal, read, change or transfer that was not taken, or was given up.
    public struct Refused: Hashable, Sendable {
        public var token: UInt64
        public var reason: Refusal
    }

    /// Proof that some replica broke the protocol or lost what it had promised. Stopping is better than
    /// spreading it.
    public enum Fault: Error, Hashable, Sendable {
        /// A leader sent another entry for a place that is committed here.
        case committedEntryContradicted(Index)
        /// Another replica leads the term in which this one leads.
        case twoLeaders(Term)
    }
}
