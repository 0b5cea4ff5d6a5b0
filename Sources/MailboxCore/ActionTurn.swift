import ByteCoding

/// A committed turn of an asynchronous action that has no reply yet, so that the action, executed again for
/// the same request, does not repeat it (A11, A13).
public struct ActionTurn: Hashable, Sendable {
    public static let version: UInt8 = 1

    /// What the turn is found by in its action.
    public enum Name: Hashable, Sendable {
        /// The place in the order in which turns were begun, from 1.
        case ordinal(UInt64)
        case given(String)
    }

    /// When it was committed, microseconds since 1970.
    public var time: UInt64
    /// What the turn returned, encoded.
    public var value: [UInt8]

    public init(time: UInt64, value: [UInt8]) {
        self.time = time
        self.value = value
    }

    /// The identifier in storage. The turns of one request lie together.
    public static func id(_ request: RequestIdentityID, _ name: Name) -> [UInt8] {
        var writer = ByteWriter(capacity: 48)
        writer.blob(request.encoded)
        switch name {
        case .ordinal(let number):
            writer.byte(0)
            writer.varint(number)
        case .given(let name):
            writer.byte(1)
            writer.raw(Array(name.utf8))
        }
        return writer.bytes
    }

    /// The bounds of the identifiers of all turns of one request.
    public static func range(of request: RequestIdentityID) -> (from: [UInt8], through: [UInt8]) {
        var writer = ByteWriter(capacity: 32)
        writer.blob(request.encoded)
        return (writer.bytes, writer.bytes + [2])
    }

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: value.count + 16)
        writer.byte(Self.version)
        writer.varint(time)
        writer.blob(value)
        return writer.bytes
    }

    public static func decode(_ bytes: [UInt8]) throws(WireError) -> ActionTurn {
        var reader = ByteReader(bytes)
        let version = try reader.byte()
        guard version == Self.version else {
            throw .version(what: "turn of an action", found: UInt64(version), newest: UInt64(Self.version))
        }
        let time = try reader.varint()
        let value = try reader.blob()
        try reader.finish()
        return ActionTurn(time: time, value: value)
    }
}
