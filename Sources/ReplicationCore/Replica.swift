import Identifiers

/// One partition's copy on one node: follower, learner or owner. Decides; writes and sends nothing itself.
///
/// Primary and backups with reconfiguration by a control plane, after PacificA (Lin et al., MSR-TR-2008-25)
/// and Kafka's in-sync sets (KIP-101, KIP-497, KIP-966); the rules R1 to R18 are in `cluster.md` 2.0,
/// R19 is in decision 12.
public struct Replica: Sendable {
    public let partition: PartitionID
    public let me: NodeLife
    let settings: ReplicationSettings
    package var rules = ReplicationRules.all

    /// The last decision of the control plane; nil until this process has learnt one (R12).
    public internal(set) var configuration: PartitionConfiguration?
    /// The highest epoch that this replica has taken part in; it refuses everything below (R18).
    public internal(set) var promised: Epoch
    /// `promised` as it is on disk.
    var promisedDurable: Epoch
    public internal(set) var log: LogTail
    /// Everything up to here is on disk.
    public internal(set) var durable: LogPosition
    /// Everything up to here is committed, as far as it is known here.
    public internal(set) var committed: LogPosition
    public internal(set) var owner: Ownership?
    /// The last epoch that this process has owned.
    var lastOwned = Epoch(rawValue: 0)
    public internal(set) var isDamaged = false
    /// In this life, the log here was seen to have everything that was committed; from then on nothing can be
    /// committed that this process does not know of, as long as it is in sync (R20).
    public internal(set) var isProven = false
    /// A snapshot is being put in place: records that come meanwhile are lost, and will be sent again.
    public internal(set) var isInstalling = false

    /// Everything up to here is known to be the same as in the log of the epoch's owner.
    public internal(set) var matched = LogPosition.zero
    /// Who owns `promised`, as far as it has sent something.
    var leader: NodeLife?
    /// The leader's last append did not fit, and it could not be told yet.
    var owedMismatch: Append?
    var acknowledged = LogPosition.zero

    var nextTicket: UInt64 = 1
    /// Writes on their way to the disk: what is durable when they are.
    var writes: [(ticket: UInt64, position: LogPosition, epoch: Epoch)] = []

    /// - Parameters:
    ///   - log: what the journal holds.
    ///   - promised: the highest epoch that the journal has adopted or has records of.
    ///   - committed: how far the tables were applied; all of that is committed.
    public init(
        partition: PartitionID, me: NodeLife, log: LogTail, promised: Epoch, committed: LogPosition,
        settings: ReplicationSettings = ReplicationSettings()
    ) {
        self.partition = partition
        self.me = me
        self.log = log
        self.promised = promised
        promisedDurable = promised
        durable = log.end.position
        self.committed = committed
        self.settings = settings
    }

    /// The epoch in which turns may run here now; nil if none.
    public var servingEpoch: Epoch? { owner.flatMap { $0.isServing ? $0.epoch : nil } }

    /// - Parameter now: microseconds of a clock that only moves forward.
    public mutating func handle(_ event: ReplicaEvent, now: UInt64) -> [ReplicaEffect] {
        var effects: [ReplicaEffect] = []
        switch event {
        case .configured(let configuration): configure(configuration, now, &effects)
        case .changeRefused(let change): refused(change, &effects)
        case .changeLost(let change): lost(change, now)
        case .append(let records): append(records, &effects)
        case .persisted(let ticket): persisted(ticket, now, &effects)
        case .received(let message, let sender): receive(message, sender, now, &effects)
        case .linkChanged(let node): linkChanged(node, now)
        case .logRead(let replica, let position, let records):
            logRead(replica, position, records, now, &effects)
        case .snapshotReady(let mark, let epoch):
            isInstalling = wantsSnapshot(mark, epoch: epoch)
            effects.append(isInstalling ? .installSnapshot(mark) : .discardSnapshot)
        case .snapshotFailed:
            isInstalling = false
            beginIfGranted(now, &effects)
        case .snapshotInstalled(let mark, let epochs, let epoch):
            installed(mark, epochs, epoch, &effects)
            beginIfGranted(now, &effects)
        case .snapshotEnded(let replica): snapshotEnded(replica, now)
        case .confirmRead(let id): confirmRead(id, now, &effects)
        case .tick: tick(now, &effects)
        case .flush: flush(now, &effects)
        }
        return effects
    }

    // MARK: Decisions of the control plane

    private mutating func configure(
        _ new: PartitionConfiguration, _ now: UInt64, _ effects: inout [ReplicaEffect]
    ) {
        if let old = configuration {
            guard (new.epoch, new.revision) >= (old.epoch, old.revision) else { return }
            if (new.epoch, new.revision) == (old.epoch, old.revision) {
                return learn(from: new, now, &effects)
            }
        }
        let isFirst = configuration == nil
        configuration = new
        if isFirst, !rules.contains(.truncateByMatch), log.end.position > committed {
            truncate(after: committed, &effects)
        }
        guard new.epoch >= promised else { return }
        if isMine(new) {
            if let owner, owner.epoch == new.epoch { return reconfigure(new, now, &effects) }
            return beginIfGranted(now, &effects)
        }
        standDown(&effects)
        if new.epoch > promised { adopt(new.epoch, &effects) }
    }

