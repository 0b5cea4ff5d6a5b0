import Identifiers

/// The replicas of one process, by partition. A replica is large, so it is changed where it lies.
public struct ReplicaTable: Sendable {
    private var slots: [Replica?] = []

    /// A copy of a replica; what is asked for often has a way of its own.
    public subscript(partition: PartitionID) -> Replica? {
        let index = Int(partition.rawValue)
        return index < slots.count ? slots[index] : nil
    }

    /// Copies of all, in the order of their partitions.
    public var all: [Replica] { slots.compactMap { $0 } }

    /// The epoch in which this process owns the partition; nil if it does not.
    public func ownedEpoch(of partition: PartitionID) -> Epoch? {
        let index = Int(partition.rawValue)
        return index < slots.count ? slots[index]?.owner?.epoch : nil
    }

    var partitions: [PartitionID] { slots.indices.filter { slots[$0] != nil }.map { PartitionID($0) } }

    mutating func add(_ replica: Replica) {
        let index = Int(replica.partition.rawValue)
        while slots.count <= index { slots.append(nil) }
        slots[index] = replica
    }

    /// - Returns: nil if there is no such replica.
    mutating func handle(_ event: ReplicaEvent, of partition: PartitionID, now: UInt64) -> [ReplicaEffect]? {
        let index = Int(partition.rawValue)
        return index < slots.count ? slots[index]?.handle(event, now: now) : nil
    }
}
