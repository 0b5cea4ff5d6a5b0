import ArgumentParser
import Foundation
import Testing

@testable import ChaosProbe
@testable import LoadVerifier

/// Evidence by hand; a second is a million.
private func call(
    _ actor: Int, _ delta: Int?, _ total: Int?, began: Double, ended: Double, tried: Double? = nil,
    client: Int = 0
) -> ProbeCall {
    ProbeCall(
        actor: actor, round: 0, client: client, delta: delta, began: Int64(began * 1e6),
        tried: Int64((tried ?? began) * 1e6), ended: Int64(ended * 1e6), attempts: 1, total: total)
}

private func fault(_ second: Double, _ fault: String, _ act: String, _ node: String = "node1") -> FaultLine {
    FaultLine(at: Int64(second * 1e3), fault: fault, act: act, node: node)
}

private func load(
    lost: Int = 0, doubled: Int = 0, early: Int = 0, contradictions: Int = 0, undecided: Int = 0,
    acknowledged: Int = 10
) -> LoadFigures {
    LoadFigures(
        name: "load-1", calls: acknowledged, acknowledged: acknowledged, errors: 0, unknown: 0, lost: lost,
        doubled: doubled, early: early, contradictions: contradictions, undecided: undecided, countersRead: 4,
        totalAcknowledged: 50, totalFound: 50, latencyMicrosP50: 1, latencyMicrosP99: 2, latencyMicrosMax: 3,
        transfers: .init(paid: 6, overdrawn: 2, moneyExpected: 400, moneyFound: 400),
        timers: .init(
            set: 9, fired: 9, missing: 0, doubled: 0, early: early, latenessMicrosP50: 20_000,
            latenessMicrosP99: 1_000_000, latenessMicrosMax: 2_000_000),
        firstError: lost > 0 ? "node.starting" : nil, findings: lost > 0 ? ["lost: counter 3"] : [],
        verdict: "")
}

private let calm = [call(0, 2, 2, began: 1, ended: 1.1), call(0, nil, 2, began: 2, ended: 2.1)]

private func report(
    _ loads: [LoadFigures] = [load()], silent: [String] = [], faults: [FaultLine] = [],
    calls: [ProbeCall] = calm
) -> ChaosReport {
    ChaosReport(facts: [("seed", "7")], loads: loads, silentLoads: silent, faults: faults, calls: calls)
}

@Suite("The verdict of a chaos run")
struct ChaosReportTests {
    @Test func aCleanRunEndsWithZero() {
        let clean = report(faults: [fault(1, "kill", "inject"), fault(1.5, "kill", "heal")])
        #expect(clean.exitCode == 0 && clean.doubts.isEmpty)
        #expect(clean.markdown.contains("| linearizable | yes |"))
        #expect(clean.markdown.contains("| seed | 7 |"))
    }

    @Test func anythingLostOrDoubledEndsWithOne() {
        #expect(report([load(), load(lost: 1)]).exitCode == 1)
        #expect(report([load(doubled: 1), load()]).exitCode == 1)
        #expect(report([load(), load(early: 1)]).exitCode == 1)
        #expect(report([load(contradictions: 1)]).exitCode == 1)
        #expect(report([load(contradictions: 1)]).markdown.contains("| linearizable | **no** |"))
        #expect(report([load(lost: 1)]).markdown.contains("- lost: counter 3"))
        #expect(report([load(lost: 1)]).markdown.contains("- the first error of load-1: node.starting"))
    }

