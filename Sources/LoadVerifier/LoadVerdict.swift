/// Whether everything that was acknowledged is there, once, and not before its time.
package struct LoadVerdict: Hashable, Sendable {
    /// Findings that are kept as text; all are counted.
    package static let findingsMax = 10

    /// Acknowledged, and not there.
    package private(set) var lost = 0
    /// There more often than it was asked for.
    package private(set) var doubled = 0
    /// Timers that fired before they were due.
    package private(set) var early = 0
    /// Answers that are older than what was known when they were asked for: not linearizable.
    package private(set) var contradictions = 0
    /// Not known, because a run has not ended well.
    package private(set) var undecided = 0
    package private(set) var findings: [String] = []

    package init() {}

    package var isLinearizable: Bool { contradictions == 0 }
    package var isClean: Bool { lost == 0 && doubled == 0 && early == 0 && contradictions == 0 }

    mutating func lose(_ finding: String) {
        lost += 1
        keep("lost: " + finding)
    }

    mutating func double(_ finding: String) {
        doubled += 1
        keep("doubled: " + finding)
    }

    mutating func precede(_ finding: String) {
        early += 1
        keep("early: " + finding)
    }

    mutating func contradict(_ finding: String) {
        contradictions += 1
        keep("not linearizable: " + finding)
    }

    mutating func leave(_ finding: String) {
        undecided += 1
        keep("undecided: " + finding)
    }

    private mutating func keep(_ finding: String) {
        if findings.count < Self.findingsMax { findings.append(finding) }
    }
}
