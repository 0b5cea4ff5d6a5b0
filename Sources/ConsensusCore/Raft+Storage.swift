extension Raft {
    /// What a replica may never forget besides its log: whom it heard of, and whom it voted for.
    public struct HardState: Hashable, Sendable {
        public var term: Term
        /// For whom this replica voted in the term.
        public var vote: Member?

        public init(term: Term = 0, vote: Member? = nil) {
            self.term = term
            self.vote = vote
        }
    }

    /// The state machine's state after an entry, in place of the log up to there.
    public struct Snapshot: Hashable, Sendable {
        /// The last entry that is in the state.
        public var position: Position
        /// The members as of that entry.
        public var configuration: Configuration
        public var state: [UInt8]

        public init(position: Position, configuration: Configuration, state: [UInt8]) {
            self.position = position
            self.configuration = configuration
            self.state = state
        }

        /// The beginning: no state and no members.
        public static let empty = Snapshot(position: .zero, configuration: .empty, state: [])
    }

    /// One transaction: all of it becomes durable or nothing.
    public struct Write: Hashable, Sendable {
        /// Counts from 1 in each life of a replica.
        public var number: UInt64
        public var hardState: HardState?
        /// Replaces the one before.
        public var snapshot: Snapshot?
        /// Entries from this index on are removed, before `entries` are added.
        public var removeFrom: Index?
        /// Entries up to this index are removed.
        public var removeThrough: Index?
        /// Consecutive; an entry replaces one of the same index.
        public var entries: [Entry] = []
    }

    /// What is on disk. `apply` says what a write means; a driver's tables hold the same.
    public struct PersistentState: Hashable, Sendable {
        public var hardState = HardState()
        public var snapshot = Snapshot.empty
        /// Consecutive, in ascending order.
        public var entries: [Entry] = []

        /// A formatted disk that was never part of a group.
        public init() {}

        /// The first state of a new group: every founding voter is given the same, and nobody else ever.
        ///
        /// It is a snapshot and not an empty log, so that a member that joins later cannot do without it.
        public init(founding voters: Configuration, state: [UInt8]) {
            hardState.term = 1
            snapshot = Snapshot(
                position: Position(term: 1, index: 1), configuration: voters, state: state)
        }

        public mutating func apply(_ write: Write) {
            if let hardState = write.hardState { self.hardState = hardState }
            if let snapshot = write.snapshot { self.snapshot = snapshot }
            if let from = write.removeFrom { entries.removeAll { $0.index >= from } }
            if let through = write.removeThrough { entries.removeAll { $0.index <= through } }
            entries += write.entries
        }

        /// Whether this can be what was written: no gaps, and terms in order.
        public func check() throws(Inconsistency) {
            var previous = snapshot.position
            if let first = entries.first {
                guard first.index <= previous.index + 1 else { throw .gap(before: first.index) }
                if first.index <= previous.index { previous = Position(term: 0, index: first.index - 1) }
            }
            for entry in entries {
                guard entry.index == previous.index + 1 else { throw .gap(before: entry.index) }
                guard entry.term >= previous.term else { throw .termOutOfOrder(at: entry.index) }
                previous = entry.position
            }
            guard previous.index >= snapshot.position.index else { throw .gap(before: previous.index + 1) }
            guard previous.term <= hardState.term else { throw .termOutOfOrder(at: previous.index) }
        }
    }

    /// Why what was read from disk cannot be what was written.
    public enum Inconsistency: Error, Hashable, Sendable {
        /// An entry is missing before this index.
        case gap(before: Index)
        /// The terms along the log go down, or beyond the hard state's.
        case termOutOfOrder(at: Index)
    }
}
