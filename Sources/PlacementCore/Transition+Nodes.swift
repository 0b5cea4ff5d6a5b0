import Identifiers

extension Transition {
    /// Gives a starting process its node's next incarnation, or says why it may not be that node.
    mutating func register(
        _ registration: Registration, nodesIssued: inout UInt64
    ) throws(Refusal) -> NodeLife {
        let constants = map.constants
        guard registration.cluster == constants.cluster else { throw .otherCluster(constants.cluster) }
        guard registration.formats.canRead(constants.formats) else { throw .oldProgram }
        guard registration.profile.isValid else { throw .invalid }

        if let known = map.node(with: registration.store) {
            if let claimed = registration.node, claimed != known.id { throw .storeOfAnotherNode(known.id) }
            let held = known.record(of: registration.store)?.persisted ?? Incarnation(rawValue: 0)
            if registration.lastIncarnation < held, !disabled.contains(.noGoingBack) {
                throw .rolledBack(held: held)
            }
            guard registration.lastIncarnation <= known.incarnation else { throw .unknownStore }
            return try startLife(of: known, registration)
        }
        guard registration.lastIncarnation.rawValue == 0 else { throw .unknownStore }
        if let claimed = registration.node {
            guard let node = map[claimed] else { throw .unknownNode }
            return try startLife(of: node, registration)
        }
        guard map.nodes.count < ClusterMap.nodesMax, nodesIssued < ClusterMap.counterMax else { throw .full }
        nodesIssued += 1
        let node = NodeState(
            id: NodeID(rawValue: nodesIssued), profile: registration.profile,
            disk: .init(store: registration.store, persisted: Incarnation(rawValue: 0)),
            incarnation: Incarnation(rawValue: 1), liveness: .joining, since: time)
        insertNode(node)
        record(.registered(node.life))
        return node.life
    }

    private mutating func startLife(
        of node: NodeState, _ registration: Registration
    ) throws(Refusal) -> NodeLife {
        guard node.incarnation.rawValue < .max, let index = map.index(of: node.id) else { throw .full }
        let former = node.disk
        let disk = NodeState.StoreRecord(
            store: registration.store,
            persisted: max(
                registration.lastIncarnation,
                node.record(of: registration.store)?.persisted ?? Incarnation(rawValue: 0)))
        let now = time
        changeNode(at: index) {
            $0.profile = registration.profile
            $0.disk = disk
            $0.formerDisks.removeAll { $0.store == disk.store }
            $0.incarnation.rawValue += 1
            $0.liveness = .joining
            $0.since = now
        }
        let life = map.nodes[index].life
        record(.registered(life))
        if former.store == life.store {
            // The log is durable, so memberships stay; but a life's grants end with it (R5).
            changePartitions(where: { $0.owner?.node == node.id }) { $0.owner = nil }
        } else {
            record(.diskReplaced(life, former: former.store))
            replaceDisk(former, with: life, at: index)
        }
        return life
    }

    /// Another disk is another replica: it owns nothing (R11) and is in sync nowhere (R12). The old one stays
    /// in the in-sync sets until their owners let it go: it may still be whole, and the only one (R19).
    private mutating func replaceDisk(
        _ former: NodeState.StoreRecord, with life: NodeLife, at index: Int
    ) {
        let old = ReplicaID(node: life.node, store: former.store)
        let (keepsGrants, keepsMemberships) = (
            disabled.contains(.grantsNameAStore), disabled.contains(.membersAreStores)
        )
        changePartitions(where: {
            $0.owner?.node == life.node || $0.learners.holds(life.node)
                || keepsMemberships && $0.inSync.contains(old)
        }) {
            if $0.owner?.node == life.node { $0.owner = keepsGrants ? life : nil }
            $0.learners.removeAll { $0.node == life.node }
            if keepsMemberships, let place = $0.inSync.firstIndex(of: old) { $0.inSync[place] = life.replica }
        }
        changeNode(at: index) { $0.formerDisks.append(former) }
        forgetUselessDisks()
    }

    /// Keeps only those former disks that some partition waits for.
    mutating func forgetUselessDisks() {
        for index in map.nodes.indices where !map.nodes[index].formerDisks.isEmpty {
            let node = map.nodes[index]
            let useful = node.formerDisks.filter { disk in
                map.partitions.contains {
                    $0.inSync.contains(ReplicaID(node: node.id, store: disk.store))
                }
            }
            if useful != node.formerDisks { changeNode(at: index) { $0.formerDisks = useful } }
        }
    }

