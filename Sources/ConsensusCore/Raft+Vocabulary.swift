import Identifiers

extension Raft {
    /// A period with at most one leader. Zero is before the first.
    public typealias Term = UInt64

    /// A place in the replicated log. The first entry has index 1.
    public typealias Index = UInt64

    /// Who votes: a node together with its formatted disk.
    ///
    /// A voter that lost its disk comes back with another store. It has forgotten its votes and entries, so
    /// it is another member: what it says under the new store counts for nothing until it is added (R12).
    public typealias Member = ReplicaID

    /// Term and index of an entry. The greater position is the log that is more up to date (Raft, 5.4.1).
    public struct Position: Hashable, Comparable, Sendable {
        public var term: Term
        public var index: Index

        public init(term: Term, index: Index) {
            self.term = term
            self.index = index
        }

        /// Terms and indices above this are nonsense, and could overflow when counted up.
        static let numberMax: UInt64 = 1 << 62

        /// Before the first entry.
        public static let zero = Position(term: 0, index: 0)

        public static func < (a: Self, b: Self) -> Bool { (a.term, a.index) < (b.term, b.index) }
    }

    /// One entry of the replicated log.
    public struct Entry: Hashable, Sendable {
        /// What an entry does when it is applied.
        public enum Payload: Hashable, Sendable {
            /// A leader's first entry in its term: what it needs to find out what is committed.
            case noop
            /// Bytes for the state machine.
            case command([UInt8])
            /// The members from here on; in force as soon as it is in the log.
            case configuration(Configuration)
        }

        public var position: Position
        public var payload: Payload

        public init(position: Position, payload: Payload) {
            self.position = position
            self.payload = payload
        }

        public var term: Term { position.term }
        public var index: Index { position.index }

        /// About the room that the entry takes, in memory and in a message.
        var costBytes: Int {
            switch payload {
            case .noop: 24
            case .command(let bytes): 24 + bytes.count
            case .configuration(let configuration): 24 + 24 * configuration.members.count
            }
        }
    }

    /// What a replica does at the moment.
    public enum Role: Hashable, Sendable {
        case follower
        /// Asks whether it could win an election, without changing anybody's term.
        case preCandidate
        case candidate
        case leader
    }
}
