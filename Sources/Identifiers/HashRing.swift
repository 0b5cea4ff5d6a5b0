/// The constants by which every node and client maps an actor to its partition; fixed when a cluster is made
/// (R16).
public struct HashRing: Hashable, Sendable {
    /// A power of two from 1 to 65,536.
    public let partitionCount: Int
    /// The cluster's hash seed.
    public let seed: (UInt64, UInt64)

    /// Fails unless `partitionCount` is a power of two in range.
    public init?(partitionCount: Int, seed: (UInt64, UInt64)) {
        guard 1...65_536 ~= partitionCount, partitionCount & (partitionCount - 1) == 0 else { return nil }
        self.partitionCount = partitionCount
        self.seed = seed
    }

    /// The arc that holds the hash of the actor's address: the top bits of SipHash-2-4 over the
    /// length-prefixed parts.
    public func partition(of address: ActorAddress) -> PartitionID {
        var bytes: [UInt8] = []
        func append(_ text: String) {
            let count = text.utf8.count
            bytes.append(UInt8(truncatingIfNeeded: count))
            bytes.append(UInt8(truncatingIfNeeded: count >> 8))
            bytes.append(contentsOf: text.utf8)
        }
        append(address.kind.name)
        for part in address.key.parts { append(part) }
        let hash = SipHash24.hash(bytes, key: seed)
        let bits = partitionCount.trailingZeroBitCount
        return PartitionID(rawValue: bits == 0 ? 0 : UInt32(hash >> UInt64(64 - bits)))
    }

    public static func == (a: Self, b: Self) -> Bool {
        a.partitionCount == b.partitionCount && a.seed == b.seed
    }
    public func hash(into hasher: inout Hasher) {
        hasher.combine(partitionCount)
        hasher.combine(seed.0)
        hasher.combine(seed.1)
    }
}

/// SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012).
public enum SipHash24 {
    public static func hash(_ bytes: [UInt8], key: (UInt64, UInt64)) -> UInt64 {
        var state = State(key: key)
        var index = 0
        while index + 8 <= bytes.count {
            var word: UInt64 = 0
            for offset in 0..<8 { word |= UInt64(bytes[index + offset]) << UInt64(offset * 8) }
            state.absorb(word)
            index += 8
        }
        var last = UInt64(truncatingIfNeeded: bytes.count) << 56
        for offset in 0..<(bytes.count - index) {
            last |= UInt64(bytes[index + offset]) << UInt64(offset * 8)
        }
        state.absorb(last)
        return state.finish()
    }

    private struct State {
        var v0, v1, v2, v3: UInt64

        init(key: (UInt64, UInt64)) {
            v0 = key.0 ^ 0x736f_6d65_7073_6575
            v1 = key.1 ^ 0x646f_7261_6e64_6f6d
            v2 = key.0 ^ 0x6c79_6765_6e65_7261
            v3 = key.1 ^ 0x7465_6462_7974_6573
        }

        mutating func round() {
            v0 &+= v1
            v1 = (v1 << 13 | v1 >> 51) ^ v0
            v0 = v0 << 32 | v0 >> 32
            v2 &+= v3
            v3 = (v3 << 16 | v3 >> 48) ^ v2
            v0 &+= v3
            v3 = (v3 << 21 | v3 >> 43) ^ v0
            v2 &+= v1
            v1 = (v1 << 17 | v1 >> 47) ^ v2
            v2 = v2 << 32 | v2 >> 32
        }

        mutating func absorb(_ word: UInt64) {
            v3 ^= word
            round()
            round()
            v0 ^= word
        }

        mutating func finish() -> UInt64 {
            v2 ^= 0xff
            for _ in 0..<4 { round() }
            return v0 ^ v1 ^ v2 ^ v3
        }
    }
}
