import ByteCoding
import Identifiers
import ReplicationCore

/// What a row of the journal says about a partition's log besides its records, in order with them. All
/// integers little-endian:
///
///     tag u8 | zero u8 | zero u16 | partition u32 | epoch u64 | position u64
///
/// A record begins with its version, which is below `lowestTag`. A field that a kind does not have is zero.
package struct ControlEntry: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// Lower epochs are refused from here on (R18).
        case adopt(Epoch)
        /// Records behind the position are no part of the log any more (R7).
        case truncate(after: LogPosition)
        /// Repeats what a row that is being deleted told: where an epoch begins.
        case epochStart(EpochStart)
    }

    static let byteCount = 24
    static let lowestTag: UInt8 = 0x80

    package var partition: PartitionID
    package var kind: Kind

    package init(partition: PartitionID, kind: Kind) {
        self.partition = partition
        self.kind = kind
    }

    package func encoded() -> [UInt8] {
        var tag = Self.lowestTag
        var epoch: UInt64 = 0
        var position: UInt64 = 0
        switch kind {
        case .adopt(let adopted):
            tag += 1
            epoch = adopted.rawValue
        case .truncate(let last):
            tag += 2
            position = last.rawValue
        case .epochStart(let start):
            tag += 3
            epoch = start.epoch.rawValue
            position = start.first.rawValue
        }
        var writer = ByteWriter(capacity: Self.byteCount)
        writer.byte(tag)
        writer.byte(0)
        writer.fixed(0 as UInt16)
        writer.fixed(partition.rawValue)
        writer.fixed(epoch)
        writer.fixed(position)
        return writer.bytes
    }

    package static func decode(_ reader: inout ByteReader) throws(WireError) -> ControlEntry {
        let tag = try reader.byte()
        guard try reader.byte() == 0, try reader.fixed(UInt16.self) == 0 else {
            throw .invalid("a control entry has unknown flags")
        }
        let partition = PartitionID(rawValue: try reader.fixed())
        let epoch = Epoch(rawValue: try reader.fixed(UInt64.self).countable("an epoch"))
        let position = LogPosition(rawValue: try reader.fixed(UInt64.self).countable("a position"))
        switch tag {
        case lowestTag + 1 where position == .zero:
            return ControlEntry(partition: partition, kind: .adopt(epoch))
        case lowestTag + 2 where epoch.rawValue == 0:
            return ControlEntry(partition: partition, kind: .truncate(after: position))
        case lowestTag + 3 where position > .zero:
            let start = EpochStart(epoch: epoch, first: position)
            return ControlEntry(partition: partition, kind: .epochStart(start))
        default:
            throw .unknown(what: "control entry", value: UInt64(tag))
        }
    }
}

/// What goes into the journal, in order.
enum JournalEntry: Sendable {
    case record(SealedRecord)
    case control(ControlEntry)
}
