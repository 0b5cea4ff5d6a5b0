/// Why a kind or a key was refused.
public enum AddressError: Error, Hashable, Sendable, CustomStringConvertible {
    case kindEmpty
    case kindTooLong(bytes: Int)
    case kindCharacter(String)
    case keyPartCount(Int)
    case keyPartTooLong(index: Int, bytes: Int)

    public var description: String {
        switch self {
        case .kindEmpty: "the actor kind is empty"
        case .kindTooLong(let bytes): "the actor kind has \(bytes) bytes, the limit is \(ActorKind.bytesMax)"
        case .kindCharacter(let name): "the actor kind \"\(name)\" may hold only letters, digits, - and _"
        case .keyPartCount(let count): "the key has \(count) parts, allowed are 1 to \(ActorKey.partsMax)"
        case .keyPartTooLong(let index, let bytes):
            "part \(index) of the key has \(bytes) bytes, the limit is \(ActorKey.partBytesMax)"
        }
    }
}

/// The name of a kind of actor: 1 to 64 ASCII letters, digits, `-` and `_` (A1).
public struct ActorKind: Hashable, Comparable, Sendable, CustomStringConvertible {
    public static let bytesMax = 64
    public let name: String

    public init(_ name: String) throws(AddressError) {
        guard !name.isEmpty else { throw .kindEmpty }
        guard name.utf8.count <= Self.bytesMax else { throw .kindTooLong(bytes: name.utf8.count) }
        for byte in name.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                continue
            default: throw .kindCharacter(name)
            }
        }
        self.name = name
    }

    public var description: String { name }
    public static func < (a: Self, b: Self) -> Bool { a.name < b.name }
}

/// The key of an actor: 1 to 8 parts, each up to 128 bytes of any UTF-8, the empty string included (A1).
///
/// Keys compare by their bytes, not by Unicode equivalence: two clients that disagree about
/// normalisation must not meet in one actor by accident.
public struct ActorKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    public static let partsMax = 8
    public static let partBytesMax = 128
    public let parts: [String]

    public init(_ parts: [String]) throws(AddressError) {
        guard 1...Self.partsMax ~= parts.count else { throw .keyPartCount(parts.count) }
        for (index, part) in parts.enumerated() where part.utf8.count > Self.partBytesMax {
            throw .keyPartTooLong(index: index, bytes: part.utf8.count)
        }
        self.parts = parts
    }

    /// The reversible path form: parts percent-encoded (RFC 3986 unreserved characters stay) and joined by
    /// `/`.
    public var description: String { parts.map(Self.percentEncoded).joined(separator: "/") }

    /// Reads the path form back; nil for a broken escape, bytes that are not UTF-8, or a breach of the
    /// limits. Parts are cut at the byte `/`: as a character it can be hidden by a combining mark behind it.
    public init?(path: some StringProtocol) {
        var parts: [String] = []
        for piece in path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            guard let part = Self.percentDecoded(piece) else { return nil }
            parts.append(part)
        }
        guard let key = try? ActorKey(parts) else { return nil }
        self = key
    }

    public static func == (a: Self, b: Self) -> Bool {
        a.parts.count == b.parts.count && zip(a.parts, b.parts).allSatisfy { $0.utf8.elementsEqual($1.utf8) }
    }

    public func hash(into hasher: inout Hasher) {
        for part in parts {
            for byte in part.utf8 { hasher.combine(byte) }
            hasher.combine(0xFF as UInt8)
        }
    }

    public static func < (a: Self, b: Self) -> Bool {
        for (x, y) in zip(a.parts, b.parts) where !x.utf8.elementsEqual(y.utf8) {
            return x.utf8.lexicographicallyPrecedes(y.utf8)
        }
        return a.parts.count < b.parts.count
    }

    static func percentEncoded(_ part: String) -> String {
        let hex = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in part.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "~"):
                bytes.append(byte)
            default:
                bytes += [UInt8(ascii: "%"), hex[Int(byte >> 4)], hex[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func percentDecoded(_ piece: some Sequence<UInt8>) -> String? {
        var bytes: [UInt8] = []
        var pending = Array(piece)[...]
        while let byte = pending.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = pending.popFirst().flatMap(hexValue),
                let low = pending.popFirst().flatMap(hexValue)
            else { return nil }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexValue(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}

/// Names an actor in the whole cluster: its kind and its key.
public struct ActorAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var kind: ActorKind
    public var key: ActorKey

    public init(kind: ActorKind, key: ActorKey) {
        self.kind = kind
        self.key = key
    }

    public var description: String { "\(kind)/\(key)" }

    public static func < (a: Self, b: Self) -> Bool { a.kind == b.kind ? a.key < b.key : a.kind < b.kind }
}
