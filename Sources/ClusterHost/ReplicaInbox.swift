import Identifiers
import MeshTransport
import PartitionStore
import ReplicationCore
import Synchronization

/// What other threads bring to the replicas: records of the shards, news of the journal. Gathers until the
/// loop gets to it, so that one wake-up serves many.
final class ReplicaInbox: Sendable {
    /// What has gathered.
    struct Content {
        var records: [SealedRecord] = []
        var recordBytes = 0
        var reads: [(partition: PartitionID, reply: @Sendable (Bool) -> Void)] = []
        /// The last batch that is on disk; 0 for none.
        var persisted: UInt64 = 0
        var logs: [(partition: PartitionID, event: ReplicaEvent)] = []
    }

    private struct State {
        var content = Content()
        var isPosted = false
        var isClosed = false
    }

    private let state = Mutex(State())
    private let loop: EventLoop
    private let listener = Mutex<Listener?>(nil)

    /// A closure that a lock holds by itself is wrapped once more at each use, for ever.
    private struct Listener: Sendable {
        var wake: @Sendable () -> Void
    }

    init(on loop: EventLoop) { self.loop = loop }

    /// - Parameter wake: called on the loop when something has gathered.
    func listen(_ wake: @escaping @Sendable () -> Void) {
        listener.withLock { $0 = Listener(wake: wake) }
    }

    /// Records that the host has brought since the start, and their bytes.
    let recordsTotal = Atomic<UInt64>(0)
    let recordBytesTotal = Atomic<UInt64>(0)

    var recordBytes: Int { state.withLock { $0.content.recordBytes } }

    func append(_ records: [SealedRecord]) {
        let bytes = records.reduce(0) { $0 + $1.bytes.count }
        recordsTotal.add(UInt64(records.count), ordering: .relaxed)
        recordBytesTotal.add(UInt64(bytes), ordering: .relaxed)
        change { content in
            content.records += records
            content.recordBytes += bytes
        }
    }

    func confirmRead(_ partition: PartitionID, _ reply: @escaping @Sendable (Bool) -> Void) {
        if !change({ $0.reads.append((partition, reply)) }) { reply(false) }
    }

    func persisted(_ batch: UInt64) { change { $0.persisted = batch } }

    func logRead(_ partition: PartitionID, _ event: ReplicaEvent) {
        change { $0.logs.append((partition, event)) }
    }

    func take() -> Content {
        state.withLock { state in
            defer {
                state.content = Content()
                state.isPosted = false
            }
            return state.content
        }
    }

    /// Takes nothing any more.
    func close() {
        let reads = state.withLock { state in
            state.isClosed = true
            defer { state.content = Content() }
            return state.content.reads
        }
        for read in reads { read.reply(false) }
    }

    var isClosed: Bool { state.withLock { $0.isClosed } }

    /// - Returns: false if it is closed.
    @discardableResult
    private func change(_ body: (inout Content) -> Void) -> Bool {
        let (isTaken, mustWake) = state.withLock { state in
            guard !state.isClosed else { return (false, false) }
            body(&state.content)
            defer { state.isPosted = true }
            return (true, !state.isPosted)
        }
        if mustWake { loop.post { [self] in listener.withLock { $0 }?.wake() } }
        return isTaken
    }
}
