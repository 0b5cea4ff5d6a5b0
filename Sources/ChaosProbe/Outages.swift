/// How long actors were not served after faults of one kind.
package struct Outages: Hashable, Sendable {
    /// Shorter waits are no interruption: the actor was served elsewhere, or by chance just asked.
    package static let interruptionMicrosMin: Int64 = 300_000

    package let fault: String
    /// How often it was injected.
    package private(set) var strikes = 0
    /// From the fault to the end of the first call that was begun after it and succeeded, in microseconds, of
    /// actors that were interrupted; sorted.
    package private(set) var waits: [Int64] = []
    /// The longest that any call took from its first attempt, if it overlapped with such a fault.
    package private(set) var longestCall: Int64 = 0
    /// Actors that never answered again.
    package private(set) var unserved = 0

    package init(fault: String) { self.fault = fault }

    /// The wait that the given share of interrupted actors did not exceed; nil if none was interrupted.
    package func wait(percent: Int) -> Int64? {
        waits.isEmpty ? nil : waits[max(1, (waits.count * percent + 99) / 100) - 1]
    }

    /// One moment at which a fault began, and when it was healed.
    struct Strike: Hashable {
        var fault: String
        var node: String
        var at: Int64
        var healed: Int64
    }

    /// A fault begins when it is injected, or later, if the history says when it struck.
    static func strikes(_ lines: [FaultLine]) -> [Strike] {
        var strikes: [Strike] = []
        var open: [String: Int] = [:]
        for line in lines {
            let name = line.fault + " " + line.node
            switch line.act {
            case "inject":
                open[name] = strikes.count
                strikes.append(
                    Strike(fault: line.fault, node: line.node, at: line.at * 1_000, healed: .max))
            case "struck": if let index = open[name] { strikes[index].at = line.at * 1_000 }
            case "heal":
                if let index = open.removeValue(forKey: name) { strikes[index].healed = line.at * 1_000 }
            default: break
            }
        }
        return strikes
    }

    static func all(_ lines: [FaultLine], _ calls: [ProbeCall]) -> [Outages] {
        let answered = Dictionary(grouping: calls.filter { $0.total != nil }) { $0.actor }
            .mapValues { $0.sorted { $0.tried < $1.tried } }
        var all: [String: Outages] = [:]
        for strike in strikes(lines) {
            all[strike.fault, default: Outages(fault: strike.fault)].add(strike, answered, calls)
        }
        return all.values.map { outages in
            var outages = outages
            outages.waits.sort()
            return outages
        }.sorted { $0.fault < $1.fault }
    }

    private mutating func add(_ strike: Strike, _ answered: [Int: [ProbeCall]], _ calls: [ProbeCall]) {
        strikes += 1
        for (_, calls) in answered {
            guard let index = Self.first(calls, triedFrom: strike.at) else {
                unserved += 1
                continue
            }
            let wait = calls[index...].prefix(64).map { $0.ended - strike.at }.min() ?? 0
            if wait >= Self.interruptionMicrosMin { waits.append(wait) }
        }
        for call in calls where call.ended >= strike.at && call.began <= strike.healed {
            longestCall = max(longestCall, call.ended - call.began)
        }
    }

    /// The first of the calls, sorted by their attempts, whose attempt began then or later.
    private static func first(_ calls: [ProbeCall], triedFrom time: Int64) -> Int? {
        var low = 0
        var high = calls.count
        while low < high {
            let middle = (low + high) / 2
            if calls[middle].tried < time { low = middle + 1 } else { high = middle }
        }
        return low < calls.count ? low : nil
    }
}