    @Test func moneyAndTimersOfAllLoadsAreTold() {
        let text = report([load(), load(early: 1)]).markdown
        for line in [
            "| counters read back | 8 |",
            "| sum of their acknowledged changes, and what they hold | 100, 100 |",
            "| transfers paid | 12 |", "| overdrafts refused | 4 |",
            "| money in the beginning, in the end | 800, 800 |", "| timers set, fired | 18, 18 |",
            "| timers missing, twice, early | 0, 0, 1 |", "| timers late, p50 of the worst load | 0.02 s |",
        ] { #expect(text.contains(line), "\(text)") }
    }

    /// R17: an answer that is older than what somebody has heard already is a contradiction.
    @Test func aStaleAnswerEndsWithOne() {
        let stale = calm + [call(0, nil, 0, began: 3, ended: 3.1, client: 1)]
        #expect(report(calls: stale).exitCode == 1)
        #expect(report(calls: stale).markdown.contains("| linearizable | **no** |"))
        let concurrent = calm + [call(0, nil, 0, began: 0.9, ended: 3.1, client: 1)]
        #expect(report(calls: concurrent).exitCode == 0)
    }

    /// A13: what was never answered may have happened, once.
    @Test func anUnknownOutcomeMayExplainOneTotalAndNotTwo() {
        let unknown = calm + [call(0, 5, nil, began: 3, ended: 9, client: 1)]
        let once = unknown + [call(0, 1, 8, began: 10, ended: 10.1)]
        let twice = unknown + [call(0, 1, 13, began: 10, ended: 10.1)]
        #expect(report(calls: once).exitCode == 0)
        #expect(report(calls: twice).exitCode == 1)
    }

    @Test func whatIsNotKnownEndsWith75() {
        #expect(report([load(undecided: 1)]).exitCode == 75)
        #expect(report([load(acknowledged: 0)]).exitCode == 75)
        #expect(report([load()], silent: ["load2.json"]).exitCode == 75)
        #expect(report(calls: []).exitCode == 75)
        #expect(report(faults: [fault(1, "pause", "not-whole")]).exitCode == 75)
        #expect(report([load(lost: 1, undecided: 1)]).exitCode == 1)
    }

    @Test func anActorThatIsNeverServedAgainIsNoRecovery() {
        let end = report(faults: [fault(5, "kill", "inject")])
        #expect(end.exitCode == 75 && end.doubts.contains { $0.contains("not served again") })
    }

    @Test func theWaitGoesFromTheFaultToTheFirstSuccessBegunAfterIt() {
        let calls = [
            // Served by another node all the time.
            call(0, 1, 1, began: 9.9, ended: 9.95), call(0, 1, 2, began: 10.05, ended: 10.1),
            // Under way when its node was killed, and repeated until 13.
            call(1, 1, 1, began: 9.99, ended: 13, tried: 12.9), call(1, 1, 2, began: 13.1, ended: 13.2),
            // Interrupted for 2 s.
            call(2, 1, 1, began: 9, ended: 9.1), call(2, 1, 2, began: 10.1, ended: 12, tried: 11.9),
        ]
        let faults = [fault(10, "kill", "inject"), fault(20, "kill", "heal")]
        let outage = report(faults: faults, calls: calls).outages[0]
        #expect(outage.strikes == 1 && outage.waits == [2_000_000, 3_000_000] && outage.unserved == 0)
        #expect(outage.wait(percent: 50) == 2_000_000 && outage.wait(percent: 99) == 3_000_000)
        #expect(outage.longestCall == 3_010_000)
    }

    @Test func aFaultBeginsWhenItStruck() {
        let calls = [call(0, 1, 1, began: 11, ended: 11.1), call(0, 1, 2, began: 12.1, ended: 14)]
        let faults = [
            fault(10, "kill-in-fsync", "inject"), fault(12, "kill-in-fsync", "struck"),
            fault(13, "kill-in-fsync", "heal"),
        ]
        let report = report(faults: faults, calls: calls)
        #expect(report.outages[0].waits == [2_000_000])
        #expect(report.markdown.contains("| failover after a killed node, p50 | 2.00 s |"))
    }

    @Test func whatALoadPrintsIsUnderstood() throws {
        var settings = LoadSettings()
        settings.accounts = 2
        var book = LoadBook(settings: settings)
        book.note(.increment(counter: 0, by: 3), .acknowledged(total: 3), took: .milliseconds(2))
        let transfer = LoadTransfer(number: 0, from: 0, to: 1, amount: 7, way: .byCalls)
        _ = book.begin(.transfer(transfer))
        book.note(.transfer(transfer), .overdrawn, took: .zero)
        book.note(.alarm(number: 0, delayMillis: 5), .acknowledged(total: 0), took: .zero)
        let alarm = VerifiedAlarm(setAt: 0, dueAt: 5_000, firedAt: [4_000])
        book.alarms.judge(0, "verifyAlarm/load/0", alarm, &book.verdict)
        let json = LoadReport(settings: settings, took: .seconds(1), book: book).json
        let figures = try JSONDecoder().decode(LoadFigures.self, from: Data(json))
        #expect(figures.acknowledged == 3 && figures.totalAcknowledged == 3 && figures.early == 1)
        #expect(figures.transfers?.overdrawn == 1 && figures.timers?.fired == 1)
        #expect(figures.findings.count == 1 && figures.verdict == "failed")
    }

    @Test func filesAreReadAndAGarbledOneIsNamed() throws {
        let directory = NSTemporaryDirectory() + "apus-probe-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        func write(_ name: String, _ text: String) throws -> String {
            try text.write(toFile: "\(directory)/\(name)", atomically: false, encoding: .utf8)
            return "\(directory)/\(name)"
        }
        let faults = try write("faults", #"{"at":1000,"fault":"kill","act":"inject","node":"node1"}"# + "\n")
        let line = String(decoding: try JSONEncoder().encode(calm[0]), as: UTF8.self)
        let calls = try write("calls", line + "\n")
        let silent = try write("load1.json", "")
        let arguments = ["--faults", faults, "--calls", calls, "--load", silent, "--fact", "seed=7=8"]
        let report = try ProbeCommand.Report.parse(arguments).report()
        #expect(report.faults.count == 1 && report.probes == 1 && report.silentLoads == ["load1.json"])
        #expect(report.facts.map(\.value) == ["7=8"])
        _ = try write("calls", line + "\n{\n")
        #expect(throws: JSONLines.Unreadable(file: calls, line: 2)) {
            try ProbeCommand.Report.parse(arguments).report()
        }
    }
}
