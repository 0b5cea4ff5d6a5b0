/// Looks into an SQLite write-ahead log for transactions that SQLite will not recover although a later one
/// proves that they were synced (D15): it stops at the first frame whose checksum fails and forgets all after
/// it.
///
/// File format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log. Every commit of the journal is
/// synced before the next one is written, so only the last transaction in the file may rightly be torn.
package struct LogScan: Hashable {
    /// Frames that SQLite will recover.
    package private(set) var soundFrames = 0
    /// Commits after them that belong to the same use of the file.
    package private(set) var commitsAfter = 0
    /// The file has contents, but its header cannot be trusted.
    package private(set) var isHeaderBroken = false

    /// Whether a synced transaction would be dropped.
    package var losesCommits: Bool { isHeaderBroken || commitsAfter > 1 }

    static let headerBytes = 32
    static let frameHeaderBytes = 24

    package init(_ bytes: [UInt8]) {
        guard bytes.count > Self.headerBytes else { return }
        // Prepared and never written to. Zeros in place of a header, before anything else, are damage.
        if bytes[..<4].allSatisfy({ $0 == 0 }), bytes.allSatisfy({ $0 == 0 }) { return }
        bytes.withUnsafeBytes { scan($0) }
    }

    private mutating func scan(_ bytes: UnsafeRawBufferPointer) {
        let magic = Self.big(bytes, 0)
        let pageSize = Int(Self.big(bytes, 8))
        var sum = Checksum(bigEndianWords: magic & 1 == 1)
        sum.add(bytes, 0..<24)
        guard magic & ~1 == 0x377F_0682, pageSize >= 512, pageSize <= 65_536, pageSize & (pageSize - 1) == 0,
            sum.first == Self.big(bytes, 24), sum.second == Self.big(bytes, 28)
        else {
            isHeaderBroken = true
            return
        }
        let frameBytes = Self.frameHeaderBytes + pageSize
        var offset = Self.headerBytes
        var isSound = true
        var frames = 0
        while offset + frameBytes <= bytes.count {
            defer { offset += frameBytes }
            // Frames with other salts are left over from earlier uses of the file.
            let isCurrent =
                bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)
                == bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
            let isCommit = Self.big(bytes, offset + 4) != 0
            if isSound {
                sum.add(bytes, offset..<offset + 8)
                sum.add(bytes, offset + 24..<offset + frameBytes)
                isSound =
                    isCurrent && sum.first == Self.big(bytes, offset + 16)
                    && sum.second == Self.big(bytes, offset + 20)
            }
            frames += 1
            if isSound {
                if isCommit { soundFrames = frames }
            } else if isCurrent && isCommit {
                commitsAfter += 1
            }
        }
    }

    private static func big(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
        UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    /// The running checksum of headers and frames.
    private struct Checksum {
        let bigEndianWords: Bool
        var first: UInt32 = 0
        var second: UInt32 = 0

        init(bigEndianWords: Bool) { self.bigEndianWords = bigEndianWords }

        mutating func add(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
            var offset = range.lowerBound
            while offset < range.upperBound {
                first &+= word(bytes, offset) &+ second
                second &+= word(bytes, offset + 4) &+ first
                offset += 8
            }
        }

        private func word(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
            let raw = bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
            return bigEndianWords ? UInt32(bigEndian: raw) : UInt32(littleEndian: raw)
        }
    }
}
