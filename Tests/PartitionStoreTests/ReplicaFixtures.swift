import ByteCoding
import Identifiers
import ReplicationCore
import Synchronization

@testable import PartitionStore

extension StoreConfiguration {
    static func replica(_ directory: String, partitions: Int = 4) -> StoreConfiguration {
        var configuration = StoreConfiguration.test(directory, partitions: partitions)
        configuration.isReplicated = true
        return configuration
    }
}

extension SealedRecord {
    var logRecord: LogRecord {
        LogRecord(
            mark: LogMark(position: position, epoch: epoch, hash: hash), previousHash: previousHash,
            bytes: bytes)
    }
}

extension LogMaker {
    var start: LogPosition { LogPosition(rawValue: 1) }

    mutating func create(_ name: String) -> SealedRecord {
        turn(nil, .create(address("A", name), time: 1))
    }
}

/// Numbers the batches of a store and lets a test wait for them.
final class ReplicaListener: Sendable {
    let listener = Listener()
    private let store: PartitionStore
    private let next = Mutex<UInt64>(0)

    init(_ store: PartitionStore, onCommit: @escaping @Sendable (GroupCommit) -> Void = { _ in }) {
        self.store = store
        listener.startReplica(store, onCommit: onCommit)
    }

    var durableBatch: UInt64 { listener.durableBatch }

    func append(_ writes: [(partition: PartitionID, write: LogWrite)]) {
        let batch = next.withLock { next in
            next += 1
            return next
        }
        store.append(writes, batch: batch)
    }

    /// Waits for everything appended, or for a failure.
    func waitUntilDurable() { listener.waitUntilDurable(batch: next.withLock { $0 }) }
}
