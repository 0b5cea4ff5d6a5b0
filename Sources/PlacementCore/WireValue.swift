import ByteCoding
import Identifiers
import TimeAndChance

/// A value that is part of a record; the record around it carries the version.
protocol WireValue {
    init(from reader: inout ByteReader) throws(WireError)
    func encode(into writer: inout ByteWriter)
}

extension WireValue where Self: RawRepresentable, RawValue == UInt64 {
    init(from reader: inout ByteReader) throws(WireError) {
        let raw = try reader.varint()
        guard let value = Self(rawValue: raw) else { throw .unknown(what: "\(Self.self)", value: raw) }
        self = value
    }

    func encode(into writer: inout ByteWriter) { writer.varint(rawValue) }
}

extension WireValue where Self: RawRepresentable, RawValue == UInt32 {
    init(from reader: inout ByteReader) throws(WireError) {
        let raw = try reader.varint()
        guard let short = UInt32(exactly: raw) else { throw .integerOverflow }
        guard let value = Self(rawValue: short) else { throw .unknown(what: "\(Self.self)", value: raw) }
        self = value
    }

    func encode(into writer: inout ByteWriter) { writer.varint(UInt64(rawValue)) }
}

extension WireValue where Self: RawRepresentable, RawValue == UInt8 {
    init(from reader: inout ByteReader) throws(WireError) {
        let raw = try reader.byte()
        guard let value = Self(rawValue: raw) else {
            throw .unknown(what: "\(Self.self)", value: UInt64(raw))
        }
        self = value
    }

    func encode(into writer: inout ByteWriter) { writer.byte(rawValue) }
}

extension WireValue where Self: Identifier128 {
    init(from reader: inout ByteReader) throws(WireError) {
        self.init(high: try reader.fixed(), low: try reader.fixed())
    }

    func encode(into writer: inout ByteWriter) {
        writer.fixed(high)
        writer.fixed(low)
    }
}

extension NodeID: WireValue {}
extension Incarnation: WireValue {}
extension PartitionID: WireValue {}
extension Epoch: WireValue {}
extension Timestamp: WireValue {}
extension ClusterID: WireValue {}
extension StoreID: WireValue {}

extension ByteWriter {
    mutating func values(_ values: [some WireValue]) {
        varint(values.count)
        for value in values { value.encode(into: &self) }
    }
}

extension ByteReader {
    mutating func values<Value: WireValue>(_ what: String, limit: Int) throws(WireError) -> [Value] {
        let count = try count(what, limit: limit)
        var values: [Value] = []
        // Every value has at least one byte, so a damaged count reserves no more than there is.
        values.reserveCapacity(min(count, remaining))
        for _ in 0..<count { values.append(try Value(from: &self)) }
        return values
    }

    /// The leading version byte of a record.
    mutating func version(of what: String, newest: UInt8) throws(WireError) {
        let found = try byte()
        guard found == newest else {
            throw .version(what: what, found: UInt64(found), newest: UInt64(newest))
        }
    }
}
