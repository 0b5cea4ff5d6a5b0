/// What was asked and what was answered, and the model of what must be there in the end.
package struct LoadBook: Sendable {
    /// What became of one call.
    package enum Outcome: Hashable, Sendable {
        /// Acknowledged; a counter's change answers with the total behind it.
        case acknowledged(total: Int)
        /// The node said no, so nothing may have changed.
        case refused(String)
        /// No answer in all the time that the call was repeated: it may have happened, once.
        case unknown(String)
    }

    /// How an order stands in the end.
    package struct OrderEnd: Hashable, Sendable {
        package var runStatus: String
        package var status: String
        package var messagesLeft: Int
        package init(runStatus: String, status: String, messagesLeft: Int) {
            self.runStatus = runStatus
            self.status = status
            self.messagesLeft = messagesLeft
        }
    }

    private struct Counter: Sendable {
        var changes: [(delta: Int, total: Int)] = []
        /// Amounts that may have been added.
        var unknown = 0
    }

    package private(set) var acknowledged = 0
    package private(set) var refused = 0
    package private(set) var unknown = 0
    /// Latencies of acknowledged calls in microseconds, in no order.
    package private(set) var latencies: [UInt32] = []
    package private(set) var firstRefusal: String?
    private var counters: [Int: Counter] = [:]
    /// Acknowledged decisions.
    private var orders: [Int: Bool] = [:]

    package init() {}

    package var calls: Int { acknowledged + refused + unknown }
    /// The actors that must be looked at in the end.
    package var counterNumbers: [Int] { counters.keys.sorted() }
    package var orderNumbers: [Int] { orders.keys.sorted() }

    package mutating func note(_ operation: LoadOperation, _ outcome: Outcome, took: Duration) {
        switch outcome {
        case .acknowledged:
            acknowledged += 1
            let (seconds, attoseconds) = took.components
            latencies.append(UInt32(clamping: seconds * 1_000_000 + attoseconds / 1_000_000_000_000))
        case .refused(let reason):
            refused += 1
            firstRefusal = firstRefusal ?? reason
        case .unknown(let reason):
            unknown += 1
            firstRefusal = firstRefusal ?? reason
        }
        switch (operation, outcome) {
        case (.increment(let counter, let delta), .acknowledged(let total)),
            (.request(let counter, let delta), .acknowledged(let total)):
            counters[counter, default: Counter()].changes.append((delta, total))
        case (.increment(let counter, let delta), .unknown), (.request(let counter, let delta), .unknown):
            counters[counter, default: Counter()].unknown += delta
        case (.increment(let counter, _), .refused), (.request(let counter, _), .refused):
            // It must still be looked at: a refused change must not be there.
            counters[counter, default: Counter()].unknown += 0
        case (.decide(let order, let isApproved), .acknowledged): orders[order] = isApproved
        case (.decide, _): break
        }
    }

    /// What the node holds in the end against what it said.
    /// - Parameters:
    ///   - totals: of the counters; nil for one that is not there.
    ///   - ends: of the orders.
    package func verdict(totals: [Int: Int], ends: [Int: OrderEnd]) -> LoadVerdict {
        var verdict = LoadVerdict()
        for number in counterNumbers {
            if let counter = counters[number] { judge(counter, number, totals[number], &verdict) }
        }
        for number in orderNumbers {
            guard let isApproved = orders[number] else { continue }
            judge(isApproved ? "fulfilled" : "cancelled", "order \(number)", ends[number], &verdict)
        }
        return verdict
    }

    /// Each change continues the one before in the order of totals, unless unknown ones fill the gap.
    private func judge(_ counter: Counter, _ number: Int, _ final: Int?, _ verdict: inout LoadVerdict) {
        let name = "counter \(number)"
        var total = 0
        var unknown = counter.unknown
        for change in counter.changes.sorted(by: { $0.total < $1.total }) {
            let gap = change.total - (total + change.delta)
            if gap < 0 {
                verdict.lose("\(name): +\(change.delta) answered \(change.total) after \(total)")
            } else if gap > unknown {
                verdict.double("\(name): +\(change.delta) answered \(change.total) after \(total)")
            } else {
                unknown -= gap
            }
            total = change.total
        }
        let end = final ?? 0
        if end < total { verdict.lose("\(name) ends with \(end), \(total) was acknowledged") }
        if end > total + unknown { verdict.double("\(name) ends with \(end), \(total) was acknowledged") }
    }

    private func judge(_ expected: String, _ name: String, _ end: OrderEnd?, _ verdict: inout LoadVerdict) {
        guard let end else { return verdict.lose("\(name) is gone") }
        switch end.runStatus {
        case "completed":
            if end.status != expected { verdict.lose("\(name) is \(end.status), it was to be \(expected)") }
            if end.messagesLeft > 0 { verdict.double("\(name) has \(end.messagesLeft) decisions left") }
        default: verdict.leave("\(name) did not come to its end: its run is \(end.runStatus)")
        }
    }
}

/// Whether everything that was acknowledged is there, once.
package struct LoadVerdict: Hashable, Sendable {
    /// Findings that are kept as text; all are counted.
    package static let findingsMax = 20

    /// Acknowledged, and not there.
    package private(set) var lost = 0
    /// There more often than it was asked for.
    package private(set) var doubled = 0
    /// Not known, because a run has not ended well.
    package private(set) var undecided = 0
    package private(set) var findings: [String] = []

    package init() {}

    package var isClean: Bool { lost == 0 && doubled == 0 }

    mutating func lose(_ finding: String) {
        lost += 1
        keep("lost: " + finding)
    }

    mutating func double(_ finding: String) {
        doubled += 1
        keep("doubled: " + finding)
    }

    mutating func leave(_ finding: String) {
        undecided += 1
        keep("undecided: " + finding)
    }

    private mutating func keep(_ finding: String) {
        if findings.count < Self.findingsMax { findings.append(finding) }
    }
}
