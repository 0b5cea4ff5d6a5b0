import Identifiers

/// Keeps the consensus group as large as it should be, on disks that are there, and the map's record of it
/// in step. One change at a time, learners first; consensus checks each once more.
extension Controller {
    mutating func keepVoters(_ map: ClusterMap, _ group: Group) -> Decision? {
        if let step = recordStep(map, group) {
            if let waiting = pendingRecord, waiting.revision == map.voters.revision, now < waiting.until {
                return nil
            }
            pendingRecord = (map.voters.revision, now + settings.patienceTicks)
            return .propose([.changeVoters(step, map.voters.revision)])
        }
        if let waiting = pendingChange, waiting.group == group, now < waiting.until { return nil }
        guard let decision = nextChange(map, group) else { return nil }
        pendingChange = (group, now + settings.patienceTicks)
        return decision
    }

    /// What brings the map's record one step nearer to the group, if that step is possible.
    private func recordStep(_ map: ClusterMap, _ group: Group) -> VoterChange? {
        let record = map.voters
        let leaves = (record.voters + record.learners).first { member in
            let isGone = !group.voters.contains(member)
            return isGone && (record.voters.contains(member) || !group.learners.contains(member))
                && record.voters != [member]
        }
        if let leaves { return .remove(leaves) }
        if let voter = group.voters.first(where: record.learners.contains) { return .promote(voter) }
        let isNew = group.members.first {
            map[$0.node]?.store == $0.store && !record.holds($0.node)
        }
        guard let isNew, record.learners.count < VoterList.learnersMax else { return nil }
        return .addLearner(isNew)
    }

    private func nextChange(_ map: ClusterMap, _ group: Group) -> Decision? {
        // A disk that is gone has forgotten its votes: it is no voter any more (R12).
        func isLost(_ member: ReplicaID) -> Bool { map[member.node]?.store != member.store }
        if let lost = group.members.first(where: { isLost($0) && $0 != me }), group.voters != [lost] {
            return .changeVoters(.remove(lost))
        }
        func mayVote(_ member: ReplicaID) -> Bool { !isLost(member) && map[member.node]?.isDraining == false }
        let wanted = wantedVoters(map)
        let candidate = candidate(map, group)
        // Somebody who has been away for long gives way, but only to somebody who is there.
        if candidate != nil, let absent = group.members.first(where: { isAbsent($0, map) }),
            group.voters != [absent]
        {
            return .changeVoters(.remove(absent))
        }
        let voters = group.voters.filter(mayVote)
        let learners = group.learners.filter { mayVote($0) && map.isLive($0) }
        if voters.count < wanted {
            // All learners first, so that the group is of an even size for a moment only.
            if voters.count + learners.count < wanted, group.voters.count < VoterList.votersMax,
                let candidate
            {
                return .changeVoters(.addLearner(candidate))
            }
            if group.voters.count < VoterList.votersMax, let learner = learners.first {
                return .changeVoters(.promote(learner))
            }
        }
        return shrink(map, group, mayStay: voters, wanted: wanted)
    }

    /// Whom the group does without.
    private func shrink(
        _ map: ClusterMap, _ group: Group, mayStay: [ReplicaID], wanted: Int
    ) -> Decision? {
        if mayStay.count >= wanted, let learner = group.learners.first {
            return .changeVoters(.remove(learner))
        }
        let leaving = group.voters.filter { !mayStay.contains($0) }
        let isFull = group.voters.count >= VoterList.votersMax
        if mayStay.count >= wanted || isFull && !mayStay.isEmpty {
            if let voter = leaving.first(where: { $0 != me }) { return .changeVoters(.remove(voter)) }
            if !leaving.isEmpty, let other = mayStay.first(where: map.isLive) { return .handOver(to: other) }
        }
        // Nodes that are down count here: they come back.
        guard leaving.isEmpty, mayStay.count > Self.odd(min(target(map), usable(map).count)) else {
            return nil
        }
        let others = mayStay.filter { $0 != me }
        return (others.first { !map.isLive($0) } ?? others.last).map { .changeVoters(.remove($0)) }
    }

    private func isAbsent(_ member: ReplicaID, _ map: ClusterMap) -> Bool {
        member != me && map[member.node]?.liveness == .down && !isAwaited(member.node)
    }

    /// A node that should get a vote: of the zone with the fewest members, and among those the first.
    private func candidate(_ map: ClusterMap, _ group: Group) -> ReplicaID? {
        let zones = group.members.compactMap { map[$0.node]?.profile.zone }
        let free = usable(map).filter { node in
            node.isUp && !group.members.holds(node.id)
        }
        func crowd(_ node: NodeState) -> Int { zones.count { $0 == node.profile.zone } }
        return free.min { (crowd($0), $0.id) < (crowd($1), $1.id) }?.replica
    }

    private func usable(_ map: ClusterMap) -> [NodeState] { map.nodes.filter { !$0.isDraining } }

    private func target(_ map: ClusterMap) -> Int {
        let isLarge = map.nodes.count >= settings.fiveVotersNodesMin
        return isLarge ? max(map.settings.voterTarget, 5) : map.settings.voterTarget
    }

    /// Two voters stop when either does, so there is one before there are three.
    private func wantedVoters(_ map: ClusterMap) -> Int {
        Self.odd(min(target(map), usable(map).count { $0.isUp }))
    }

    private static func odd(_ number: Int) -> Int { max(1, number - (number + 1) % 2) }
}