    /// Takes up the epoch that this process was granted. It may have been heard of before the grant; it
    /// begins once in a life, though (R5). While a snapshot takes the log's place there is nothing to go on
    /// from, and what contradicts another copy is nothing to go on from either (R13).
    private mutating func beginIfGranted(_ now: UInt64, _ effects: inout [ReplicaEffect]) {
        guard let configuration, isMine(configuration), configuration.epoch >= promised,
            configuration.epoch > lastOwned, !isInstalling
        else { return }
        guard !isDamaged else {
            return effects.append(
                .damaged("epoch \(configuration.epoch.rawValue) was granted to it and does not begin"))
        }
        activate(configuration, now, &effects)
    }

    private func isMine(_ configuration: PartitionConfiguration) -> Bool {
        guard let owner = configuration.owner else { return false }
        if !rules.contains(.grantNamesStore) { return owner.node == me.node }
        if !rules.contains(.oneLifePerEpoch) { return owner.replica == me.replica }
        return owner == me
    }

    /// Promises to refuse every lower epoch. Nothing is said or done in the new one before that is on disk
    /// (R18); the journal keeps the order, so everything written before is on disk by then, too (R10).
    mutating func adopt(_ epoch: Epoch, _ effects: inout [ReplicaEffect]) {
        promised = epoch
        leader = nil
        owedMismatch = nil
        matched = .zero
        acknowledged = .zero
        guard rules.contains(.durableEpoch) else {
            promisedDurable = epoch
            return
        }
        write(.adopt(epoch), &effects)
    }

    mutating func standDown(_ effects: inout [ReplicaEffect]) {
        guard let owner else { return }
        self.owner = nil
        matched = .zero
        acknowledged = .zero
        for read in owner.reads { effects.append(.readLost(read.id)) }
        effects.append(.standDown(owner.epoch))
    }

    // MARK: The journal

    mutating func write(_ write: LogWrite, _ effects: inout [ReplicaEffect]) {
        let ticket = nextTicket
        nextTicket += 1
        writes.append((ticket, log.end.position, promised))
        effects.append(.persist(ticket: ticket, write))
    }

    mutating func truncate(after position: LogPosition, _ effects: inout [ReplicaEffect]) {
        log.truncate(after: position)
        matched = min(matched, position)
        durable = min(durable, position)
        // What was on its way to the disk and is cut off now does not become durable when it arrives.
        for index in writes.indices { writes[index].position = min(writes[index].position, position) }
        write(.truncate(after: position), &effects)
    }

    private mutating func persisted(_ ticket: UInt64, _ now: UInt64, _ effects: inout [ReplicaEffect]) {
        while let first = writes.first, first.ticket <= ticket {
            durable = max(durable, first.position)
            promisedDurable = max(promisedDurable, first.epoch)
            writes.removeFirst()
        }
        if owner != nil {
            leadIfReady(&effects)
            advanceCommit(&effects)
        } else {
            if let owedMismatch, let leader { reportMismatch(owedMismatch, leader, &effects) }
            acknowledge(&effects)
        }
        trim()
    }

    /// Lets go of what is committed, on disk, and needed by no replica from memory.
    func trimmable() -> LogPosition {
        var position = min(committed, durable)
        guard let owner else { return position }
        if log.byteCount <= settings.tailBytesMax {
            for progress in owner.peers { position = min(position, progress.match) }
        }
        return position
    }

    mutating func trim() {
        let position = trimmable()
        if position > log.base.position { log.trim(through: position) }
    }

    // MARK: Messages

    private mutating func receive(
        _ message: ReplicaMessage, _ sender: NodeLife, _ now: UInt64, _ effects: inout [ReplicaEffect]
    ) {
        // Before the control plane has said which epochs there are, nothing can be promised (R12).
        guard configuration != nil || !rules.contains(.learnsEpochsFirst) else { return }
        switch message {
        case .append(let append): receive(append, sender, &effects)
        case .confirm(let epoch, let round):
            if epoch < promised {
                effects.append(.send(.rejected(epoch: epoch, promised: promised), to: sender.node))
            } else {
                effects.append(.send(.confirmed(epoch: epoch, round: round), to: sender.node))
            }
        case .rejected(let epoch, let promised):
            guard promised > self.promised, epoch == owner?.epoch || owner == nil else { return }
            standDown(&effects)
            adopt(promised, &effects)
        case .acknowledged(let epoch, let position):
            guard epoch == owner?.epoch else { return }
            acknowledged(position, by: sender, now, &effects)
        case .mismatch(let epoch, let probe, let end, let epochs):
            guard epoch == owner?.epoch else { return }
            guard !isAsking else { return heard(end, epochs, from: sender, now, &effects) }
            mismatched(probe, end, epochs, at: sender, now)
        case .damaged(let epoch):
            guard epoch == owner?.epoch else { return }
            foundDamaged(sender, &effects)
        case .confirmed(let epoch, let round):
            guard epoch == owner?.epoch else { return }
            confirmed(round, by: sender, &effects)
        }
    }
}
