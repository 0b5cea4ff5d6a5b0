import ByteCoding
import Identifiers
import PartitionStore

/// What the host needs of a node's storage, and what it learns from there about its partitions.
/// `SingleNodeStore` is that of a node alone.
package protocol HostStore: AnyObject, Sendable {
    var identity: StoreIdentity { get }
    var backlogBytes: Int { get }
    /// Whether an epoch begins with a record also when the log is empty: the replicas of a cluster commit to
    /// it, and `.serve` follows from that. A node alone leaves partitions that nobody uses without files.
    var startsEmptyLogs: Bool { get }
    /// Starts to take records.
    /// - Parameters:
    ///   - onEvents: called on any thread, with each partition's events in their order; it only passes them
    ///     on.
    ///   - onFailure: called once, on any thread, with the error that stopped the store.
    func start(
        onEvents: @escaping @Sendable ([PartitionEvent]) -> Void,
        onFailure: @escaping @Sendable (StoreError) -> Void)
    /// Takes records in the order of their positions, without waiting. Those of an epoch that is over are
    /// dropped.
    func append(_ records: [SealedRecord])
    /// Tells whether nobody else can have owned the partition since the call (`cluster.md` 2.5.4).
    /// - Parameter reply: called once, on any thread, perhaps before this returns.
    func confirmRead(_ partition: PartitionID, _ reply: @escaping @Sendable (Bool) -> Void)
    func appliedPosition(of partition: PartitionID) -> LogPosition
    func setOnApplied(_ handler: @escaping @Sendable ([DurableMark]) -> Void)
    func requestApply(_ partitions: [PartitionID])
    func actor(at address: ActorAddress, in partition: PartitionID) throws(StoreError) -> StoredActor?
    func actor(_ id: ActorID, in partition: PartitionID) throws(StoreError) -> StoredActor?
    func items(
        of actor: ActorID, in partition: PartitionID, space: ItemSpace
    ) throws(StoreError) -> [StoredItem]
    func dueActors(
        in partition: PartitionID, through time: UInt64, limit: Int
    ) throws(StoreError) -> [(id: ActorID, address: ActorAddress, wakeAt: UInt64)]
    func actors(
        in partition: PartitionID, kind: String?, limit: Int, after: ActorAddress?
    ) throws(StoreError) -> [StoredActor]
    func close() throws(StoreError)
}
