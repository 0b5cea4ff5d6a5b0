import Foundation
import OperatorCommands
import Synchronization
import Testing

@testable import LoadVerifier

extension ProcessTests {
    @Suite("The verifying load over a SIGKILL")
    struct VerifyingLoadTests {
        /// W30: timers that sleep over a restart fire once, and not early. W60, I20: transfers between actors
        /// are made once or not at all. A13: no change twice, by sequence or by idempotency key.
        @Test(
            "A13 W30 W60 I20 R6: counters, money and sleeping workflows are as the model says",
            .timeLimit(.minutes(2)))
        func killedOnce() async throws {
            try await ProcessFixture.with { fixture in
                let port = try ClusterFixture.freePorts(1)[0]
                let first = try await Self.start(fixture, port)
                let load = try LoadRun(
                    Self.settings, nodes: [NodeLocation(host: "127.0.0.1", port: port)],
                    outside: NodeLocation(host: "127.0.0.1", port: fixture.outsidePort))
                async let report = load.run()
                // All sleep, and calls are under way.
                let deadline = ContinuousClock.now + .seconds(60)
                while load.book.withLock({ $0.alarms.count(.set) < 60 || $0.acknowledged < 200 }) {
                    try #require(ContinuousClock.now < deadline, "the load does not get on")
                    try await Task.sleep(for: .milliseconds(5))
                }
                first.send(SIGKILL)
                try await first.waitForEnd()
                let second = try await Self.start(fixture, port)
                Self.judge(try await report)
                try await second.terminateAtOnce()
            }
        }

        private static var settings: LoadSettings {
            var settings = LoadSettings()
            settings.seed = UInt64.random(in: 0..<1_000_000)
            settings.actors = 40
            settings.inFlight = 24
            settings.keyedPercent = 10
            settings.transfersPercent = 30
            settings.accounts = 4
            settings.ordersPercent = 3
            settings.timers = 60
            settings.timersDue = .seconds(1) ... .seconds(3)
            settings.operationsMax = 1_200
            return settings
        }

        private static func start(_ fixture: ProcessFixture, _ port: Int) async throws -> ChildProcess {
            let process = try fixture.spawnNode(listen: "127.0.0.1:\(port)")
            _ = try await process.line(containing: "listening on ", within: .seconds(60))
            return process
        }

        private static func judge(_ report: LoadReport) {
            let book = report.book
            let again = "seed \(report.settings.seed): \(report.lines(.plain).joined(separator: "\n"))"
            #expect(report.exitCode == 0, "\(again)")
            #expect(
                book.unknown == 0 && book.counters.foundTotal == book.counters.acknowledgedTotal, "\(again)")
            #expect(book.transfers.count(.paid) > 0 && book.transfers.count(.overdrawn) > 0, "\(again)")
            #expect(book.transfers.moneyFound == book.transfers.moneyExpected, "\(again)")
            #expect(book.alarms.fired == 60, "\(again)")
        }
    }
}
