import ConsensusCore
import ConsensusStore
import Dispatch
import Synchronization

/// Makes the writes of this node's part of the consensus group durable, in order, off the event loop: nothing
/// that waits for a disk may run there.
final class ConsensusWriter: Sendable {
    private struct Inbox {
        var writes: [Raft.Write] = []
        var isWorking = false
        var hasFailed = false
    }

    private let inbox = Mutex(Inbox())
    /// One after the other; the store belongs to whatever runs on it.
    private let queue = DispatchQueue(label: "apus.consensus")
    private let store: Mutex<ConsensusStore?>
    private let onPersisted: @Sendable (UInt64) -> Void
    private let onFailure: @Sendable (MemberFailure) -> Void

    /// - Parameters:
    ///   - onPersisted: called with the number of the last write that is durable, with all before it.
    ///   - onFailure: called once; nothing is written any more (R14).
    init(
        _ store: sending ConsensusStore, onPersisted: @escaping @Sendable (UInt64) -> Void,
        onFailure: @escaping @Sendable (MemberFailure) -> Void
    ) {
        self.store = Mutex(store)
        self.onPersisted = onPersisted
        self.onFailure = onFailure
    }

    func append(_ writes: [Raft.Write]) {
        let mustWake = inbox.withLock { inbox in
            inbox.writes += writes
            defer { inbox.isWorking = true }
            return !inbox.isWorking
        }
        if mustWake { queue.async { [self] in work() } }
    }

    /// Runs something else that waits for the disk.
    func perform(_ body: @escaping @Sendable () -> Void) { queue.async(execute: body) }

    /// Returns when everything is written, and lets go of the files.
    func close() async {
        await withCheckedContinuation { continuation in
            queue.async { [self] in
                store.withLock { $0 = nil }
                continuation.resume()
            }
        }
    }

    private func work() {
        while true {
            let writes = inbox.withLock { inbox in
                if inbox.writes.isEmpty || inbox.hasFailed { inbox.isWorking = false }
                defer { inbox.writes = [] }
                return inbox.hasFailed ? [] : inbox.writes
            }
            guard let last = writes.last else { return }
            do {
                try store.withLock { store in
                    guard let store else { throw ControlFailure.stopped }
                    for write in writes { try store.apply(write) }
                }
            } catch {
                inbox.withLock { $0.hasFailed = true }
                if error is ConsensusStoreError { onFailure(.consensus("\(error)")) }
                continue
            }
            onPersisted(last.number)
        }
    }
}
