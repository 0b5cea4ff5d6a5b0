extension Raft {
    /// Times in ticks, and the bound of everything that could grow.
    public struct Settings: Hashable, Sendable {
        /// A follower that hears no leader for this long, and up to as long again, stands for election; a
        /// leader that hears no quorum for this long steps down.
        public var electionTicks = 10
        /// A leader is heard at least this often.
        public var heartbeatTicks = 1

        /// A longer command is refused.
        public var commandBytesMax = 1 << 20
        /// Proposals are refused while this much is not committed.
        public var uncommittedBytesMax = 8 << 20
        /// Entries in one message; a single longer entry travels alone.
        public var appendBytesMax = 256 << 10
        /// Messages with entries that a follower has not answered yet.
        public var appendsInFlightMax = 64

        /// A longer state is neither compacted to nor received.
        public var snapshotBytesMax = 256 << 20
        /// State in one message.
        public var snapshotChunkBytes = 256 << 10
        /// The driver is asked for a snapshot when the applied entries behind the last one are this large.
        public var compactionBytes = 4 << 20
        /// Entries kept behind a snapshot, for followers that are only a little behind.
        public var retainedEntries = 1024

        /// Reads that wait for a round of confirmation; more are refused.
        public var readsMax = 4096
        /// Answers that wait for the disk; more are dropped, as if the network had lost them.
        public var heldMessagesMax = 4096

        public init() {}
    }
}
