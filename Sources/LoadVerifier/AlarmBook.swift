/// How a timer stands in the end, as the node tells it; times are microseconds since 1970 in the time of the
/// actor's partition.
package struct VerifiedAlarm: Hashable, Sendable, Decodable {
    package var setAt: UInt64
    package var dueAt: UInt64
    package var firedAt: [UInt64]

    package init(setAt: UInt64, dueAt: UInt64, firedAt: [UInt64]) {
        self.setAt = setAt
        self.dueAt = dueAt
        self.firedAt = firedAt
    }
}

/// The model of the timers: each that was set fires once, and not before it is due.
package struct AlarmBook: Sendable {
    package enum Outcome: UInt8, Sendable { case notAsked, set, refused, unknown }

    private struct Record: Sendable {
        var delayMillis: UInt32 = 0
        var outcome = Outcome.notAsked
    }

    private var records: [Record] = []
    package private(set) var fired = 0
    package private(set) var missing = 0
    package private(set) var doubled = 0
    /// In microseconds, of those that have fired, in no order.
    package private(set) var lateness: [UInt32] = []

    package init() {}

    package var count: Int { records.count }
    package func count(_ outcome: Outcome) -> Int { records.count { $0.outcome == outcome } }

    package mutating func note(_ number: Int, delayMillis: Int, _ outcome: Outcome) {
        while records.count <= number { records.append(Record()) }
        records[number] = Record(delayMillis: UInt32(clamping: delayMillis), outcome: outcome)
    }

    /// Whether something has to be there.
    package func isSet(_ number: Int) -> Bool { records[number].outcome == .set }

    /// - Parameters:
    ///   - actor: what it is called in findings.
    ///   - end: nil if there is no such actor.
    package mutating func judge(
        _ number: Int, _ actor: String, _ end: VerifiedAlarm?, _ verdict: inout LoadVerdict
    ) {
        guard let end else {
            guard isSet(number) else { return }
            missing += 1
            return verdict.lose("\(actor): expected a timer, found nothing")
        }
        if records[number].outcome == .refused {
            verdict.double("\(actor): expected no timer, as it was refused, found one")
        }
        let due = end.setAt + UInt64(records[number].delayMillis) * 1_000
        if end.dueAt != due {
            verdict.lose("\(actor): expected to be due at \(due), found \(end.dueAt)")
        }
        guard let first = end.firedAt.first else {
            missing += 1
            return verdict.lose("\(actor): expected one firing, found none")
        }
        fired += 1
        if end.firedAt.count > 1 {
            doubled += 1
            verdict.double("\(actor): expected one firing, found \(end.firedAt.count)")
        }
        if first < due {
            verdict.precede("\(actor): expected to fire at \(due) or later, found \(first)")
        } else {
            lateness.append(UInt32(clamping: first - due))
        }
    }
}
