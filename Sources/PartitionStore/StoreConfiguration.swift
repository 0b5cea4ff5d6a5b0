import Identifiers

/// Where a node's data lies, and the bounds of what the store keeps waiting.
public struct StoreConfiguration: Sendable {
    /// The data directory; made if it does not exist (its parent must).
    public var directory: String
    /// The number of partitions of a new directory; an existing one must have been made with the same.
    public var partitionCount = 256
    /// Other nodes have replicas of the logs: what the tables lack when the directory is opened may yet be
    /// cut off, so it waits for `commit`. Without replicas, everything in the journal is committed.
    public var isReplicated = false
    /// A group commit takes no further record once it holds this many bytes; one larger record still goes
    /// alone.
    public var batchBytesMax = 1 << 20
    /// A group commit takes at most this many records and control entries.
    public var batchRecordsMax = 16_384
    /// How long committed records wait before they are applied to the tables.
    public var applyInterval: Duration = .seconds(1)
    /// A partition with this many bytes waiting is applied at once.
    public var applyBytesMax = 1 << 20
    /// One apply transaction takes at most this many records, so that readers of the partition wait briefly.
    public var applyRecordsMax = 4_096
    /// Above this many bytes of records in the journal, the oldest half is applied, synced and deleted.
    public var journalBytesMax = 64 << 20
    /// Above this many bytes, the journal's write-ahead log is copied into its database.
    public var journalLogBytesMax = 16 << 20
    /// The journal's write-ahead log is made longer by so many zeros at once, long before they are needed: a
    /// commit that makes a file longer takes twice the time. 0 for not at all.
    public var journalLogStep = 2 << 20
    /// Above this many bytes, a partition's write-ahead log is copied into its database.
    public var stateLogBytesMax = 1 << 20
    /// Bytes that the journal holds above `journalBytesMax`, at the most, because replicas that receive a
    /// snapshot will need them; beyond, they need another snapshot.
    public var pinnedJournalBytesMax = 256 << 20
    /// Bytes that a partition's write-ahead log has, at the most, while a snapshot is read from its file.
    public var pinnedStateLogBytesMax = 256 << 20
    /// Bytes in one chunk of a snapshot.
    public var snapshotChunkBytes = 256 << 10
    /// At most about this many partitions' tables are open at once; each takes two file descriptors and some
    /// memory. Others are opened when they are used, which takes well below a millisecond.
    public var openTablesMax = 512
    /// How often the witness of the journal's end is synced; it is written after every commit.
    public var witnessInterval: Duration = .seconds(1)
    /// Stops the journal's file from growing above this many pages of 4 KiB, as if the disk were full.
    public var journalPagesMax: Int?

    /// The store has no threads: whoever has it calls the steps of `PartitionStore+Steps.swift`.
    package var isStepped = false
    /// Time since some moment, by which intervals are measured.
    package var clock: @Sendable () -> Duration = { [start = ContinuousClock.now] in
        ContinuousClock.now - start
    }
    /// Draws identities and the numbers of snapshots.
    package var random: @Sendable () -> UInt64 = { .random(in: 0 ... .max) }

    /// Whose directory it must be, formatted by `PartitionStore.format`; its incarnation is not looked at.
    /// Nil for a node alone, which formats an empty directory by itself.
    public private(set) var member: StoreIdentity?

    public init(directory: String) { self.directory = directory }

    /// The directory of a node that is a member of a cluster.
    public init(directory: String, member: StoreIdentity) {
        self.directory = directory
        self.member = member
        partitionCount = member.ring.partitionCount
        isReplicated = true
    }
}
