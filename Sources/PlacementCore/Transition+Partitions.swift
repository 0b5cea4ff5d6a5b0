import Identifiers

extension PartitionState {
    /// A member of the in-sync set becomes a learner: it keeps its data and may catch up.
    mutating func demote(_ replica: ReplicaID) {
        guard let place = inSync.firstIndex(of: replica) else { return }
        inSync.remove(at: place)
        learners.insertSorted(replica)
    }
}

extension Transition {
    mutating func changeInSync(
        _ id: PartitionID, _ epoch: Epoch, _ revision: Revision, _ change: InSyncChange
    ) throws(Refusal) {
        var isCareless = false
        if case .add = change, disabled.contains(.identitiesInChanges) { isCareless = true }
        let number = try check(id, isCareless ? map[id]?.revision ?? revision : revision)
        let partition = map.partitions[number]
        guard partition.epoch == epoch else { throw .staleEpoch(partition.epoch) }
        guard let owner = partition.owner else { throw .noOwner }
        switch change {
        case .drop(let replica):
            guard partition.inSync.contains(replica) else { throw .notInSync }
            guard replica != owner.replica else { throw .isOwner }
            if map[replica.node]?.store == replica.store {
                changePartition(number) { $0.demote(replica) }
            } else {
                // A disk that was replaced cannot learn.
                changePartition(number) { $0.inSync.removeAll { $0 == replica } }
                forgetUselessDisks()
            }
        case .add(let life):
            guard let node = map[life.node] else { throw .unknownNode }
            // The life that caught up must be the one that is registered: between the request and now the
            // node may have restarted, or lost its disk (R8).
            guard node.life == life || disabled.contains(.identitiesInChanges) else {
                throw .staleLife(node.life)
            }
            guard node.isUp else { throw .notUp }
            guard partition.learners.contains(node.replica) else { throw .notLearner }
            changePartition(number) {
                $0.learners.removeAll { $0 == node.replica }
                $0.inSync.insertSorted(node.replica)
            }
        }
    }

    mutating func promote(_ id: PartitionID, _ revision: Revision, to life: NodeLife) throws(Refusal) {
        let number = try check(id, revision)
        try checkGrantee(life)
        var members = map.partitions[number].inSync
        if !members.contains(life.replica) {
            guard disabled.contains(.promoteFromInSyncOnly) else { throw .notInSync }
            members.removeAll { $0.node == life.node }
            members.insertSorted(life.replica)
        }
        changePartition(number) {
            $0.epoch.rawValue += 1
            $0.owner = life
            $0.learners.removeAll { $0.node == life.node }
            $0.inSync = members
        }
    }

    /// The last resort for a partition whose in-sync set will not come back: acknowledged records that only
    /// those disks held are lost.
    mutating func forcePromote(
        _ id: PartitionID, _ revision: Revision, to life: NodeLife, acceptsDataLoss: Bool
    ) throws(Refusal) {
        let number = try check(id, revision)
        guard acceptsDataLoss else { throw .dataLossNotAccepted }
        guard map.isOffline(map.partitions[number]) else { throw .notOffline }
        try checkGrantee(life)
        guard map.partitions[number].dataLossGeneration < .max else { throw .full }
        let rejoining = map.partitions[number].inSync.filter {
            $0.node != life.node && map[$0.node]?.store == $0.store
        }
        changePartition(number) {
            $0.epoch.rawValue += 1
            $0.owner = life
            $0.inSync = [life.replica]
            $0.learners.removeAll { $0.node == life.node }
            for replica in rejoining { $0.learners.insertSorted(replica) }
            while $0.learners.count >= PartitionState.replicasMax { $0.learners.removeLast() }
            $0.dataLossGeneration += 1
        }
        record(.dataLossAccepted(id, life, generation: map.partitions[number].dataLossGeneration))
        forgetUselessDisks()
    }

    mutating func addLearner(_ id: PartitionID, _ revision: Revision, _ replica: ReplicaID) throws(Refusal) {
        let number = try check(id, revision)
        let partition = map.partitions[number]
        guard let node = map[replica.node] else { throw .unknownNode }
        guard node.store == replica.store else { throw .staleLife(node.life) }
        guard node.isUp else { throw .notUp }
        guard !partition.holds(replica.node) else { throw .alreadyReplica }
        guard !partition.isFull else { throw .full }
        changePartition(number) { $0.learners.insertSorted(replica) }
    }

    mutating func removeReplica(
        _ id: PartitionID, _ revision: Revision, _ replica: ReplicaID
    ) throws(Refusal) {
        let number = try check(id, revision)
        let partition = map.partitions[number]
        guard !partition.inSync.contains(replica) else { throw .isInSync }
        guard partition.learners.contains(replica) else { throw .notLearner }
        changePartition(number) { $0.learners.removeAll { $0 == replica } }
    }

    mutating func setTargets(_ assignments: [TargetAssignment], _ version: MapVersion) throws(Refusal) {
        guard map.version == version else { throw .staleVersion(map.version) }
        for assignment in assignments {
            guard map[assignment.partition] != nil else { throw .unknownPartition }
            guard assignment.nodes.allSatisfy({ map.index(of: $0) != nil }) else { throw .unknownNode }
            guard assignment.nodes.count <= map.settings.replicationFactor,
                Set(assignment.nodes).count == assignment.nodes.count
            else { throw .invalid }
        }
        for assignment in assignments where map[assignment.partition]?.targets != assignment.nodes {
            changePartition(Int(assignment.partition.rawValue)) { $0.targets = assignment.nodes }
        }
    }

    /// The partition's number, if this is its revision.
    private func check(_ id: PartitionID, _ revision: Revision) throws(Refusal) -> Int {
        guard let partition = map[id] else { throw .unknownPartition }
        guard partition.revision == revision else { throw .staleRevision(partition.revision) }
        return Int(id.rawValue)
    }

    /// Whether the life is the registered one of a node that is up (R11).
    private func checkGrantee(_ life: NodeLife) throws(Refusal) {
        guard let node = map[life.node] else { throw .unknownNode }
        guard node.life == life else { throw .staleLife(node.life) }
        guard node.isUp else { throw .notUp }
    }
}
