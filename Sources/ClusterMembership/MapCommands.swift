import ClientProtocol
import Identifiers
import PlacementCore

/// What operators see and change of the cluster's map.
struct MapCommands: Sendable {
    /// How often a command is made anew because the map changed between its making and its application.
    static let attemptsMax = 5

    let control: any ControlPlane
    /// The node that answers.
    let me: NodeID

    private func map() async throws(ActorError) -> ClusterMap {
        guard let map = await control.currentMap() else { throw .noMap }
        return map
    }

    func nodes() async throws(ActorError) -> NodesDocument {
        NodesDocument(try await map(), me: me, opinions: await control.opinions())
    }

    func partitions() async throws(ActorError) -> PartitionsDocument { PartitionsDocument(try await map()) }

    /// The operator knows that the node is gone; the controller then grants its partitions to others.
    func down(_ wanted: ClusterRequest.Down) async throws(ActorError) -> DoneDocument {
        let id = NodeID(rawValue: wanted.node)
        return try await change { (map) throws(ActorError) in
            guard let node = map[id] else { throw Self.unknown(id) }
            guard node.liveness != .down else {
                return .done("node \(id.rawValue) is declared down already")
            }
            let offline = map.partitions.count { partition in
                partition.inSync.contains(node.replica)
                    && !partition.inSync.contains { $0 != node.replica && map.isLive($0) }
            }
            let consequence =
                offline == 0
                ? "others take over what it owned"
                : "of \(offline) partitions no other copy in sync is up: they wait for one, or for `apus "
                    + "cluster promote PARTITION NODE --accept-data-loss`"
            return .propose(
                .nodeDown(id, node.incarnation, .operator),
                "node \(id.rawValue) is declared down: \(consequence)")
        }
    }

    /// Grants a partition to a node with a copy in sync, or, with the loss of records, to any other one.
    func promote(_ wanted: ClusterRequest.Promote) async throws(ActorError) -> DoneDocument {
        let (id, target) = (PartitionID(rawValue: wanted.partition), NodeID(rawValue: wanted.node))
        return try await change { (map) throws(ActorError) in
            guard let partition = map[id] else { throw Self.unknown(id, in: map) }
            guard let node = map[target] else { throw Self.unknown(target) }
            if partition.owner == node.life {
                return .done("node \(target.rawValue) owns partition \(id.rawValue) already")
            }
            let sentence = "partition \(id.rawValue) belongs to node \(target.rawValue) now"
            if partition.inSync.contains(node.replica), let command = map.promotion(of: id, to: node.life) {
                return .propose(command, sentence)
            }
            guard wanted.acceptDataLoss == true else {
                let members = partition.inSync.map { "\($0.node.rawValue)" }.joined(separator: ", ")
                throw .refused(
                    "node \(target.rawValue) has no copy of partition \(id.rawValue) in sync, so it may lack "
                        + "acknowledged records: choose one of \(members); only if none of these will ever "
                        + "come back, repeat the command with --accept-data-loss")
            }
            return .propose(
                .forcePromote(id, partition.revision, to: node.life, acceptsDataLoss: true),
                "\(sentence); acknowledged records that it did not have are lost")
        }
    }

    /// Says where the copies of a partition should be; the controller brings them there.
    func move(_ wanted: ClusterRequest.Move) async throws(ActorError) -> DoneDocument {
        let id = PartitionID(rawValue: wanted.partition)
        let targets = wanted.nodes.map { NodeID(rawValue: $0) }
        return try await change { (map) throws(ActorError) in
            guard let partition = map[id] else { throw Self.unknown(id, in: map) }
            guard targets.count == Set(targets).count, targets.count == map.settings.replicationFactor else {
                throw .invalidCommand(
                    "name \(map.settings.replicationFactor) different nodes, as many as the replication "
                        + "factor says, the wanted owner first")
            }
            for target in targets {
                guard let node = map[target] else { throw Self.unknown(target) }
                guard node.isUp, !node.isDraining else {
                    throw .refused(
                        "node \(target.rawValue) is \(node.isUp ? "draining" : "not up"): choose another one "
                            + "from `apus cluster nodes`")
                }
                guard node.profile.weight > 0 || partition.inSync.contains(node.replica) else {
                    throw .refused(
                        "node \(target.rawValue) has weight 0, it holds no partitions: choose another one")
                }
            }
            let names = targets.map { "\($0.rawValue)" }.joined(separator: ", ")
            if partition.targets == targets {
                return .done("the copies of partition \(id.rawValue) are meant to be on \(names) already")
            }
            return .propose(
                .setTargets([TargetAssignment(partition: id, nodes: targets)], map.version),
                "the copies of partition \(id.rawValue) go to \(names); see `apus cluster partitions`")
        }
    }

    // MARK: Proposing

    enum Step {
        case propose(Command, String)
        case done(String)
    }

    /// Makes a command from the newest map, again if the map has changed in the meantime.
    func change(
        _ make: (ClusterMap) throws(ActorError) -> Step
    ) async throws(ActorError) -> DoneDocument {
        for attempt in 1... {
            let command: Command
            let sentence: String
            switch try make(try await map()) {
            case .done(let sentence): return DoneDocument(message: sentence)
            case .propose(let made, let text): (command, sentence) = (made, text)
            }
            let outcome: Outcome?
            do { outcome = try await control.propose([command]).first } catch { throw .unknownOutcome }
            switch outcome {
            case .accepted, .registered: return DoneDocument(message: sentence)
            case .refused(.staleVersion), .refused(.staleRevision), .refused(.staleEpoch):
                guard attempt < Self.attemptsMax else {
                    throw .refused("\(Refusal.staleVersion(MapVersion(rawValue: 0)))")
                }
            case .refused(let refusal): throw .refused("\(refusal)")
            case nil: throw .unknownOutcome
            }
        }
        throw .unknownOutcome
    }

    static func unknown(_ node: NodeID) -> ActorError {
        ActorError(
            "unknown_node", "the cluster has no node \(node.rawValue): see `apus cluster nodes`",
            group: "cluster")
    }

    private static func unknown(_ partition: PartitionID, in map: ClusterMap) -> ActorError {
        ActorError(
            "unknown_partition",
            "there is no partition \(partition.rawValue): they are 0 to \(map.partitions.count - 1)",
            group: "cluster")
    }
}
