import ByteCoding

/// The number that says whose frame it is and what it holds. Numbers below `firstForUsers` are the mesh's
/// own; the others are opaque to it and handed out by `FrameCatalog`.
public struct FrameKind: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    public static let firstForUsers = FrameKind(rawValue: 16)
    public var isOfMesh: Bool { self < Self.firstForUsers }

    /// Who the sender is.
    static let hello = FrameKind(rawValue: 1)
    /// The other's hello is good.
    static let accept = FrameKind(rawValue: 2)
    /// The sender closes on purpose, and says why.
    static let farewell = FrameKind(rawValue: 3)
    static let ping = FrameKind(rawValue: 4)
    static let pong = FrameKind(rawValue: 5)
}

/// One message between two nodes.
///
/// On the wire, little-endian: payload length u32, kind u8, lane u8, flags u16 (zero in this version), CRC32C
/// u32 of these eight bytes and the payload, payload.
public struct Frame: Hashable, Sendable {
    public static let headerBytes = 12
    /// A whole frame, header included.
    public static let bytesMax = 16 << 20
    public static let payloadBytesMax = bytesMax - headerBytes

    public var kind: FrameKind
    public var payload: [UInt8]

    /// - Parameter payload: at most `payloadBytesMax` bytes; a longer one is refused when it is sent.
    public init(_ kind: FrameKind, _ payload: [UInt8] = []) {
        self.kind = kind
        self.payload = payload
    }

    public var byteCount: Int { Self.headerBytes + payload.count }

    /// The whole frame as bytes, for tests and simulators; connections copy through `OutgoingQueue.fill`.
    public func encoded(on lane: MeshLane) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount)
        FrameHeader(of: self, on: lane).withBytes { bytes.append(contentsOf: $0) }
        return bytes + payload
    }
}

/// The twelve bytes before the payload.
struct FrameHeader: Hashable, Sendable {
    /// Length, kind, lane and flags, as the first eight bytes say them.
    var word: UInt64
    var checksum: UInt32

    init(of frame: Frame, on lane: MeshLane) {
        word =
            UInt64(frame.payload.count) | UInt64(frame.kind.rawValue) << 32 | UInt64(lane.rawValue) << 40
        checksum = Self.checksum(word, frame.payload)
    }

    /// - Parameter bytes: `Frame.headerBytes` of them.
    init(_ bytes: UnsafeRawBufferPointer) {
        word = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        checksum = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
    }

    var payloadBytes: Int { Int(word & 0xFFFF_FFFF) }
    var kind: FrameKind { FrameKind(rawValue: UInt8(truncatingIfNeeded: word >> 32)) }
    var lane: UInt8 { UInt8(truncatingIfNeeded: word >> 40) }
    var flags: UInt16 { UInt16(truncatingIfNeeded: word >> 48) }

    func fits(_ payload: [UInt8]) -> Bool { checksum == Self.checksum(word, payload) }

    func withBytes(_ body: (UnsafeRawBufferPointer) -> Void) {
        withUnsafeTemporaryAllocation(byteCount: Frame.headerBytes, alignment: 8) { bytes in
            bytes.storeBytes(of: word.littleEndian, as: UInt64.self)
            bytes.storeBytes(of: checksum.littleEndian, toByteOffset: 8, as: UInt32.self)
            body(UnsafeRawBufferPointer(bytes))
        }
    }

    private static func checksum(_ word: UInt64, _ payload: [UInt8]) -> UInt32 {
        let start = withUnsafeBytes(of: word.littleEndian) { CRC32C.checksum($0) }
        return payload.withUnsafeBytes { CRC32C.checksum($0, continuing: start) }
    }
}
