import ByteCoding
import Identifiers

/// A planned change of owner, which the owner is asked to make itself when it has come to a good place to
/// stop (`cluster.md` 2.8).
///
/// It is a wish and nothing more: the grant is the command that the owner proposes in the end, and a grant
/// that the leader proposes without asking is as safe (R1, R4).
public struct Handover: Hashable, Sendable {
    /// In one message; more than any plan has.
    public static let countMax = 4_096

    public var partition: PartitionID
    /// The epoch that is to end.
    public var epoch: Epoch
    /// The partition's entry that it was decided for.
    public var revision: Revision
    public var successor: NodeLife

    public init(partition: PartitionID, epoch: Epoch, revision: Revision, successor: NodeLife) {
        self.partition = partition
        self.epoch = epoch
        self.revision = revision
        self.successor = successor
    }

    public var command: Command { .promote(partition, revision, to: successor) }
}

extension Handover: WireValue {
    public static let formatVersion: UInt8 = 1

    init(from reader: inout ByteReader) throws(WireError) {
        partition = try PartitionID(from: &reader)
        epoch = try Epoch(from: &reader)
        revision = try Revision(from: &reader)
        successor = try NodeLife(from: &reader)
    }

    func encode(into writer: inout ByteWriter) {
        partition.encode(into: &writer)
        epoch.encode(into: &writer)
        revision.encode(into: &writer)
        successor.encode(into: &writer)
    }

    public static func encode(_ handovers: [Handover]) -> [UInt8] {
        var writer = ByteWriter(capacity: 16 + 40 * handovers.count)
        writer.byte(formatVersion)
        writer.values(handovers)
        return writer.bytes
    }

    /// Reads one whole message; anything else is an error.
    public static func decode(_ bytes: [UInt8]) throws(WireError) -> [Handover] {
        var reader = ByteReader(bytes)
        try reader.version(of: "handover", newest: formatVersion)
        let handovers: [Handover] = try reader.values("handovers", limit: countMax)
        try reader.finish()
        return handovers
    }
}
