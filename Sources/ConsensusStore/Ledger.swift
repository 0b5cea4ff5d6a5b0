import ByteCoding
import ConsensusCore
import Identifiers

/// A write as rows: what is stored, and what the seal sums up.
struct RecordedWrite {
    var hardState: [UInt8]?
    var snapshot: [UInt8]?
    /// Where the log goes on if it is empty.
    var snapshotIndex: Raft.Index?
    var removeFrom: Raft.Index?
    var removeThrough: Raft.Index?
    var entries: [(index: Raft.Index, record: [UInt8])]

    init(_ write: Raft.Write) {
        hardState = write.hardState?.encoded()
        snapshot = write.snapshot?.encoded()
        snapshotIndex = write.snapshot?.position.index
        removeFrom = write.removeFrom
        removeThrough = write.removeThrough
        entries = write.entries.map { ($0.index, $0.encoded()) }
    }

    /// Everything that a replica begins with.
    init(_ state: Raft.PersistentState) {
        hardState = state.hardState.encoded()
        snapshot = state.snapshot.encoded()
        snapshotIndex = state.snapshot.position.index
        entries = state.entries.map { ($0.index, $0.encoded()) }
    }
}

/// The seal of what is stored, and the hashes by which it follows a write without reading anything back.
struct Ledger {
    private(set) var seal: Seal
    private var snapshotIndex: Raft.Index = 0
    /// Of the entries from `firstIndex` on.
    private var hashes: [UInt64] = []
    private var firstIndex: Raft.Index = 1

    init(replica: ReplicaID) { seal = Seal(replica: replica) }

    /// - Parameter sequence: what the seal is to say; the records follow with `apply`.
    init(replica: ReplicaID, sequence: UInt64) {
        self.init(replica: replica)
        seal.sequence = sequence
    }

    /// The same steps in the same order as `Raft.PersistentState.apply`.
    mutating func apply(_ write: RecordedWrite) throws(ConsensusStoreError) {
        if let record = write.hardState { seal.hardStateHash = XXH64.hash(record) }
        if let record = write.snapshot { seal.snapshotHash = XXH64.hash(record) }
        snapshotIndex = write.snapshotIndex ?? snapshotIndex
        if let from = write.removeFrom {
            let kept = from > firstIndex ? min(from - firstIndex, UInt64(hashes.count)) : 0
            for hash in hashes[Int(kept)...] { seal.entriesHash &-= hash }
            hashes.removeLast(hashes.count - Int(kept))
        }
        if let through = write.removeThrough, through >= firstIndex {
            let count = min(through - firstIndex + 1, UInt64(hashes.count))
            for hash in hashes[..<Int(count)] { seal.entriesHash &-= hash }
            hashes.removeFirst(Int(count))
            firstIndex += count
        }
        for (index, record) in write.entries {
            if hashes.isEmpty {
                // Entries before the snapshot may be kept, but there is no gap behind it.
                guard index > 0, index <= snapshotIndex + 1 else { throw .contradiction(at: index) }
                firstIndex = index
            }
            guard index == firstIndex + UInt64(hashes.count) else { throw .contradiction(at: index) }
            let hash = XXH64.hash(record)
            hashes.append(hash)
            seal.entriesHash &+= hash
        }
        seal.entryCount = UInt64(hashes.count)
    }

    /// The seal after one more transaction.
    func following(_ write: RecordedWrite) throws(ConsensusStoreError) -> Ledger {
        var next = self
        try next.apply(write)
        next.seal.sequence += 1
        return next
    }
}
