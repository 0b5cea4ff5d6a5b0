import ActorHost
import ConsensusCore
import PlacementCore
import ReplicationCore

/// A rule that a simulation does without, to see that its checks would notice (`cluster.md` 2.0 and 4.5).
package struct BrokenRule: Hashable, Sendable {
    package let name: String
    var replication = ReplicationRules.all
    var placement: DisabledRules = []
    var consensus: Mutations = []
    /// Shows in whole nodes only.
    var host = HostRules.all
    /// Disks of whole nodes say that they have synced, and have not.
    var disksLie = false
    /// Replicas begin before their process has seen a map that shows its registration: the first line of
    /// defence of rules that the replicas keep on their own besides.
    var startsEarly = false
    /// Nobody who connects is asked which cluster it belongs to, nor by which constants it goes.
    var mixesClusters = false
    /// Clients follow redirects to what is older than what they know, and nodes send them there.
    var followsAnything = false
    /// Machines do not agree on which partition an actor belongs to.
    var hasOwnConstants = false

    init(
        _ name: String, replication: ReplicationRules = [], placement: DisabledRules = [],
        consensus: Mutations = [], host: HostRules = [], startsEarly: Bool = false,
        hasOwnConstants: Bool = false, disksLie: Bool = false, mixesClusters: Bool = false,
        followsAnything: Bool = false
    ) {
        self.name = name
        self.replication = .all.subtracting(replication)
        self.placement = placement
        self.consensus = consensus
        self.host = .all.subtracting(host)
        self.startsEarly = startsEarly
        self.hasOwnConstants = hasOwnConstants
        self.disksLie = disksLie
        self.mixesClusters = mixesClusters
        self.followsAnything = followsAnything
    }

    package static func named(_ name: String) -> BrokenRule? {
        all.first { $0.name.lowercased() == name.lowercased() }
    }

    package static let all = [
        BrokenRule("R1", replication: .allInSyncCommit),
        BrokenRule("R2", replication: .shrinkByControlPlane),
        BrokenRule("R3", replication: .maximalInSync),
        BrokenRule("R4", placement: .promoteFromInSyncOnly),
        BrokenRule("R5", replication: .oneLifePerEpoch, startsEarly: true),
        BrokenRule("R6", replication: .acknowledgeSynced),
        BrokenRule("R7", replication: .truncateByMatch),
        BrokenRule("R8", placement: .identitiesInChanges),
        BrokenRule("R9", replication: .caughtUpPastStart),
        BrokenRule("R10", replication: .flushBeforeVouching),
        BrokenRule("R11", replication: .grantNamesStore, placement: .grantsNameAStore),
        BrokenRule("R12", replication: .membersAreStores, placement: .membersAreStores),
        BrokenRule("R12-epochs", replication: .learnsEpochsFirst, startsEarly: true),
        BrokenRule("R15", placement: .noGoingBack),
        BrokenRule("R16", hasOwnConstants: true),
        BrokenRule("R17", replication: .outputGate, host: .outputGate),
        BrokenRule("R18", replication: .durableEpoch),
        BrokenRule("R19", placement: .ownerShrinks),
        BrokenRule("R20", replication: .asksBeforeItBegins),
        BrokenRule("raft-answers-before-write", consensus: .answersBeforeWrite),
        BrokenRule("raft-counts-own-unwritten", consensus: .countsOwnUnwritten),
        BrokenRule("raft-votes-twice", consensus: .votesTwice),
        BrokenRule("raft-votes-for-shorter-logs", consensus: .votesForShorterLogs),
        BrokenRule("raft-ignores-stores", consensus: .ignoresStores),
        BrokenRule("raft-truncates-matching", consensus: .truncatesMatching),
        BrokenRule("raft-commits-unproven", consensus: .commitsUnproven),
        BrokenRule("raft-changes-unasked", consensus: .changesUnasked),
        BrokenRule("clusters-apart", mixesClusters: true),
        BrokenRule("client-newer-only", followsAnything: true),
        BrokenRule("disk-syncs", disksLie: true),
        BrokenRule("host-outbox-after-commit", host: .outboxAfterCommit),
        BrokenRule("host-inbox-positions", host: .inboxPositions),
        BrokenRule("host-remembered-requests", host: .rememberedRequests),
        BrokenRule("host-timers-in-time", host: .timersInTime),
        BrokenRule("host-wakes-due-actors", host: .wakesDueActors),
        BrokenRule("host-recorded-steps", host: .recordedSteps),
        BrokenRule("host-taken-with-record", host: .takenWithRecord),
        BrokenRule("clock-follows-jumps", host: .steadyTime),
    ]
}
