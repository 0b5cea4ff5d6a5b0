/// What many runs did together.
public struct Totals: Sendable {
    public private(set) var runs = 0
    public private(set) var virtualMicros: UInt64 = 0
    public private(set) var events = 0
    public private(set) var acknowledged = 0
    public private(set) var promotions = 0
    public private(set) var handovers = 0
    public private(set) var declaredDown = 0
    public private(set) var effects = 0
    public private(set) var records = 0
    public private(set) var redirects = 0
    public private(set) var timedOut = 0
    public private(set) var faults: [String: Int] = [:]

    public init() {}

    public mutating func add(_ report: SimulationReport) {
        runs += 1
        virtualMicros += report.virtualMicros
        events += report.events
        acknowledged += report.acknowledged
        promotions += report.promotions
        handovers += report.handovers
        declaredDown += report.declaredDown
        effects += report.effects
        records += report.records
        redirects += report.redirects
        timedOut += report.timedOut
        faults.merge(report.faults, uniquingKeysWith: +)
    }

    /// What clients of whole nodes did, for a line of output.
    public var routing: String { "clients followed \(redirects) redirects and gave \(timedOut) looks up" }

    public var virtualSeconds: Double { Double(virtualMicros) / 1_000_000 }

    /// Kinds of faults with their numbers, most frequent first.
    public var faultsByKind: String {
        faults.sorted { ($0.value, $1.key) > ($1.value, $0.key) }.map { "\($0.value) \($0.key)" }
            .joined(separator: ", ")
    }
}
