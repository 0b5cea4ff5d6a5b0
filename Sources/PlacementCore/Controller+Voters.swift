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
        func mayStay(_ member: ReplicaID) -> Bool {
            !isLost(member) && map[member.node]?.isDraining == false && !isAbsent(member, map)
        }
        let voters = group.voters.filter(mayStay)
        let learners = group.learners.filter { mayStay($0) && map.isLive($0) }
        let candidate = candidate(map, group)
        let isFull = group.voters.count >= VoterList.votersMax
        if voters.count < wantedVoters(map), !isFull {
            // All learners first, so that the group is of an even size for a moment only.
            if voters.count + learners.count < wantedVoters(map), let candidate {
                return .changeVoters(.addLearner(candidate))
            }
            if let learner = learners.first { return .changeVoters(.promote(learner)) }
        }
        if voters == group.voters, voters.count == wantedVoters(map), !isFull,
            let change = spread(map, group, learners)
        {
            return change
        }
        let makesRoom = isFull && (candidate != nil || !learners.isEmpty)
        return shrink(map, group, staying: voters, makesRoom: makesRoom)
    }

    /// Where two voters share a zone and a node is there in a zone without one, that node comes, and then one
    /// of the two leaves (`shrink`): as many zones as can be may fail.
    private func spread(_ map: ClusterMap, _ group: Group, _ learners: [ReplicaID]) -> Decision? {
        let crowds = crowds(group.voters, map)
        func isAlone(_ member: ReplicaID?) -> Bool { zone(member, map).map { crowds[$0] == nil } ?? false }
        guard crowds.values.contains(where: { $0 > 1 }), group.voters.allSatisfy(map.isLive) else {
            return nil
        }
        if let learner = learners.first(where: isAlone) { return .changeVoters(.promote(learner)) }
        guard group.learners.isEmpty, let candidate = candidate(map, group), isAlone(candidate) else {
            return nil
        }
        return .changeVoters(.addLearner(candidate))
    }

    private func zone(_ member: ReplicaID?, _ map: ClusterMap) -> String? {
        member.flatMap { map[$0.node]?.profile.zone }
    }

    private func crowds(_ members: [ReplicaID], _ map: ClusterMap) -> [String: Int] {
        members.reduce(into: [:]) { crowds, member in
            if let zone = zone(member, map) { crowds[zone, default: 0] += 1 }
        }
    }

    /// Whom the group does without. Whoever leaves does so after somebody else has come, except where there
    /// is no room: of three voters, one away and one about to fail, the other two could not decide on a
    /// removal, and the one that is away would not be asked any more.
    private func shrink(
        _ map: ClusterMap, _ group: Group, staying: [ReplicaID], makesRoom: Bool
    ) -> Decision? {
        // Nodes that are down count here: they come back.
        let enough = Self.odd(min(target(map), usable(map).count))
        guard staying.count >= enough || makesRoom && !staying.isEmpty else { return nil }
        if staying.count >= enough, let learner = group.learners.first {
            return .changeVoters(.remove(learner))
        }
        let leaving = group.voters.filter { !staying.contains($0) }
        if let voter = leaving.first(where: { $0 != me }) { return .changeVoters(.remove(voter)) }
        if !leaving.isEmpty { return staying.first(where: map.isLive).map { .handOver(to: $0) } }
        guard staying.count > enough else { return nil }
        let others = staying.filter { $0 != me }
        let crowds = crowds(staying, map)
        func crowd(_ member: ReplicaID) -> Int { zone(member, map).flatMap { crowds[$0] } ?? 0 }
        let crowded = others.max { (crowd($0), $0) < (crowd($1), $1) }
        return (others.first { !map.isLive($0) } ?? crowded).map { .changeVoters(.remove($0)) }
    }

    private func isAbsent(_ member: ReplicaID, _ map: ClusterMap) -> Bool {
        member != me && map[member.node]?.liveness == .down && !isAwaited(member.node)
    }

    /// A node that should get a vote: of the zone with the fewest members, and among those the first.
    private func candidate(_ map: ClusterMap, _ group: Group) -> ReplicaID? {
        let crowds = crowds(group.members, map)
        let free = usable(map).filter { node in
            node.isUp && !group.members.holds(node.id)
        }
        return free.min {
            (crowds[$0.profile.zone] ?? 0, $0.id) < (crowds[$1.profile.zone] ?? 0, $1.id)
        }?.replica
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
