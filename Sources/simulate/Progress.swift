import Simulator

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Says once a second how far a long run is, if somebody looks at a terminal.
struct Progress {
    private var totals = Totals()
    private let start = ContinuousClock.now
    private var last = ContinuousClock.now
    private let isTerminal = isatty(1) == 1

    mutating func add(_ report: SimulationReport) {
        totals.add(report)
        guard isTerminal, ContinuousClock.now - last >= .seconds(1) else { return }
        last = .now
        put("\u{1B}[2K\r\(totals.runs) seeds, \(virtualHours) virtual hours, \(speed)")
    }

    /// Removes the line.
    func clear() { if isTerminal { put("\u{1B}[2K\r") } }

    func printSummary() {
        clear()
        print("\(totals.runs) seeds, \(virtualHours) virtual hours, \(speed)")
        print(
            "\(totals.events) events, \(totals.acknowledged) answers, \(totals.promotions) promotions, "
                + "\(totals.handovers) handovers")
        print("\(totals.declaredDown) nodes declared down by the controller")
        if totals.effects > 0 { print(totals.routing) }
        print("faults: \(totals.faultsByKind)")
    }

    private var virtualHours: String { "\((totals.virtualSeconds / 36).rounded() / 100)" }

    private var speed: String {
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        return "\(Int(totals.virtualSeconds / max(seconds, 0.001))) times real time"
    }

    /// Without a newline, so that the next one replaces it.
    private func put(_ text: String) {
        let bytes = Array(text.utf8)
        _ = write(1, bytes, bytes.count)
    }
}
