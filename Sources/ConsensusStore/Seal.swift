import ByteCoding
import ConsensusCore
import Identifiers

/// Sums up everything that is stored, as of one transaction. It stands in a row of the database and in the
/// file `witness`: the row proves that nothing is missing among the others, and the file that no whole
/// transaction is. SQLite forgets all transactions after a flipped bit in its log, and says nothing (D15).
///
/// 84 bytes, integers little-endian: version u8 | 7 zero bytes | node u64 | store 2 x u64 | sequence u64
/// | entries u64 | entriesHash u64 | hardStateHash u64 | snapshotHash u64 | 8 zero bytes | crc32c u32. They
/// lie in one sector, so that a power failure leaves the old or the new ones.
package struct Seal: Hashable, Sendable {
    static let version: UInt8 = 1
    package static let byteCount = 84

    /// Whose state it is.
    package var replica: ReplicaID
    /// Counts the transactions; 0 is what the files were made with.
    package var sequence: UInt64
    package var entryCount: UInt64
    /// The sum of the hashes of all entries' records. Each record holds its own place, so the order is in it.
    package var entriesHash: UInt64
    package var hardStateHash: UInt64
    package var snapshotHash: UInt64

    package init(replica: ReplicaID) {
        self.replica = replica
        (sequence, entryCount, entriesHash, hardStateHash, snapshotHash) = (0, 0, 0, 0, 0)
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: Self.byteCount)
        writer.byte(Self.version)
        writer.raw(repeatElement(0, count: 7))
        for number in [
            replica.node.rawValue, replica.store.high, replica.store.low, sequence, entryCount, entriesHash,
            hardStateHash, snapshotHash,
        ] { writer.fixed(number) }
        writer.raw(repeatElement(0, count: 8))
        writer.fixed(CRC32C.checksum(writer.bytes))
        return writer.bytes
    }

    package static func decode(_ bytes: [UInt8]) throws(WireError) -> Seal {
        guard bytes.count == byteCount else { throw .truncated }
        var tail = try ByteReader(bytes, in: byteCount - 4..<byteCount)
        guard try tail.fixed() == CRC32C.checksum(Array(bytes.dropLast(4))) else {
            throw .checksum(what: "the seal")
        }
        guard bytes[0] == version else {
            throw .version(what: "the seal", found: UInt64(bytes[0]), newest: UInt64(version))
        }
        var reader = try ByteReader(bytes, in: 8..<byteCount - 4)
        var seal = Seal(
            replica: ReplicaID(
                node: NodeID(rawValue: try reader.fixed()),
                store: StoreID(high: try reader.fixed(), low: try reader.fixed())))
        seal.sequence = try reader.fixed(UInt64.self).countable("a transaction's number")
        seal.entryCount = try reader.fixed()
        seal.entriesHash = try reader.fixed()
        seal.hardStateHash = try reader.fixed()
        seal.snapshotHash = try reader.fixed()
        guard seal.encoded() == bytes else { throw .invalid("the seal has unknown contents") }
        return seal
    }
}
