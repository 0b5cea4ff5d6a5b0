import ApusClient
import HTTPCalls
import Identifiers
import OperatorCommands
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
        /// What goes on once no more calls are made; nil before.
        package var stage: String?
    }

    /// Workflows that move money; each does one transfer at a time.
    static let tellers = 16
    /// Timers that are set at once, beside the calls.
    private static let alarmsAtOnce = 256

    let settings: LoadSettings
    let connection: ApusConnection
    /// The nodes over plain HTTP, for operations under an idempotency key.
    let callers: [HTTPCaller]
    /// Where effects are recorded; nil if nobody is to be asked.
    let outside: NodeLocation?
    let program: Mutex<LoadProgram>
    let book: Mutex<LoadBook>
    let stage = Mutex<String?>(nil)
    /// Part of every actor's key, so that each load has actors of its own.
    package let name: String

    package convenience init(
        _ settings: LoadSettings, host: String, port: Int, outside: NodeLocation? = nil
    ) {
        let configuration = Self.configuration(settings)
        self.init(
            settings, ApusConnection(host: host, port: port, configuration: configuration),
            [HTTPCaller(host: host, port: port)], outside)
    }

    /// - Parameters:
    ///   - nodes: some nodes of a cluster.
    ///   - outside: where `outside-world` listens, which the nodes call.
    package convenience init(
        _ settings: LoadSettings, nodes: [NodeLocation], outside: NodeLocation? = nil
    ) throws(ClientConfigurationError) {
        self.init(
            settings,
            try ApusConnection(
                nodes: nodes.map(\.description), configuration: Self.configuration(settings)),
            nodes.map { HTTPCaller(host: $0.host, port: $0.port) }, outside)
    }

    private init(
        _ settings: LoadSettings, _ connection: ApusConnection, _ callers: [HTTPCaller],
        _ outside: NodeLocation?
    ) {
        self.settings = settings
        self.connection = connection
        self.callers = callers
        self.outside = outside
        program = Mutex(LoadProgram(settings))
        name = "load-\(settings.seed)-\(connection.session.description.prefix(8))"
        book = Mutex(LoadBook(name: name, settings: settings))
    }

    private static func configuration(_ settings: LoadSettings) -> ClientConfiguration {
        var configuration = ClientConfiguration()
        configuration.timeout = settings.patience
        // A node that comes back is to be found soon.
        configuration.backoffMax = .seconds(1)
        return configuration
    }

    /// Puts the load on the node, reads everything back, and judges.
    /// - Parameter watch: called about once a second.
    package func run(
        watch: @escaping @Sendable (Progress) -> Void = { _ in }
    ) async throws -> LoadReport {
        let clock = ContinuousClock()
        let start = clock.now
        let watcher = Task { [self] in
            while (try? await Task.sleep(for: .seconds(1))) != nil { watch(progress(since: start)) }
        }
        defer { watcher.cancel() }
        await withDiscardingTaskGroup { group in
            for _ in 0..<settings.inFlight { group.addTask { await self.work(since: start) } }
            for _ in 0..<min(settings.timers, Self.alarmsAtOnce) {
                group.addTask { await self.setAlarms(since: start) }
            }
        }
        let took = clock.now - start
        try await readBack(since: start)
        await connection.close()
        return LoadReport(settings: settings, took: took, book: book.withLock { $0 })
    }

    private func progress(since start: ContinuousClock.Instant) -> Progress {
        let begun = program.withLock { $0.begun }
        return book.withLock { book in
            Progress(
                elapsed: ContinuousClock.now - start, calls: book.calls, acknowledged: book.acknowledged,
                unanswered: max(0, begun - book.calls), stage: stage.withLock { $0 })
        }
    }

    private func work(since start: ContinuousClock.Instant) async {
        while settings.duration.map({ ContinuousClock.now - start < $0 }) ?? true {
            guard let operation = program.withLock({ $0.next() }) else { return }
            await perform(operation)
        }
    }

    private func setAlarms(since start: ContinuousClock.Instant) async {
        while let alarm = program.withLock({ $0.nextAlarm(after: ContinuousClock.now - start) }) {
            await perform(alarm)
        }
    }

    private func perform(_ operation: LoadOperation) async {
        let floor = book.withLock { $0.begin(operation) }
        let begin = ContinuousClock.now
        let outcome = await outcome(of: operation)
        book.withLock { $0.note(operation, outcome, took: ContinuousClock.now - begin, floor: floor) }
    }
}
