import Apus
import ByteCoding
import ClientProtocol
import Identifiers
import MailboxCore
import PartitionStore
import WorkflowCore

/// What is left of a destroyed actor: the memory of its requests, so that one that is repeated after a lost
/// reply still gets its answer and changes nothing (A13).
///
/// In storage it is the actor's row, marked by its run's status, with the items of its deduplication. To
/// everybody else there is no such actor. A new actor of the key takes the memory over; if none comes, it is
/// deleted when the last request's time is over.
struct Tombstone {
    var id: ActorID
    var address: ActorAddress
    var memory: DeduplicationCore

    /// What a new actor takes over, at the most.
    static let inheritedBytesMax = 1 << 20

    /// When nothing of it is wanted any more, in partition time.
    static func expiry(destroyedAt: UInt64) -> UInt64 {
        let (sum, overflow) = destroyedAt.addingReportingOverflow(DeduplicationCore.retentionMicros)
        return overflow ? .max : sum
    }

    init(_ stored: StoredActor, in partition: PartitionID, store: any HostStore) throws {
        id = stored.id
        address = stored.address
        memory = DeduplicationCore()
        for item in try store.items(of: id, in: partition, space: .deduplication) {
            try memory.restore(id: item.id, value: item.body)
        }
    }

    /// The answer to a request that the actor knows; nil: it is new.
    func answer(to request: ActorRequest) -> Result<ActorReply, ActorError>? {
        guard let identity = request.identityInActor else { return nil }
        switch memory.check(identity) {
        case .new: return nil
        case .expired: return .failure(.sessionExpired)
        case .known(let outcome):
            guard case .reply(let bytes) = Self.surviving(outcome) else {
                return .failure(.destroyed(address))
            }
            do { return try ReplyRecord.decode(bytes) } catch { return .failure(.internalError) }
        }
    }

    /// What an outcome is once the actor is gone: a message will not be completed any more, and the reply to
    /// a creation described the actor.
    static func surviving(_ outcome: DeduplicationCore.Outcome) -> DeduplicationCore.Outcome {
        guard case .reply(let bytes) = outcome, bytes != ReplyRecord.creation else { return .destroyed }
        return outcome
    }
}

extension LiveActor {
    /// The operations of the record that ends the actor.
    /// - Parameter extra: memories of the request that asked for it, and messages that leave with it.
    func ending(_ extra: [TurnOperation]) -> [TurnOperation] {
        pending.removeAll()
        // Requests under way get their answer now, and the same one when they are repeated.
        var extra = extra
        for (_, action) in actions.sorted(by: { $0.key < $1.key }) {
            if let identity = action.identity { extra += remember(identity, .destroyed) }
        }
        run = RunRecord(status: .destroyed, since: now.rawValue, startedAt: run.startedAt)
        guard !deduplication.isEmpty else {
            isRunRecordDirty = false
            (storedWake, wakeAfterDeparture) = (nil, nil)
            return [.destroy] + extra.filter(\.isOfPartition)
        }
        isRunRecordDirty = true
        storedWake = Tombstone.expiry(destroyedAt: run.since)
        wakeAfterDeparture = storedWake
        let spaces = ItemSpace.allCases.filter { $0 != .deduplication && !$0.isOfPartition }
        var operations = spaces.map { space in
            TurnOperation.deleteRange(space, from: [], through: [UInt8](repeating: 0xFF, count: 32))
        }
        operations += [.set(.state, []), .wake(at: storedWake)]
        if input != nil { operations.append(.set(.input, [])) }
        let memories = extra.filter { operation in
            switch operation {
            case .put(.deduplication, _, _), .delete(.deduplication, _), .deleteRange(.deduplication, _, _):
                true
            default: operation.isOfPartition
            }
        }
        return operations + memories
    }
}

extension StoredActor {
    /// Whether this is what a destroyed actor has left.
    var isTombstone: Bool {
        run.flatMap { bytes in try? RunRecord.decode(bytes) }?.status == .destroyed
    }
}

extension TurnOperation {
    init(_ change: DeduplicationCore.Change) {
        self =
            switch change {
            case .put(let id, let value): .put(.deduplication, id: id, value)
            case .delete(let id): .delete(.deduplication, id: id)
            case .deleteRange(let from, let through):
                .deleteRange(.deduplication, from: from, through: through)
            }
    }
}

extension ActorError {
    static func destroyed(_ address: ActorAddress) -> ActorError {
        ActorError("destroyed", "the actor \(address) was destroyed", group: "actor")
    }
}
