import ApusClient
import ClientProtocol
import Identifiers
import Synchronization

/// Why there is no verdict.
package struct LoadFailure: Error, Hashable, Sendable, CustomStringConvertible {
    package var description: String
}

/// One load on a node or a cluster, from its first call to the verdict.
package final class LoadRun: Sendable {
    /// A look at a load that goes on.
    package struct Progress: Sendable {
        package var elapsed: Duration
        package var calls: Int
        package var acknowledged: Int
        package var unanswered: Int
    }

    private let settings: LoadSettings
    private let connection: ApusConnection
    private let program: Mutex<LoadProgram>
    private let book = Mutex(LoadBook())
    /// Part of every actor's key, so that each load has actors of its own.
    package let name: String

    package convenience init(_ settings: LoadSettings, host: String, port: Int) {
        let configuration = Self.configuration(settings)
        self.init(settings, ApusConnection(host: host, port: port, configuration: configuration))
    }

    /// - Parameter nodes: `http://HOST:PORT` of some nodes of a cluster.
    package convenience init(_ settings: LoadSettings, nodes: [String]) throws(ClientConfigurationError) {
        self.init(
            settings, try ApusConnection(nodes: nodes, configuration: Self.configuration(settings)))
    }

    private init(_ settings: LoadSettings, _ connection: ApusConnection) {
        self.settings = settings
        self.connection = connection
        program = Mutex(LoadProgram(settings))
        name = "load-\(settings.seed)-\(connection.session.description.prefix(8))"
    }

    private static func configuration(_ settings: LoadSettings) -> ClientConfiguration {
        var configuration = ClientConfiguration()
        configuration.timeout = settings.patience
        // A node that comes back is to be found soon.
        configuration.backoffMax = .seconds(1)
        return configuration
    }

    package var progressOfCalls: (begun: Int, ended: Int, acknowledged: Int) {
        let (ended, acknowledged) = book.withLock { ($0.calls, $0.acknowledged) }
        return (program.withLock { $0.count }, ended, acknowledged)
    }

    /// Puts the load on the node, reads everything back, and judges.
    /// - Parameter watch: called about once a second while calls go on.
    package func run(
        watch: @escaping @Sendable (Progress) -> Void = { _ in }
    ) async throws -> LoadReport {
        let clock = ContinuousClock()
        let start = clock.now
        let watcher = Task { [self] in
            while (try? await Task.sleep(for: .seconds(1))) != nil {
                let calls = progressOfCalls
                watch(
                    Progress(
                        elapsed: clock.now - start, calls: calls.ended, acknowledged: calls.acknowledged,
                        unanswered: calls.begun - calls.ended))
            }
        }
        defer { watcher.cancel() }
        await withDiscardingTaskGroup { group in
            for _ in 0..<settings.inFlight { group.addTask { await self.work(since: start) } }
        }
        watcher.cancel()
        let took = clock.now - start
        let book = book.withLock { $0 }
        let totals = try await readBack(book.counterNumbers) { try await self.total(of: $0) }
        let ends = try await readBack(book.orderNumbers) { try await self.end(of: $0) }
        await connection.close()
        return LoadReport(
            name: name, settings: settings, took: took, book: book,
            verdict: book.verdict(totals: totals, ends: ends))
    }

    private func work(since start: ContinuousClock.Instant) async {
        while settings.duration.map({ ContinuousClock.now - start < $0 }) ?? true {
            guard let operation = program.withLock({ $0.next() }) else { return }
            let begin = ContinuousClock.now
            let outcome = await perform(operation)
            book.withLock { $0.note(operation, outcome, took: ContinuousClock.now - begin) }
        }
    }

    /// The connection repeats what a lost connection left open, under the same sequence (A13).
    private func perform(_ operation: LoadOperation) async -> LoadBook.Outcome {
        do {
            switch operation {
            case .increment(let counter, let amount):
                let output = try await connection.call(
                    try address("counter", counter), "increment", Payload("\(amount)"))
                return .acknowledged(total: try whole(output))
            case .request(let counter, let amount):
                let response = try await connection.request(
                    try address("counter", counter), "requests", Payload("{\"delta\":\(amount)}"),
                    timeout: settings.patience)
                guard let response else { return .unknown("no response within \(settings.patience)") }
                return .acknowledged(total: try whole(response, member: "count"))
            case .decide(let order, let isApproved):
                let body = Payload("{\"approved\":\(isApproved)}")
                try await connection.send(try address("order", order), "approval", body)
                return .acknowledged(total: 0)
            }
        } catch let error as ClientError {
            // A sequence that the actor has forgotten says nothing about its first execution.
            guard case .actor(let refusal) = error, refusal != .sessionExpired else {
                return .unknown(error.description)
            }
            return .refused(error.description)
        } catch { return .unknown("\(error)") }
    }

    private func address(_ kind: String, _ number: Int) throws(AddressError) -> ActorAddress {
        ActorAddress(kind: try ActorKind(kind), key: try ActorKey([name, String(number)]))
    }

    // MARK: Reading back

    /// Looks at actors, as many at once as calls were.
    private func readBack<Value: Sendable>(
        _ numbers: [Int], _ look: @escaping @Sendable (Int) async throws -> Value?
    ) async throws -> [Int: Value] {
        let width = settings.inFlight
        return try await withThrowingTaskGroup(of: [(Int, Value)].self) { group in
            for first in 0..<min(width, numbers.count) {
                group.addTask {
                    var found: [(Int, Value)] = []
                    for place in stride(from: first, to: numbers.count, by: width) {
                        if let value = try await look(numbers[place]) {
                            found.append((numbers[place], value))
                        }
                    }
                    return found
                }
            }
            var all: [Int: Value] = [:]
            for try await found in group { for (number, value) in found { all[number] = value } }
            return all
        }
    }

    private func members(_ kind: String, _ number: Int) async throws -> [String: Payload]? {
        do {
            return try objectMembers(try await connection.describe(try address(kind, number)))
        } catch ClientError.actor(let error) where error.code == "not_found" {
            return nil
        } catch let error as ClientError {
            throw LoadFailure(description: "\(kind) \(number) cannot be read back: \(error)")
        }
    }

    private func total(of counter: Int) async throws -> Int? {
        guard let state = try await members("counter", counter)?["state"] else { return nil }
        return try whole(state, member: "count")
    }

    /// Waits for the end of an order's run.
    private func end(of order: Int) async throws -> LoadBook.OrderEnd? {
        let deadline = ContinuousClock.now + settings.patience
        while true {
            guard let order = try await members("order", order) else { return nil }
            let run = text(try objectMembers(order["run"] ?? Payload("{}"))["status"])
            let hasEnded = ["completed", "failed", "cancelled", "stalled"].contains(run)
            if hasEnded || ContinuousClock.now >= deadline {
                let queues = try objectMembers(order["queues"] ?? Payload("{}"))
                return LoadBook.OrderEnd(
                    runStatus: run,
                    status: text(try objectMembers(order["state"] ?? Payload("{}"))["status"]),
                    messagesLeft: try queues.values.reduce(0) { $0 + (try whole($1)) })
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    // MARK: JSON

    private func objectMembers(_ object: Payload) throws -> [String: Payload] {
        do throws(JSONError) {
            return try JSONSlice.members(of: object.bytes.span).mapValues {
                $0.payload(in: object.bytes.span)
            }
        } catch { throw LoadFailure(description: "the node answered \(object.text): \(error)") }
    }

    private func whole(_ value: Payload, member: String? = nil) throws -> Int {
        let value = try member.map { try objectMembers(value)[$0] ?? .null } ?? value
        guard let number = JSONSlice(place: 0..<value.bytes.count).integer(in: value.bytes.span) else {
            throw LoadFailure(description: "the node answered \(value.text) in place of a total")
        }
        return Int(number)
    }

    private func text(_ value: Payload?) -> String {
        guard let value else { return "absent" }
        return JSONSlice(place: 0..<value.bytes.count).string(in: value.bytes.span) ?? value.text
    }
}