    /// The node has its incarnation on disk. Before that it must not act in it, or R15 could not tell a disk
    /// that went back in time from one whose process died between the answer and the write.
    mutating func confirm(_ life: NodeLife) throws(Refusal) {
        let index = try check(life.node, life.incarnation)
        let node = map.nodes[index]
        guard node.life == life else { throw .staleLife(node.life) }
        if node.isUp { return }
        guard node.liveness == .joining else { throw .notUp }
        let now = time
        changeNode(at: index) {
            $0.liveness = .up
            $0.disk.persisted = life.incarnation
            $0.since = now
        }
    }

    /// Ends a life, and with it what it owned. The node stays in its in-sync sets: the other members' disks
    /// may be lost although nobody has noticed, so nobody but an owner, with its log before its eyes, can say
    /// that a member is not needed (R19).
    mutating func nodeDown(
        _ id: NodeID, _ incarnation: Incarnation, _ evidence: DownEvidence
    ) throws(Refusal) {
        let index = try check(id, incarnation)
        guard map.nodes[index].liveness != .down else { throw .notUp }
        let now = time
        changeNode(at: index) {
            $0.liveness = .down
            $0.since = now
        }
        let life = map.nodes[index].life
        record(.down(life, evidence))
        changePartitions(where: { $0.owner?.node == id }) { $0.owner = nil }
        guard disabled.contains(.ownerShrinks) else { return }
        let map = map
        changePartitions(where: { $0.inSync.contains(life.replica) && $0.inSync.contains(where: map.isLive) })
        {
            $0.demote(life.replica)
        }
    }

    mutating func drain(_ id: NodeID, _ incarnation: Incarnation, _ isDraining: Bool) throws(Refusal) {
        let index = try check(id, incarnation)
        guard map.nodes[index].isDraining != isDraining else { return }
        let now = time
        changeNode(at: index) {
            $0.isDraining = isDraining
            $0.since = now
        }
        record(.draining(id, isDraining))
    }

    mutating func leave(_ id: NodeID, _ incarnation: Incarnation) throws(Refusal) {
        let index = try check(id, incarnation)
        guard !map.partitions.contains(where: { $0.holds(id) || $0.targets.contains(id) }) else {
            throw .holdsReplicas
        }
        guard !map.voters.holds(id) else { throw .isVoter }
        record(.left(map.nodes[index].life))
        removeNode(at: index)
    }

    /// The node's place, if this incarnation of it is the registered one.
    private func check(_ id: NodeID, _ incarnation: Incarnation) throws(Refusal) -> Int {
        guard let index = map.index(of: id) else { throw .unknownNode }
        guard map.nodes[index].incarnation == incarnation else { throw .staleLife(map.nodes[index].life) }
        return index
    }

    mutating func changeVoters(_ change: VoterChange, _ revision: Revision) throws(Refusal) {
        let voters = map.voters
        guard voters.revision == revision else { throw .staleRevision(voters.revision) }
        switch change {
        case .addLearner(let replica):
            guard let node = map[replica.node] else { throw .unknownNode }
            guard node.store == replica.store else { throw .staleLife(node.life) }
            guard !voters.holds(replica.node) else { throw .isVoter }
            guard voters.learners.count < VoterList.learnersMax else { throw .full }
            changeVoters { $0.learners.insertSorted(replica) }
        case .promote(let replica):
            guard voters.learners.contains(replica) else { throw .notLearner }
            guard voters.voters.count < VoterList.votersMax else { throw .full }
            changeVoters {
                $0.learners.removeAll { $0 == replica }
                $0.voters.insertSorted(replica)
            }
        case .remove(let replica):
            guard voters.voters.contains(replica) || voters.learners.contains(replica) else {
                throw .notVoter
            }
            guard voters.voters != [replica] else { throw .lastVoter }
            changeVoters {
                $0.voters.removeAll { $0 == replica }
                $0.learners.removeAll { $0 == replica }
            }
        }
        record(.voters(change))
    }

    mutating func changeSettings(to settings: ClusterSettings, _ revision: Revision) throws(Refusal) {
        guard map.settingsRevision == revision else { throw .staleRevision(map.settingsRevision) }
        guard settings.isValid else { throw .invalid }
        changeSettings(to: settings)
        record(.settings(settings))
    }
}
