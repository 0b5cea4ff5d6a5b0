import AnnouncedPrograms
import ClientGateway
import ClientProtocol
import FakeActors
import Foundation
import Identifiers
import Logging
import NodeAssembly
import OperatorCommands
import OutsideWorldServer
import Synchronization
import Testing

@testable import LoadVerifier

/// Counters of a service that does one change wrong.
private final class FaultyService: ActorService {
    enum Fault {
        case none, doubles, loses
        /// Performs what comes under an idempotency key, and leaves every other one without an answer.
        case swallows
    }

    private let honest = FakeActorService()
    private let fault: Fault
    private let count = Atomic<Int>(0)
    private let keyed = Atomic<Int>(0)

    init(_ fault: Fault) { self.fault = fault }

    var kinds: [String] { honest.kinds }

    func submit(
        _ request: ActorRequest, reply: @escaping @Sendable (Result<ActorReply, ActorError>) -> Void
    ) -> RequestToken {
        if fault == .swallows, case .key = request.identity,
            keyed.add(1, ordering: .relaxed).newValue % 2 == 1
        {
            return honest.submit(request) { _ in reply(.failure(.moved)) }
        }
        let token = honest.submit(request, reply: reply)
        guard case .action(let name, let input) = request.operation, name == "increment" else { return token }
        guard count.add(1, ordering: .relaxed).newValue == 50, fault == .doubles || fault == .loses else {
            return token
        }
        var again = request
        again.identity = nil
        if fault == .loses { again.operation = .action(name, input: Payload("-" + input.text)) }
        honest.submit(again) { _ in }
        return token
    }

    func abandon(_ token: RequestToken) { honest.abandon(token) }
    func subscribe(
        to event: String, of actor: ActorAddress, deliver: @escaping @Sendable (EventDelivery) -> Void
    ) throws(ActorError) -> SubscriptionID {
        try honest.subscribe(to: event, of: actor, deliver: deliver)
    }
    func unsubscribe(_ subscription: SubscriptionID) { honest.unsubscribe(subscription) }
    func status() async -> Payload { await honest.status() }
    func list(kind: String?, after: ActorAddress?, limit: Int) async throws(ActorError) -> Payload {
        try await honest.list(kind: kind, after: after, limit: limit)
    }
}

@Suite("A load on a real socket")
struct LoadRunTests {
    private var quiet: Logger {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return logger
    }

    private var settings: LoadSettings {
        var settings = LoadSettings()
        settings.actors = 7
        settings.inFlight = 16
        settings.operationsMax = 400
        return settings
    }

    @Test("A13 W33 W60 W30 R17: a node passes with all that is asked of it")
    func aNodePasses() async throws {
        let directory = NSTemporaryDirectory() + "apus-load-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let world = try await OutsideWorldServer.start(port: 0)
        let outside = NodeLocation(host: "127.0.0.1", port: world.port)
        let node = try await Node.start(
            AnnouncedRegistry(outside: Outside(base: outside.description)),
            configuration: NodeConfiguration(dataDirectory: directory, port: 0), logger: quiet
        ) { error in Issue.record("the journal failed: \(error)") }
        var settings = settings
        settings.operationsMax = 600
        settings.ordersPercent = 5
        settings.transfersPercent = 25
        settings.keyedPercent = 10
        settings.accounts = 2
        settings.timers = 30
        settings.timersDue = .zero ... .milliseconds(500)
        let report = try await LoadRun(settings, host: "127.0.0.1", port: node.port, outside: outside).run()
        let book = report.book
        #expect(book.acknowledged == 630, "\(book.firstRefusal ?? "")")
        #expect(report.verdict == LoadVerdict())
        #expect(book.orderNumbers.count > 10)
        #expect(book.counters.countersJudged == 7)
        #expect(book.counters.foundTotal == book.counters.acknowledgedTotal)
        let transfers = book.transfers
        #expect(transfers.banks == 2 && transfers.count(.paid) > 20 && transfers.count(.overdrawn) > 20)
        #expect(transfers.moneyFound == 400 && transfers.moneyExpected == 400)
        #expect(book.alarms.fired == 30 && book.alarms.lateness.count == 30)
        #expect(world.calls.count { $0.path.hasPrefix("/verify/alarms/\(book.name)/") } >= 30)
        #expect(report.exitCode == 0)
        try await node.stop()
        try await world.stop()
    }

    @Test("A service that does one change twice, or not at all, fails", arguments: [0, 1, 2])
    func aFaultIsFound(number: Int) async throws {
        let fault = [FaultyService.Fault.none, .doubles, .loses][number]
        let gateway = try await ClientGateway.start(
            service: FaultyService(fault), host: "127.0.0.1", port: 0, logger: quiet)
        var settings = settings
        settings.requestsPercent = 0
        let report = try await LoadRun(settings, host: "127.0.0.1", port: gateway.port).run()
        #expect(report.book.acknowledged == 400)
        #expect(report.verdict.doubled == (fault == .doubles ? 1 : 0), "\(report.verdict)")
        // Each change that goes over what was lost shows it.
        #expect((report.verdict.lost > 0) == (fault == .loses), "\(report.verdict)")
        #expect(report.exitCode == (fault == .none ? 0 : 1))
        await gateway.stop(within: .zero)
    }

    @Test("A13: what has no answer is asked again under the same idempotency key, and so happens once")
    func askedAgain() async throws {
        let gateway = try await ClientGateway.start(
            service: FaultyService(.swallows), host: "127.0.0.1", port: 0, logger: quiet)
        var settings = settings
        settings.operationsMax = 150
        settings.requestsPercent = 0
        settings.keyedPercent = 40
        let report = try await LoadRun(settings, host: "127.0.0.1", port: gateway.port).run()
        #expect(report.book.acknowledged == 150 && report.book.unknown == 0)
        #expect(report.verdict == LoadVerdict())
        #expect(report.book.counters.foundTotal == report.book.counters.acknowledgedTotal)
        await gateway.stop(within: .zero)
    }

    @Test func theReportSaysWhatWasFound() async throws {
        let gateway = try await ClientGateway.start(
            service: FaultyService(.doubles), host: "127.0.0.1", port: 0, logger: quiet)
        var settings = settings
        settings.requestsPercent = 0
        var report = try await LoadRun(settings, host: "127.0.0.1", port: gateway.port).run()
        report.command = "apus-load --seed 1"
        await gateway.stop(within: .zero)
        let text = report.lines(.plain).joined(separator: "\n")
        for words in [
            "calls", "latency p99", "throughput", "doubled: counter/load-1", "expected", "NOT everything",
            "the same again: apus-load --seed 1",
        ] {
            #expect(text.contains(words), "\(text)")
        }
        let members = try JSONSlice.members(of: report.json.span)
        #expect(members["doubled"]?.integer(in: report.json.span) == 1)
        #expect(members["linearizable"]?.boolean(in: report.json.span) == true)
        #expect(members["verdict"]?.string(in: report.json.span) == "failed")
    }
}
