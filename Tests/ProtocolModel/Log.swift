/// What is at one index of a log: the epoch it was ordered in and the value that a client wrote.
struct Entry: Equatable {
    /// Zero means that there is none; epochs begin with 1.
    let bits: UInt8
    init(bits: UInt8) { self.bits = bits }
    init(epoch: UInt8, value: UInt8) { bits = epoch << 4 | value }

    var epoch: UInt8 { bits >> 4 }
    var value: UInt8 { bits & 15 }
    var exists: Bool { bits != 0 }
}

/// A log of up to four entries, in 32 bits. Indices begin with 1, as in the design.
struct Log: Equatable {
    static let capacity: UInt8 = 4
    private(set) var bits: UInt32 = 0

    var count: UInt8 { UInt8(truncatingIfNeeded: (39 - bits.leadingZeroBitCount) / 8) }
    var last: Entry { self[count] }

    /// No entry below 1 and behind the end.
    subscript(index: UInt8) -> Entry {
        guard index > 0, index <= Self.capacity else { return Entry(bits: 0) }
        return Entry(bits: UInt8(truncatingIfNeeded: bits >> (8 * UInt32(index - 1))))
    }

    mutating func append(_ entry: Entry) {
        bits |= UInt32(entry.bits) << (8 * UInt32(count))
    }

    mutating func truncate(to count: UInt8) {
        if count < Self.capacity { bits &= (1 << (8 * UInt32(count))) - 1 }
    }
}

/// Where a log ends: logs are compared by the epoch of their last entry first.
struct LogEnd: Comparable {
    private var bits: UInt8 = 0

    init() {}
    init(_ log: Log) { bits = log.last.epoch << 4 | log.count }

    static func < (a: Self, b: Self) -> Bool { a.bits < b.bits }
}

extension Log: CustomStringConvertible {
    var description: String {
        let entries = (1...Self.capacity).map { self[$0] }.filter(\.exists)
        return "[" + entries.map { "\($0)" }.joined(separator: " ") + "]"
    }
}

extension Entry: CustomStringConvertible {
    /// "v2@1": value 2, ordered in epoch 1.
    var description: String { exists ? "v\(value)@\(epoch)" : "-" }
}
