import ClientProtocol
import OperatorCommands

/// What a load came to, as text and as JSON.
package struct LoadReport: Sendable {
    package let settings: LoadSettings
    package let took: Duration
    package let book: LoadBook
    /// The arguments that ask the same again; nil if nobody knows.
    package var command: String?
    private let latencies: [Int]
    private let turnLatencies: [Int]
    private let lateness: [Int]

    static let percents = [50, 99, 100]

    package init(settings: LoadSettings, took: Duration, book: LoadBook) {
        self.settings = settings
        self.took = took
        self.book = book
        latencies = book.latencies.ranks(Self.percents)
        turnLatencies = book.turnLatencies.ranks(Self.percents)
        var late = Latencies()
        for micros in book.alarms.lateness { late.add(micros: micros) }
        lateness = late.ranks(Self.percents)
    }

    package var verdict: LoadVerdict { book.verdict }

    private var seconds: Double {
        Double(took.components.seconds) + Double(took.components.attoseconds) / 1e18
    }

    /// Acknowledged calls a second.
    package var throughput: Int { seconds > 0 ? Int(Double(book.acknowledged) / seconds) : 0 }

    package var conclusion: String {
        if !verdict.isClean { return "NOT everything that was acknowledged is there once" }
        if verdict.undecided > 0 { return "undecided: not all runs came to their end" }
        if book.acknowledged == 0 { return "undecided: nothing was acknowledged" }
        return "everything that was acknowledged is there, once"
    }

    /// 0 only if nothing was lost or doubled, and that is known.
    package var exitCode: Int32 {
        if !verdict.isClean { return 1 }
        return verdict.undecided > 0 || book.acknowledged == 0 ? 75 : 0
    }

    // MARK: Text

    package func lines(_ style: Style) -> [String] {
        var table = TextTable([("", .left), (book.name, .right)])
        func bad(_ title: String, _ count: Int, _ colour: Style.Colour) {
            table.add([TextTable.Cell(title), TextTable.Cell(String(count), count > 0 ? colour : nil)])
        }
        table.add(["calls", String(book.calls)])
        table.add(["acknowledged", String(book.acknowledged)])
        bad("errors", book.refused, .yellow)
        bad("outcome unknown", book.unknown, .yellow)
        bad("lost", verdict.lost, .red)
        bad("doubled", verdict.doubled, .red)
        bad("undecided", verdict.undecided, .yellow)
        table.add([TextTable.Cell("linearizable"), answer(verdict.isLinearizable)])
        table.add(["counters read back", String(book.counters.countersJudged)])
        table.add(["acknowledged for them", String(book.counters.acknowledgedTotal)])
        table.add(["found in them", String(book.counters.foundTotal)])
        if book.transfers.count > 0 {
            table.add(["transfers paid", String(book.transfers.count(.paid))])
            table.add(["overdrafts refused", String(book.transfers.count(.overdrawn))])
            table.add(["money expected", String(book.transfers.moneyExpected)])
            table.add(["money found", String(book.transfers.moneyFound)])
        }
        if book.alarms.count > 0 {
            table.add(["timers set", String(book.alarms.count(.set))])
            table.add(["timers fired", String(book.alarms.fired)])
            bad("timers missing", book.alarms.missing, .red)
            bad("timers fired twice", book.alarms.doubled, .red)
            bad("timers fired early", verdict.early, .red)
        }
        for (percent, micros) in zip(Self.percents, latencies) {
            table.add(["latency \(Self.rank(percent))", Self.millis(micros)])
        }
        if book.alarms.count > 0 {
            for (percent, micros) in zip(Self.percents, lateness) {
                table.add(["timers late \(Self.rank(percent))", Self.millis(micros)])
            }
        }
        table.add(["throughput", "\(throughput)/s"])
        var lines = table.lines(style)
        if let refusal = book.firstRefusal { lines.append("the first error: \(refusal)") }
        lines += verdict.findings
        if !verdict.isClean, let command { lines.append("the same again: \(command)") }
        lines.append(style(exitCode == 0 ? .green : .red, conclusion))
        return lines
    }

    private func answer(_ isSo: Bool) -> TextTable.Cell {
        TextTable.Cell(isSo ? "yes" : "NO", isSo ? nil : .red)
    }
    private static func rank(_ percent: Int) -> String { percent == 100 ? "max" : "p\(percent)" }
    private static func millis(_ micros: Int) -> String {
        "\(micros / 1_000).\(String(1_000 + micros % 1_000).dropFirst()) ms"
    }

    // MARK: JSON

    package var json: [UInt8] {
        var json = JSONText()
        json.object { json in
            json.member("name") { $0.string(book.name) }
            json.member("seed") { $0.string(String(settings.seed)) }
            json.numbers([
                ("actors", settings.actors), ("inFlight", settings.inFlight), ("calls", book.calls),
                ("acknowledged", book.acknowledged), ("errors", book.refused), ("unknown", book.unknown),
                ("lost", verdict.lost), ("doubled", verdict.doubled), ("early", verdict.early),
                ("contradictions", verdict.contradictions), ("undecided", verdict.undecided),
                ("countersRead", book.counters.countersJudged),
                ("totalAcknowledged", book.counters.acknowledgedTotal),
                ("totalFound", book.counters.foundTotal),
                ("latencyMicrosP50", latencies[0]), ("latencyMicrosP99", latencies[1]),
                ("latencyMicrosMax", latencies[2]), ("turnMicrosP50", turnLatencies[0]),
                ("turnMicrosP99", turnLatencies[1]), ("turnMicrosMax", turnLatencies[2]),
                ("callsPerSecond", throughput),
                ("tookMillis", Int(seconds * 1_000)),
            ])
            json.member("linearizable") { $0.raw(verdict.isLinearizable ? "true" : "false") }
            if book.transfers.count > 0 { json.member("transfers") { transferMembers(&$0) } }
            if book.alarms.count > 0 { json.member("timers") { timerMembers(&$0) } }
            if let error = book.firstRefusal { json.member("firstError") { $0.string(error) } }
            if let command { json.member("command") { $0.string(command) } }
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

    private func transferMembers(_ json: inout JSONText) {
        let transfers = book.transfers
        json.object { json in
            json.numbers([
                ("paid", transfers.count(.paid)), ("overdrawn", transfers.count(.overdrawn)),
                ("refused", transfers.count(.refused)), ("unknown", transfers.count(.unknown)),
                ("accounts", transfers.accountsJudged), ("moneyExpected", transfers.moneyExpected),
                ("moneyFound", transfers.moneyFound),
            ])
        }
    }

    private func timerMembers(_ json: inout JSONText) {
        let alarms = book.alarms
        json.object { json in
            json.numbers([
                ("set", alarms.count(.set)), ("fired", alarms.fired), ("missing", alarms.missing),
                ("doubled", alarms.doubled), ("early", verdict.early),
                ("latenessMicrosP50", lateness[0]), ("latenessMicrosP99", lateness[1]),
                ("latenessMicrosMax", lateness[2]),
            ])
        }
    }
}

extension JSONText {
    fileprivate mutating func numbers(_ members: [(String, Int)]) {
        for (name, number) in members { member(name) { $0.raw(String(number)) } }
    }
}
