/// Limits and times of replication; the times are microseconds of a clock that only moves forward.
public struct ReplicationSettings: Hashable, Sendable {
    /// An in-sync replica that has acknowledged nothing for so long, although it was sent something, is
    /// proposed to be dropped (`cluster.md` 2.6.4).
    public var shrinkAfterMicros: UInt64 = 1_500_000
    /// A change that was asked for and got lost is asked for again after so long.
    public var proposeAgainAfterMicros: UInt64 = 100_000
    /// A learner that has been caught up for so long is proposed to be added.
    public var expandAfterMicros: UInt64 = 1_000_000
    /// An owner that must hear from the other members before it begins does without those that said nothing
    /// for so long (R20). Long enough for a process to be started again.
    public var askPatienceMicros: UInt64 = 20_000_000
    /// What was not acknowledged after so long is sent again.
    public var resendAfterMicros: UInt64 = 500_000
    /// An otherwise silent owner tells its replicas how far the log is committed.
    public var announceAfterMicros: UInt64 = 50_000
    /// Bytes on the way to one replica of one partition, at the most; the rest waits for acknowledgements.
    public var windowBytesMax = 4 << 20
    /// Bytes of records in one append, at the most; a larger record goes alone.
    public var appendBytesMax = 1 << 20
    /// Bytes of records kept in memory for replicas that lag; older ones are read from the journal.
    public var tailBytesMax = 8 << 20
    /// Epochs named in one answer about a log that differs.
    public var epochsPerMismatchMax = 64

    public init() {}
}

/// The rules of `cluster.md` 2.0 that replicas keep, so that a test can take one away and see what it is for.
package struct ReplicationRules: OptionSet, Hashable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// R1: a record is committed when all of the in-sync set have it.
    package static let allInSyncCommit = Self(rawValue: 1 << 1)
    /// R2: a member counts until the control plane has confirmed its removal.
    package static let shrinkByControlPlane = Self(rawValue: 1 << 2)
    /// R3: a member counts from the moment that its addition is asked for.
    package static let maximalInSync = Self(rawValue: 1 << 3)
    /// R5: a process that restarted needs a new grant.
    package static let oneLifePerEpoch = Self(rawValue: 1 << 5)
    /// R6: an acknowledgement comes after the sync.
    package static let acknowledgeSynced = Self(rawValue: 1 << 6)
    /// R7: logs are truncated where they differ, not at the commit position.
    package static let truncateByMatch = Self(rawValue: 1 << 7)
    /// R9: nobody is added before the owner's first record is committed, which proves its commit position.
    package static let caughtUpPastStart = Self(rawValue: 1 << 9)
    /// R10: what a follower already has is acknowledged only when it is durable.
    package static let flushBeforeVouching = Self(rawValue: 1 << 10)
    /// R11: a grant is bound to a life and its store.
    package static let grantNamesStore = Self(rawValue: 1 << 11)
    /// R12: acknowledgements of another store do not count.
    package static let membersAreStores = Self(rawValue: 1 << 12)
    /// R12: a new process promises nothing before it has learnt the epochs from the control plane.
    package static let learnsEpochsFirst = Self(rawValue: 1 << 13)
    /// R17: nothing leaves before the commit.
    package static let outputGate = Self(rawValue: 1 << 17)
    /// R18: an epoch is durable before it is acted in.
    package static let durableEpoch = Self(rawValue: 1 << 18)
    /// R20: a process that has only its disk's word for its log asks the other members before it begins.
    package static let asksBeforeItBegins = Self(rawValue: 1 << 20)

    package static let all = Self(rawValue: .max)
}
