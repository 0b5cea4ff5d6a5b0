import ByteCoding
import Identifiers
import ReplicationCore

/// The state machine of a simulated partition: a number that clients add one to, and the last answer that
/// each client got, which makes a repeated request harmless (A13).
struct Tally: Hashable {
    var total: UInt64 = 0
    var answers: [UInt64: (sequence: UInt64, result: UInt64)] = [:]

    struct Change: Hashable {
        var client: UInt64
        var sequence: UInt64
        var result: UInt64

        var bytes: [UInt8] {
            var writer = ByteWriter(capacity: 16)
            writer.varint(client)
            writer.varint(sequence)
            writer.varint(result)
            return writer.bytes
        }
    }

    mutating func apply(_ record: LogRecord) {
        guard let change = Self.change(of: record) else { return }
        total = change.result
        answers[change.client] = (change.sequence, change.result)
    }

    /// What a record did; nil for the first record of an epoch.
    static func change(of record: LogRecord) -> Change? {
        var outer = ByteReader(record.bytes)
        guard let (journal, _) = try? JournalRecord.decode(&outer, from: record.bytes), journal.kind == .turn
        else { return nil }
        var reader = ByteReader(journal.body)
        guard let client = try? reader.varint(), let sequence = try? reader.varint(),
            let result = try? reader.varint()
        else { return nil }
        return Change(client: client, sequence: sequence, result: result)
    }

    static func == (a: Self, b: Self) -> Bool {
        a.total == b.total && a.answers.mapValues(\.result) == b.answers.mapValues(\.result)
    }

    func hash(into hasher: inout Hasher) { hasher.combine(total) }
}
