/// The model of the counters: what each must hold in the end, and whether its answers fit together.
///
/// A change that adds `d` and answers `t` has taken the total from `t - d` to `t`. Acknowledged changes of a
/// counter take it over ranges that do not overlap, and together with those of unknown outcome they leave no
/// gap below the final total. Ranges that touch are joined, so a counter needs about the same memory however
/// many changes it has seen.
package struct CounterBook: Sendable {
    private struct Counter: Sendable {
        /// What acknowledged changes have gone over, ascending; none touches the next.
        var ranges: [Range<Int>] = []
        /// Amounts of changes of unknown outcome.
        var unknown: [Int] = []
    }

    private var counters: [Counter] = []
    /// The sum of all amounts that were acknowledged.
    package private(set) var acknowledgedTotal = 0
    /// The sum of what the counters hold that were judged.
    package private(set) var foundTotal = 0
    package private(set) var countersJudged = 0

    package init() {}

    /// What a counter has reached for certain; an answer to what is asked from now on must build on it.
    package func floor(of counter: Int) -> Int {
        counter < counters.count ? counters[counter].ranges.last?.upperBound ?? 0 : 0
    }

    /// - Parameters:
    ///   - actor: what it is called in findings.
    ///   - floor: as it was when the change was asked for.
    package mutating func acknowledge(
        _ counter: Int, _ actor: String, by amount: Int, total: Int, floor: Int, _ verdict: inout LoadVerdict
    ) {
        grow(to: counter)
        acknowledgedTotal += amount
        let before = total - amount
        let range = before..<total
        let overlaps = before < 0 || counters[counter].ranges.contains { $0.overlaps(range) }
        if overlaps {
            verdict.lose("\(actor): +\(amount) answered \(total), over what others have answered already")
        }
        if before < floor {
            verdict.contradict(
                "\(actor): +\(amount) expected above \(floor), which was answered before, found \(total)")
        }
        counters[counter].ranges.insert(joining: max(0, before)..<max(0, total))
    }

    /// A change without an answer: it may have happened, once.
    package mutating func doubt(_ counter: Int, by amount: Int) {
        grow(to: counter)
        counters[counter].unknown.append(amount)
    }

    private mutating func grow(to counter: Int) {
        while counters.count <= counter { counters.append(Counter()) }
    }

    /// - Parameter final: what the counter holds in the end; nil if it is not there.
    package mutating func judge(
        _ counter: Int, _ actor: String, final: Int?, _ verdict: inout LoadVerdict
    ) {
        let model = counter < counters.count ? counters[counter] : Counter()
        let end = final ?? 0
        foundTotal += end
        countersJudged += 1
        let top = model.ranges.last?.upperBound ?? 0
        guard end >= top else {
            return verdict.lose(
                "\(actor): expected \(top) or more, found \(final.map(String.init) ?? "nothing")")
        }
        // What is there beyond the acknowledged must be some of the unknown ones, each once.
        let certain = model.ranges.reduce(0) { $0 + $1.count }
        guard !Self.sums(of: model.unknown).contains(end - certain) else { return }
        let expected =
            model.unknown.isEmpty
            ? "\(certain)" : "\(certain) and some of \(model.unknown.count) unknown changes"
        verdict.double("\(actor): expected \(expected), found \(end)")
    }

    /// The sums of all subsets; amounts are small, so there are few.
    private static func sums(of amounts: [Int]) -> Set<Int> {
        amounts.reduce(into: [0]) { sums, amount in sums.formUnion(sums.map { $0 + amount }) }
    }
}

extension [Range<Int>] {
    /// Adds a range, and joins it with those that it touches.
    fileprivate mutating func insert(joining range: Range<Int>) {
        guard !range.isEmpty else { return }
        let first = firstIndex { $0.upperBound >= range.lowerBound } ?? count
        let last = self[first...].firstIndex { $0.lowerBound > range.upperBound } ?? count
        var joined = range
        for other in self[first..<last] {
            joined =
                Swift.min(
                    joined.lowerBound, other.lowerBound)..<Swift.max(joined.upperBound, other.upperBound)
        }
        replaceSubrange(first..<last, with: [joined])
    }
}
