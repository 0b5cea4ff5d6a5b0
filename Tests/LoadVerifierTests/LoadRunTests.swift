import Apus
import ClientGateway
import ClientProtocol
import FakeActors
import Foundation
import Identifiers
import Logging
import NodeAssembly
import OperatorCommands
import Synchronization
import Testing

@testable import LoadVerifier

/// The announced programs, without an outside world.
private struct Counter: DurableActor {
    struct State: DurableState { var count = 0 }
    struct Change: Codable, Sendable { var delta: Int }
    struct Total: Codable, Sendable { var count: Int }
    struct Queues: Declarations { let requests = CompletableQueue<Change, Total>() }
    struct Actions: Declarations {
        let increment = Action<Int, Int> { turn, amount in
            turn.state.count += amount
            return turn.state.count
        }
    }

    func run(_ workflow: inout Workflow<Self>) async throws {
        try await workflow.loop("requests") { loop in
            let change = try await loop.next("take", from: \.requests)
            try await loop.turn("apply", answering: change) { turn in
                turn.state.count += change.body.delta
                return Total(count: turn.state.count)
            }
        }
    }
}

private struct Order: DurableActor {
    struct State: DurableState { var status = "pending" }
    struct Approval: Codable, Sendable { var approved: Bool }
    struct Queues: Declarations { let approval = Queue<Approval>() }

    func run(_ workflow: inout Workflow<Self>) async throws {
        let decision = try await workflow.next("approval", from: \.approval)
        try await workflow.turn("decide") { turn in
            turn.state.status = decision.body.approved ? "fulfilled" : "cancelled"
        }
    }
}

private struct Shop: Registry {
    let counter = Counter()
    let order = Order()
}

/// Counters of a service that does one change wrong.
private final class FaultyService: ActorService {
    enum Fault { case none, doubles, loses }

    private let honest = FakeActorService()
    private let fault: Fault
    private let count = Atomic<Int>(0)

    init(_ fault: Fault) { self.fault = fault }

    var kinds: [String] { honest.kinds }

    func submit(
        _ request: ActorRequest, reply: @escaping @Sendable (Result<ActorReply, ActorError>) -> Void
    ) -> RequestToken {
        let token = honest.submit(request, reply: reply)
        guard case .action(let name, let input) = request.operation, name == "increment" else { return token }
        guard count.add(1, ordering: .relaxed).newValue == 50, fault != .none else { return token }
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

    @Test("A13 W33 R17: a node passes, with counters by action and message, and with orders")
    func aNodePasses() async throws {
        let directory = NSTemporaryDirectory() + "apus-load-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let node = try await Node.start(
            Shop(), configuration: NodeConfiguration(dataDirectory: directory, port: 0), logger: quiet
        ) { error in Issue.record("the journal failed: \(error)") }
        var settings = settings
        settings.ordersPercent = 10
        let report = try await LoadRun(settings, host: "127.0.0.1", port: node.port).run()
        #expect(report.book.acknowledged == 400)
        #expect(report.verdict == LoadVerdict())
        #expect(report.book.orderNumbers.count > 10)
        #expect(report.exitCode == 0)
        try await node.stop()
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
        #expect(report.verdict.lost == (fault == .loses ? 1 : 0), "\(report.verdict)")
        #expect(report.exitCode == (fault == .none ? 0 : 1))
        await gateway.stop(within: .zero)
    }

    @Test func theReportSaysWhatWasFound() async throws {
        let gateway = try await ClientGateway.start(
            service: FaultyService(.doubles), host: "127.0.0.1", port: 0, logger: quiet)
        var settings = settings
        settings.requestsPercent = 0
        let report = try await LoadRun(settings, host: "127.0.0.1", port: gateway.port).run()
        await gateway.stop(within: .zero)
        let text = report.lines(.plain).joined(separator: "\n")
        for words in ["calls", "latency p99", "throughput", "doubled: counter", "NOT everything"] {
            #expect(text.contains(words), "\(text)")
        }
        let members = try JSONSlice.members(of: report.json.span)
        #expect(members["doubled"]?.integer(in: report.json.span) == 1)
        #expect(members["verdict"]?.string(in: report.json.span) == "failed")
    }
}
