import Identifiers
import TimeAndChance

/// The application of one log entry: the map on its way to its next version, and what changed of it.
///
/// Every rule is a method that first checks and throws, and only then changes, so that a refused command
/// leaves nothing behind. All changes go through the methods of this file, which count them.
struct Transition {
    private(set) var map: ClusterMap
    let disabled: DisabledRules
    let time: Timestamp
    private(set) var events: [AuditEntry.Event] = []
    private var changedPartitions: [Int] = []
    private var changedNodes: [NodeID] = []
    private var haveSettingsChanged = false
    private var haveVotersChanged = false

    init(_ map: ClusterMap, disabled: DisabledRules, time: Timestamp) {
        self.map = map
        self.disabled = disabled
        self.time = time
    }

    mutating func record(_ event: AuditEntry.Event) { events.append(event) }

    mutating func changePartition(_ number: Int, _ change: (inout PartitionState) -> Void) {
        change(&map.partitions[number])
        map.partitions[number].revision.rawValue += 1
        changedPartitions.append(number)
    }

    /// Changes the partitions for which `condition` holds.
    mutating func changePartitions(
        where condition: (PartitionState) -> Bool, _ change: (inout PartitionState) -> Void
    ) {
        for number in map.partitions.indices where condition(map.partitions[number]) {
            changePartition(number, change)
        }
    }

    mutating func changeNode(at index: Int, _ change: (inout NodeState) -> Void) {
        change(&map.nodes[index])
        changedNodes.append(map.nodes[index].id)
    }

    mutating func insertNode(_ node: NodeState) {
        map.nodes.insert(node, at: map.insertionIndex(of: node.id))
        changedNodes.append(node.id)
    }

    mutating func removeNode(at index: Int) {
        changedNodes.append(map.nodes.remove(at: index).id)
    }

    mutating func changeSettings(to settings: ClusterSettings) {
        map.settings = settings
        map.settingsRevision.rawValue += 1
        haveSettingsChanged = true
    }

    mutating func changeVoters(_ change: (inout VoterList) -> Void) {
        change(&map.voters)
        map.voters.revision.rawValue += 1
        haveVotersChanged = true
    }

    /// Gives the map its new version if anything changed, and says what.
    mutating func finish(at index: UInt64) -> MapDelta? {
        var changes: [MapChange] = []
        if haveSettingsChanged { changes.append(.settings(map.settings, map.settingsRevision)) }
        if haveVotersChanged { changes.append(.voters(map.voters)) }
        for node in Set(changedNodes).sorted() { changes.append(map[node].map { .node($0) } ?? .left(node)) }
        for number in Set(changedPartitions).sorted() {
            changes.append(.partition(PartitionID(number), map.partitions[number]))
        }
        guard !changes.isEmpty else { return nil }
        let from = map.version
        map.version = MapVersion(rawValue: index)
        return MapDelta(from: from, to: map.version, changes: changes)
    }
}
