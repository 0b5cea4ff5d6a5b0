import ByteCoding
import Identifiers
import PartitionStore
import ReplicationCore

extension FuzzTarget {
    /// A row of the journal, as it comes and with its checksum put right, which mutations rarely hit.
    public static let batchHeader = FuzzTarget("BatchHeader", corpus: rows) { bytes in
        if let header = try? BatchHeader.decode(bytes) {
            guard BatchHeader.byteCount + Int(header.entryBytes) == bytes.count else {
                return "a row was accepted whose length is wrong: \(header)"
            }
            _ = header.hash
        }
        guard bytes.count >= 16 else { return nil }
        var row = bytes
        let crc = row.withUnsafeBytes { all in
            CRC32C.checksum(
                UnsafeRawBufferPointer(rebasing: all[16...]),
                continuing: CRC32C.checksum(UnsafeRawBufferPointer(rebasing: all[..<12])))
        }
        for shift in 0..<4 { row[12 + shift] = UInt8(truncatingIfNeeded: crc >> UInt32(shift * 8)) }
        guard let header = try? BatchHeader.decode(row) else { return nil }
        var again = row
        let sealed = BatchHeader.seal(
            &again, version: header.version, entryCount: Int(header.entryCount), sequence: header.sequence,
            oldest: header.oldest, previousHash: header.previousHash)
        return again == row && sealed == header ? nil : "a header has a second form: \(header)"
    }

    /// A control entry in a row of the journal has one form only.
    public static let controlEntry = FuzzTarget("ControlEntry", corpus: controls.map { $0.encoded() }) {
        bytes in
        var reader = ByteReader(bytes)
        guard let control = try? ControlEntry.decode(&reader) else { return nil }
        return bytes.starts(with: control.encoded()) ? nil : "a control entry has a second form: \(control)"
    }

    private static let controls: [ControlEntry] = [
        .adopt(Epoch(rawValue: 7)), .truncate(after: LogPosition(rawValue: 9)),
        .epochStart(EpochStart(epoch: Epoch(rawValue: 3), first: LogPosition(rawValue: 5))),
        .reset(
            LogReset(
                mark: LogMark(position: LogPosition(rawValue: 9), epoch: Epoch(rawValue: 4), hash: .max),
                epochs: [EpochStart(epoch: Epoch(rawValue: 4), first: LogPosition(rawValue: 5))], image: 7)),
    ].map { ControlEntry(partition: PartitionID(2), kind: $0) }

    /// The witness has one form only.
    public static let witness = FuzzTarget(
        "Witness",
        corpus: [Witness(sequence: 0, hash: 0), Witness(sequence: 5, hash: .max)].map { $0.encoded() }
    ) { bytes in
        guard let witness = Witness(bytes) else { return nil }
        return witness.encoded() == bytes ? nil : "a witness has a second form: \(witness)"
    }

    /// The identity of a directory, as it comes and with its checksum put right.
    public static let identityFile = FuzzTarget("IdentityFile", corpus: identities) { bytes in
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        var forms = [bytes]
        if lines.count > 2 {
            let covered = Array(lines.dropLast(2).joined(separator: [UInt8(ascii: "\n")]))
            let crc = CRC32C.checksum(covered + [UInt8(ascii: "\n")])
            lines[lines.count - 2] = Array("crc32c \(crc)".utf8)[...]
            forms.append(Array(lines.joined(separator: [UInt8(ascii: "\n")])))
        }
        for form in forms {
            guard let identity = try? IdentityFile.decode(form) else { continue }
            guard IdentityFile.encode(identity) == form else { return "an identity has a second form" }
        }
        return nil
    }

    /// A key in the tables has one form only.
    public static let keyCoding = FuzzTarget("KeyCoding", corpus: keys) { bytes in
        guard let key = KeyCoding.decode(bytes) else { return nil }
        return KeyCoding.encode(key) == bytes ? nil : "a key has a second form: \(key)"
    }

    /// SQLite's write-ahead log, which a damaged disk may hand us in any form.
    public static let logScan = FuzzTarget("LogScan", corpus: logs) { bytes in
        let scan = LogScan(bytes)
        let frames = max(0, bytes.count - 32) / (24 + 512)
        return scan.soundFrames + scan.commitsAfter <= frames ? nil : "more frames than fit: \(scan)"
    }

    private static let rows: [[UInt8]] = [1, 2, 3].flatMap { version in
        [[], Samples.records + (version > 1 ? controls.map { $0.encoded() } : [])].map { entries in
            var row = [UInt8](repeating: 0, count: BatchHeader.byteCount) + entries.flatMap(\.self)
            _ = BatchHeader.seal(
                &row, version: version, entryCount: entries.count, sequence: 5, oldest: 4,
                previousHash: 0x0102)
            return row
        }
    }

    private static let identities: [[UInt8]] = [1, 256].compactMap { count in
        HashRing(partitionCount: count, seed: (1, .max)).map { ring in
            IdentityFile.encode(
                StoreIdentity(
                    count == 1 ? .alone : .member, cluster: ClusterID(high: 3, low: 4),
                    node: NodeID(rawValue: 1),
                    store: StoreID(high: 5, low: 6), incarnation: Incarnation(rawValue: 7), ring: ring))
        }
    }

    private static let keys: [[UInt8]] = [["a"], [""], ["a\0b", "ü", ""], ["1", "2", "3"]].compactMap {
        (try? ActorKey($0)).map { KeyCoding.encode($0) }
    }

    /// Logs of small pages, whose sums are those of https://www.sqlite.org/fileformat2.html#walformat.
    private static let logs: [[UInt8]] = [0, 1, 3].map { frames in
        var sum: (UInt32, UInt32) = (0, 0)
        var log: [UInt8] = []
        func add(_ bytes: [UInt8]) {
            for place in stride(from: 0, to: bytes.count, by: 8) {
                sum.0 &+= word(bytes, place) &+ sum.1
                sum.1 &+= word(bytes, place + 4) &+ sum.0
            }
        }
        func word(_ bytes: [UInt8], _ place: Int) -> UInt32 {
            bytes[place..<place + 4].reduce(0) { $0 << 8 | UInt32($1) }
        }
        func big(_ values: UInt32...) -> [UInt8] {
            values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * $0)) }
            }
        }
        let salts = big(7, 8)
        log = big(0x377F_0683, 3_007_000, 512, 0) + salts
        add(log)
        log += big(sum.0, sum.1)
        for frame in 0..<frames {
            let head = big(UInt32(frame) + 1, 1)
            let page = [UInt8](repeating: UInt8(frame), count: 512)
            add(head)
            add(page)
            log += head + salts + big(sum.0, sum.1) + page
        }
        return log
    }
}
