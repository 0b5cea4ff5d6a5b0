import ByteCoding
import Identifiers

extension FuzzTarget {
    /// One record: what is accepted encodes to the same bytes again, because its header has one form only.
    public static let journalRecord = FuzzTarget("JournalRecord", corpus: Samples.records) { bytes in
        var reader = ByteReader(bytes)
        guard let (record, hash) = try? JournalRecord.decode(&reader, from: bytes) else { return nil }
        let encoded = record.encoded()
        guard encoded.bytes.elementsEqual(bytes[..<reader.offset]) else {
            return "a record was accepted that encodes to other bytes: \(record)"
        }
        return encoded.hash == hash ? nil : "the hash of a record differs between writing and reading"
    }

    /// Records behind one another, as in a batch on disk or on the wire.
    public static let recordRun = FuzzTarget("RecordRun", corpus: [Samples.records.flatMap(\.self)]) {
        bytes in
        var reader = ByteReader(bytes)
        var again: [UInt8] = []
        while !reader.isAtEnd {
            let before = reader.offset
            guard let (record, _) = try? JournalRecord.decode(&reader, from: bytes) else { break }
            guard reader.offset > before else { return "a record took no bytes" }
            again += record.encoded().bytes
        }
        return again.elementsEqual(bytes[..<again.count]) ? nil : "a run of records encodes to other bytes"
    }

    /// A turn's body. Lengths may come in more than one form, so what is accepted has to decode alike once it
    /// was encoded anew.
    public static let turnBody = FuzzTarget("TurnBody", corpus: Samples.turns) { bytes in
        guard let (actor, operations) = try? TurnBody.decode(bytes) else { return nil }
        var body = TurnBody(actor: actor)
        for operation in operations { body.append(operation) }
        guard let again = try? TurnBody.decode(body.bytes) else {
            return "an accepted turn does not decode again"
        }
        guard again.actor == actor, again.operations == operations else { return "a turn changed on its way" }
        return body.byteCount <= bytes.count ? nil : "a turn grew by being encoded anew"
    }

    /// The checksum over a frame that arrives in pieces: the first byte says where it is cut.
    public static let checksumFraming = FuzzTarget(
        "ChecksumFraming", corpus: Samples.records.map { [17] + $0 }
    ) { bytes in
        guard let first = bytes.first, bytes.count > 1 else { return nil }
        var frame = Array(bytes.dropFirst())
        let whole = CRC32C.checksum(frame)
        let cut = Int(first) % (frame.count + 1)
        let pieced = frame.withUnsafeBytes { all in
            CRC32C.checksum(
                UnsafeRawBufferPointer(rebasing: all[cut...]),
                continuing: CRC32C.checksum(UnsafeRawBufferPointer(rebasing: all[..<cut])))
        }
        guard pieced == whole else { return "the checksum depends on where the frame is cut (\(cut))" }
        frame[cut % frame.count] ^= 1 << (first & 7)
        return CRC32C.checksum(frame) == whole ? "a flipped bit was not noticed" : nil
    }
}

/// The golden corpus: every kind of record and every operation at least once.
enum Samples {
    static let turns: [[UInt8]] = {
        let operations: [TurnOperation] = [
            .set(.state, Array(#"{"count":1}"#.utf8)), .set(.run, [1, 2]), .set(.input, []), .wake(at: nil),
            .wake(at: 1_700_000_000_000_000), .put(.history, id: TurnOperation.itemID(1), [1, 2, 3]),
            .put(.message, id: TurnOperation.itemID(1 << 40), []), .delete(.completion, id: [1]),
            .deleteRange(.deduplication, from: [0], through: [255, 255]), .destroy,
            .ofPartition(.put(.outbox, id: [1, 2], [3])), .ofPartition(.delete(.inbox, id: [1])),
            .ofPartition(.deleteRange(.outbox, from: [1], through: [2])),
        ]
        var whole = TurnBody(actor: ActorID(rawValue: 77))
        for operation in operations { whole.append(operation) }
        var bodies = [whole.bytes]
        for operation in operations {
            var body = TurnBody(actor: ActorID(rawValue: 1))
            body.append(operation)
            bodies.append(body.bytes)
        }
        if let kind = try? ActorKind("order"), let key = try? ActorKey(["2024", "", "ü/🛒"]) {
            var creation = TurnBody(actor: nil)
            creation.append(.create(ActorAddress(kind: kind, key: key), time: 1_700_000_000_000_000))
            bodies.append(creation.bytes)
        }
        return bodies
    }()

    static let records: [[UInt8]] = {
        var previous: UInt64 = 0
        return ([[]] + turns).enumerated().map { index, body in
            let record = JournalRecord(
                kind: body.isEmpty ? .epochStart : .turn, partition: PartitionID(rawValue: 199),
                epoch: Epoch(rawValue: 2), position: LogPosition(rawValue: UInt64(index) + 1),
                time: 1_700_000_000_000_000 + UInt64(index), previousHash: previous, body: body)
            let encoded = record.encoded()
            previous = encoded.hash
            return encoded.bytes
        }
    }()
}
