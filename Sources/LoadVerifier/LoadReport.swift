import ClientProtocol
import OperatorCommands

/// What a load came to, as text and as JSON.
package struct LoadReport: Sendable {
    package let name: String
    package let settings: LoadSettings
    package let took: Duration
    package let book: LoadBook
    package let verdict: LoadVerdict
    private let latencies: [UInt32]

    package init(name: String, settings: LoadSettings, took: Duration, book: LoadBook, verdict: LoadVerdict) {
        self.name = name
        self.settings = settings
        self.took = took
        self.book = book
        self.verdict = verdict
        latencies = book.latencies.sorted()
    }

    private var seconds: Double {
        Double(took.components.seconds) + Double(took.components.attoseconds) / 1e18
    }

    /// Acknowledged calls a second.
    package var throughput: Int { seconds > 0 ? Int(Double(book.acknowledged) / seconds) : 0 }

    /// The latency in microseconds that the given share of acknowledged calls does not exceed.
    package func latency(percent: Int) -> Int {
        guard !latencies.isEmpty else { return 0 }
        let rank = (latencies.count * percent + 99) / 100
        return Int(latencies[max(1, rank) - 1])
    }

    package var conclusion: String {
        if !verdict.isClean { return "NOT everything that was acknowledged is there once" }
        if verdict.undecided > 0 { return "undecided: not all orders came to their end" }
        if book.acknowledged == 0 { return "undecided: nothing was acknowledged" }
        return "everything that was acknowledged is there, once"
    }

    /// 0 only if nothing was lost or doubled, and that is known.
    package var exitCode: Int32 {
        if !verdict.isClean { return 1 }
        return verdict.undecided > 0 || book.acknowledged == 0 ? 75 : 0
    }

    package func lines(_ style: Style) -> [String] {
        var table = TextTable([("", .left), (name, .right)])
        func bad(_ count: Int, _ colour: Style.Colour) -> TextTable.Cell {
            TextTable.Cell(String(count), count > 0 ? colour : nil)
        }
        table.add(["calls", String(book.calls)])
        table.add(["acknowledged", String(book.acknowledged)])
        table.add([TextTable.Cell("errors"), bad(book.refused, .yellow)])
        table.add([TextTable.Cell("outcome unknown"), bad(book.unknown, .yellow)])
        table.add([TextTable.Cell("lost"), bad(verdict.lost, .red)])
        table.add([TextTable.Cell("doubled"), bad(verdict.doubled, .red)])
        table.add([TextTable.Cell("undecided"), bad(verdict.undecided, .yellow)])
        for (title, percent) in [("latency p50", 50), ("latency p99", 99), ("latency max", 100)] {
            let micros = latency(percent: percent)
            table.add([title, "\(micros / 1_000).\(String(1_000 + micros % 1_000).dropFirst()) ms"])
        }
        table.add(["throughput", "\(throughput)/s"])
        var lines = table.lines(style)
        if let refusal = book.firstRefusal { lines.append("the first error: \(refusal)") }
        lines += verdict.findings
        lines.append(style(exitCode == 0 ? .green : .red, conclusion))
        return lines
    }

    package var json: [UInt8] {
        var json = JSONText()
        json.object { json in
            json.member("name") { $0.string(name) }
            json.member("seed") { $0.string(String(settings.seed)) }
            for (title, number) in [
                ("actors", settings.actors), ("inFlight", settings.inFlight), ("calls", book.calls),
                ("acknowledged", book.acknowledged), ("errors", book.refused), ("unknown", book.unknown),
                ("lost", verdict.lost), ("doubled", verdict.doubled), ("undecided", verdict.undecided),
                ("latencyMicrosP50", latency(percent: 50)), ("latencyMicrosP99", latency(percent: 99)),
                ("latencyMicrosMax", latency(percent: 100)), ("callsPerSecond", throughput),
                ("tookMillis", Int(seconds * 1_000)),
            ] {
                json.member(title) { $0.raw(String(number)) }
            }
            if let error = book.firstRefusal { json.member("firstError") { $0.string(error) } }
            json.member("findings") { json in
                json.array { json in
                    for finding in verdict.findings { json.element { $0.string(finding) } }
                }
            }
            json.member("verdict") {
                $0.string(exitCode == 0 ? "ok" : exitCode == 1 ? "failed" : "undecided")
            }
        }
        return json.bytes
    }
}
