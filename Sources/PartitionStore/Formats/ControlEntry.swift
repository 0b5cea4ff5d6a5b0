import ByteCoding
import Identifiers
import ReplicationCore

/// What a row of the journal says about a partition's log besides its records, in order with them. All
/// integers little-endian:
///
///     tag u8 | zero u8 | zero u16 | partition u32 | epoch u64 | position u64
///
/// A record begins with its version, which is below `lowestTag`. A field that a kind does not have is zero.
/// A reset, since version 3 of the row, has its number of epochs instead of the zero u16, and goes on:
///
///     hash u64 | image u64 | count x (epoch u64, first u64)
package struct ControlEntry: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// Lower epochs are refused from here on (R18).
        case adopt(Epoch)
        /// Records behind the position are no part of the log any more (R7).
        case truncate(after: LogPosition)
        /// Repeats what a row that is being deleted told: where an epoch begins.
        case epochStart(EpochStart)
        /// A snapshot has replaced everything.
        case reset(LogReset)
    }

    static let lowestTag: UInt8 = 0x80

    package var partition: PartitionID
    package var kind: Kind

    package init(partition: PartitionID, kind: Kind) {
        self.partition = partition
        self.kind = kind
    }

    var byteCount: Int {
        guard case .reset(let reset) = kind else { return 24 }
        return 40 + 16 * reset.epochs.count
    }

    /// Where the log ends after it, if it says so.
    var end: LogPosition? {
        switch kind {
        case .truncate(let position): position
        case .reset(let reset): reset.mark.position
        case .adopt, .epochStart: nil
        }
    }

    package func encoded() -> [UInt8] {
        var tag = Self.lowestTag
        var count: UInt16 = 0
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
        case .reset(let reset):
            tag += 4
            count = UInt16(reset.epochs.count)
            epoch = reset.mark.epoch.rawValue
            position = reset.mark.position.rawValue
        }
        var writer = ByteWriter(capacity: byteCount)
        writer.byte(tag)
        writer.byte(0)
        writer.fixed(count)
        writer.fixed(partition.rawValue)
        writer.fixed(epoch)
        writer.fixed(position)
        guard case .reset(let reset) = kind else { return writer.bytes }
        writer.fixed(reset.mark.hash)
        writer.fixed(reset.image)
        for start in reset.epochs {
            writer.fixed(start.epoch.rawValue)
            writer.fixed(start.first.rawValue)
        }
        return writer.bytes
    }

    package static func decode(_ reader: inout ByteReader) throws(WireError) -> ControlEntry {
        let tag = try reader.byte()
        guard try reader.byte() == 0, case let count:UInt16 = try reader.fixed(),
            count == 0 || tag == lowestTag + 4
        else { throw .invalid("a control entry has unknown flags") }
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
        case lowestTag + 4:
            let mark = LogMark(position: position, epoch: epoch, hash: try reader.fixed())
            let image: UInt64 = try reader.fixed()
            var epochs: [EpochStart] = []
            for _ in 0..<count {
                let epoch = Epoch(rawValue: try reader.fixed(UInt64.self).countable("an epoch"))
                let first = LogPosition(rawValue: try reader.fixed(UInt64.self).countable("a position"))
                epochs.append(EpochStart(epoch: epoch, first: first))
            }
            return ControlEntry(
                partition: partition, kind: .reset(LogReset(mark: mark, epochs: epochs, image: image)))
        default:
            throw .unknown(what: "control entry", value: UInt64(tag))
        }
    }
}

/// Where a partition's log begins anew, with tables that came as a snapshot.
package struct LogReset: Hashable, Sendable {
    /// What the tables have.
    package var mark: LogMark
    /// Where epochs begin, ascending, the mark's last; at most `LogIndex.epochsMax`.
    package var epochs: [EpochStart]
    /// Names the file that the tables came as, drawn for this import alone.
    package var image: UInt64

    package init(mark: LogMark, epochs: [EpochStart], image: UInt64) {
        self.mark = mark
        self.epochs = epochs
        self.image = image
    }
}

/// What goes into the journal, in order.
enum JournalEntry: Sendable {
    case record(SealedRecord)
    case control(ControlEntry)
}
