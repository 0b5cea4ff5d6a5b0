import ByteCoding
import Identifiers
import PartitionStore

/// What the host needs of a node's storage. `PartitionStore` is the one that keeps it on disk.
package protocol HostStore: AnyObject, Sendable {
    var identity: StoreIdentity { get }
    var backlogBytes: Int { get }
    func logEnd(of partition: PartitionID) -> LogEnd
    func start(
        onDurable: @escaping @Sendable ([DurableMark]) -> Void,
        onFailure: @escaping @Sendable (StoreError) -> Void)
    func append(_ records: [SealedRecord])
    func commit(_ marks: [DurableMark])
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
