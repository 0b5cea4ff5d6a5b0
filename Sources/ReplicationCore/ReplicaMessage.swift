import Identifiers

/// What replicas of one partition say to one another; who says it comes with the connection.
public enum ReplicaMessage: Hashable, Sendable {
    /// From the owner of an epoch.
    case append(Append)
    /// Everything up to that position is the owner's, and on disk here (R6).
    case acknowledged(epoch: Epoch, position: LogPosition)
    /// The log here does not continue at `Append.previous`: it ends at `end`, with these epochs, ascending.
    case mismatch(epoch: Epoch, probe: UInt64, end: LogPosition, epochs: [EpochStart])
    /// The log here contradicts itself or the owner's, and waits for a snapshot.
    case damaged(epoch: Epoch)
    /// A higher epoch was promised here; the sender's is over.
    case rejected(epoch: Epoch, promised: Epoch)
    /// Asks whether the owner's epoch is still the highest here (`cluster.md` 2.5.4).
    case confirm(epoch: Epoch, round: UInt64)
    case confirmed(epoch: Epoch, round: UInt64)
}

/// Records in their order, or none to say how far the log is committed.
public struct Append: Hashable, Sendable {
    public var epoch: Epoch
    /// Counts the owner's attempts to find out where the logs agree; an answer names it.
    public var probe: UInt64
    /// What the first record follows.
    public var previous: LogMark
    public var committed: LogPosition
    public var records: [LogRecord]

    public init(
        epoch: Epoch, probe: UInt64, previous: LogMark, committed: LogPosition, records: [LogRecord]
    ) {
        self.epoch = epoch
        self.probe = probe
        self.previous = previous
        self.committed = committed
        self.records = records
    }
}

/// What happens to a replica.
public enum ReplicaEvent: Sendable {
    /// The control plane's decision, from a map at least as new as this process's registration (R12).
    case configured(PartitionConfiguration)
    /// The control plane has refused a change for good: the life that it names is over, declared down or
    /// followed by another one.
    case changeRefused(MembershipRequest)
    /// Nobody knows what became of a change that was asked for. It names what it was made for, so it may be
    /// asked for again.
    case changeLost(MembershipRequest)
    /// The owner's next records, sealed and in order.
    case append([LogRecord])
    /// Every write up to this ticket is on disk.
    case persisted(ticket: UInt64)
    case received(ReplicaMessage, from: NodeLife)
    /// A connection to the node was made, or lost together with what was on the way.
    case linkChanged(NodeID)
    /// The answer to `readLog`; nil if the journal no longer has the position.
    case logRead(for: ReplicaID, after: LogPosition, records: [LogRecord]?)
    /// A snapshot of the owner of that epoch is here, whole and proven; answered with `installSnapshot` or
    /// `discardSnapshot`.
    case snapshotReady(LogMark, epoch: Epoch)
    /// What `installSnapshot` asked for did not happen: everything is as it was.
    case snapshotFailed
    /// A snapshot up to that mark is in place, durable, and everything before it is gone.
    case snapshotInstalled(LogMark, epochs: [EpochStart], epoch: Epoch)
    /// The stream of a snapshot to a replica has ended, well or not.
    case snapshotEnded(ReplicaID)
    /// Asks for proof that nobody else owns the partition now.
    case confirmRead(UInt64)
    /// Time has passed.
    case tick
    /// Everything that came together was handled: what gathered may leave.
    case flush
}

/// A change of the journal, durable in the order of the tickets.
public enum LogWrite: Hashable, Sendable {
    case adopt(Epoch)
    case truncate(after: LogPosition)
    case append([LogRecord])
}

/// What a replica wants done, in order.
public enum ReplicaEffect: Hashable, Sendable {
    case persist(ticket: UInt64, LogWrite)
    case send(ReplicaMessage, to: NodeID)
    /// Everything up to the position may be applied, and on the owner leave the gate (R17).
    case committed(LogPosition)
    /// This process owns the epoch: the next record is to be its `epochStart`, after that mark.
    case lead(Epoch, after: LogMark)
    /// The epoch's first record is committed: turns may run.
    case serve(Epoch)
    /// The epoch is over here: what was not committed has an unknown outcome.
    case standDown(Epoch)
    case propose(MembershipRequest)
    /// Another member's log reaches further: it should own the partition, if the revision is still this one
    /// (R20).
    case handOver(to: NodeLife, revision: UInt64)
    case readLog(for: ReplicaID, after: LogPosition, bytesMax: Int)
    case sendSnapshot(to: ReplicaID)
    /// The snapshot that is ready is to replace everything here, after all writes so far. None follows that
    /// has a position before `snapshotInstalled` or `snapshotFailed`.
    case installSnapshot(LogMark)
    /// The snapshot that is ready is not needed any more.
    case discardSnapshot
    case readConfirmed(UInt64)
    /// Nothing was proven; the reader is to ask again, perhaps elsewhere.
    case readLost(UInt64)
    /// What is here contradicts the owner's log in a way that no crash explains: it must be rebuilt.
    case damaged(String)
}
