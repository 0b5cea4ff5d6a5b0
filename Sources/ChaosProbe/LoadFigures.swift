/// What `apus-load --json` has printed, as far as the report needs it.
package struct LoadFigures: Decodable, Hashable, Sendable {
    package struct Transfers: Decodable, Hashable, Sendable {
        package var paid: Int
        package var overdrawn: Int
        package var moneyExpected: Int
        package var moneyFound: Int
    }

    package struct Timers: Decodable, Hashable, Sendable {
        package var set: Int
        package var fired: Int
        package var missing: Int
        package var doubled: Int
        package var early: Int
        package var latenessMicrosP50: Int64
        package var latenessMicrosP99: Int64
        package var latenessMicrosMax: Int64
    }

    package var name: String
    package var calls: Int
    package var acknowledged: Int
    package var errors: Int
    package var unknown: Int
    package var lost: Int
    package var doubled: Int
    package var early: Int
    /// Answers of counters that are older than what was known.
    package var contradictions: Int
    package var undecided: Int
    package var countersRead: Int
    /// What changes of counters came to that were acknowledged, and what was found.
    package var totalAcknowledged: Int
    package var totalFound: Int
    package var latencyMicrosP50: Int
    package var latencyMicrosP99: Int
    package var latencyMicrosMax: Int
    /// Nil if none was asked for, as the timers.
    package var transfers: Transfers?
    package var timers: Timers?
    /// Why the first call failed; nil if none did.
    package var firstError: String?
    package var findings: [String]
    package var verdict: String
}
