import Identifiers
import PlacementCore

/// What the host is to do about a partition that is to have another owner.
public enum HandoverStage: Hashable, Sendable {
    /// Begin no more steps and let those that run end; then take no more turns, and say so.
    case begin
    /// What still runs is cut off.
    case insist
    /// It stays: go on.
    case cancel
}

/// A partition on its way to another owner.
struct HandoverProgress {
    enum State {
        /// Steps that run may end.
        case ending
        /// They have had their time.
        case insisted
        /// The grant to the other one is proposed.
        case proposed
    }

    var handover: Handover
    var state = State.ending
    var ticks = 0
}

/// A planned change of owner, made by the owner itself (`cluster.md` 2.8): first its host comes to a step
/// boundary, so that nothing is cut off and nobody's call has an unknown outcome, then it proposes the grant.
/// Whatever goes wrong ends in time: the host goes on, or the leader grants the partition without asking.
extension ControlClient {
    /// Ticks that steps under way have until they are cut off.
    static let endingTicks = 100
    /// Ticks for everything after that: the host's last records, and the grant. Nobody is served meanwhile.
    static let handoverTicks = 40

    public var isHandingOver: Bool { !handovers.isEmpty }

    mutating func beginHandovers(_ wanted: [Handover], _ effects: inout [Effect]) {
        guard let life, let map else { return }
        for handover in wanted {
            let partition = handover.partition
            guard handovers[partition] == nil, let entry = map[partition], entry.owner == life,
                entry.epoch == handover.epoch, entry.revision <= handover.revision,
                handover.successor != life
            else { continue }
            handovers[partition] = HandoverProgress(handover: handover)
            effects.append(.handOver(partition, handover.epoch, .begin))
        }
    }

    mutating func finishHandover(_ partition: PartitionID, _ epoch: Epoch, _ effects: inout [Effect]) {
        guard let progress = handovers[partition], progress.handover.epoch == epoch else { return }
        if case .proposed = progress.state { return }
        handovers[partition]?.state = .proposed
        handovers[partition]?.ticks = 0
        ask(.handover(partition), .commands([progress.handover.command]), &effects)
    }

    mutating func ageHandovers(_ effects: inout [Effect]) {
        for partition in handovers.keys.sorted() {
            guard var progress = handovers[partition] else { continue }
            progress.ticks += 1
            handovers[partition] = progress
            switch progress.state {
            case .ending where progress.ticks >= Self.endingTicks:
                handovers[partition]?.state = .insisted
                handovers[partition]?.ticks = 0
                effects.append(.handOver(partition, progress.handover.epoch, .insist))
            case .insisted, .proposed:
                if progress.ticks >= Self.handoverTicks { cancelHandover(partition, &effects) }
            case .ending: break
            }
        }
    }

    /// An epoch that is over ends for the host by itself; an entry that has changed in another way was not
    /// what the leader had in mind.
    mutating func followHandovers(_ effects: inout [Effect]) {
        for partition in handovers.keys.sorted() {
            guard let handover = handovers[partition]?.handover, let entry = map?[partition] else { continue }
            if entry.epoch != handover.epoch || entry.owner != life {
                handovers[partition] = nil
            } else if entry.revision > handover.revision {
                cancelHandover(partition, &effects)
            }
        }
    }

    mutating func cancelHandover(_ partition: PartitionID, _ effects: inout [Effect]) {
        guard let progress = handovers.removeValue(forKey: partition) else { return }
        effects.append(.handOver(partition, progress.handover.epoch, .cancel))
    }
}
