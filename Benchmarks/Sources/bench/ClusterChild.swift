import ClientProtocol
import Foundation
import Identifiers
import Logging
import MeshProtocol
import NodeAssembly
import Synchronization

/// What a node of the bench's cluster tells about itself.
struct NodeFigures: Codable {
    var runsEnded: UInt64 = 0
    var steps: UInt64 = 0
    var records: UInt64 = 0
    var recordBytes: UInt64 = 0
    var meshBytes: UInt64 = 0
    var journalCommits: UInt64 = 0
    var times = ThreadTimes()

    static func + (a: NodeFigures, b: NodeFigures) -> NodeFigures {
        NodeFigures(
            runsEnded: a.runsEnded + b.runsEnded, steps: a.steps + b.steps, records: a.records + b.records,
            recordBytes: a.recordBytes + b.recordBytes, meshBytes: a.meshBytes + b.meshBytes,
            journalCommits: a.journalCommits + b.journalCommits, times: a.times + b.times)
    }

    func since(_ earlier: NodeFigures) -> NodeFigures {
        NodeFigures(
            runsEnded: runsEnded - earlier.runsEnded, steps: steps - earlier.steps,
            records: records - earlier.records, recordBytes: recordBytes - earlier.recordBytes,
            meshBytes: meshBytes - earlier.meshBytes, journalCommits: journalCommits - earlier.journalCommits,
            times: times.since(earlier.times))
    }
}

/// What the bench tells one of its nodes, one line of JSON each; each is answered by one line.
enum NodeOrder: Codable {
    /// An operator's command, as at `/cluster/…`.
    case administer(String, String)
    /// Starts so many runs that nobody waits for.
    case start(kind: String, prefix: String, count: Int)
    /// Asks for so many runs, so many a second, and tells how long each took to its answer.
    case paced(prefix: String, count: Int, perSecond: Double)
    /// Fills so many actors with so many bytes each.
    case fill(prefix: String, count: Int, bytes: Int)
    case figures
}

/// One node of the bench's cluster, in a process of its own, ordered about over its standard input.
enum ClusterChild {
    static func run(_ arguments: [String]) async throws {
        guard arguments.count >= 3, let port = Int(arguments[1]), let meshPort = UInt16(arguments[2]) else {
            throw BenchError("node DIR PORT MESH-PORT [JOURNAL-BYTES]")
        }
        var logger = Logger(label: "bench")
        let level = ProcessInfo.processInfo.environment["BENCH_LOG"].flatMap { Logger.Level(rawValue: $0) }
        logger.logLevel = level ?? .error
        let cluster = ClusterConfiguration(
            mesh: MeshAddress(host: "127.0.0.1", port: meshPort),
            journalBytesMax: arguments.count > 3 ? Int(arguments[3]) : nil)
        let node = try await MemberNode.start(
            BenchRegistry(), configuration: NodeConfiguration(dataDirectory: arguments[0], port: port),
            cluster: cluster, logger: logger, say: { _ in }, onFailure: { fatalError("\($0)") })
        tell("ready")
        for await line in lines() {
            let answer: String
            do {
                answer = try await perform(
                    try JSONDecoder().decode(NodeOrder.self, from: Data(line.utf8)), node)
            } catch {
                answer = "error: \(error)".replacingOccurrences(of: "\n", with: " ")
            }
            tell(answer)
        }
        await node.stop()
    }

    private static func tell(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }

    private static func lines() -> AsyncStream<String> {
        AsyncStream { continuation in
            let thread = Thread {
                while let line = readLine() { continuation.yield(line) }
                continuation.finish()
            }
            thread.start()
        }
    }

    private static func perform(_ order: NodeOrder, _ node: MemberNode) async throws -> String {
        switch order {
        case .administer(let name, let body):
            let operations: [String: ClusterOperation] = [
                "describe": .describe, "init": .initialize, "join": .join, "token": .createToken,
                "down": .down, "partitions": .partitions,
            ]
            guard let operation = operations[name] else { throw BenchError("no such command: \(name)") }
            return try await node.administrator.perform(operation, Payload(body)).text
        case .start(let kind, let prefix, let count):
            try await all(count, window: count) { index in
                ActorRequest(
                    target: try BenchNode.address(kind, prefix + String(index)),
                    operation: .getOrCreate(input: nil))
            } at: {
                node.requests
            }
            return "done"
        case .paced(let prefix, let count, let perSecond):
            let micros = try await paced(prefix, count, perSecond, node.requests)
            return String(decoding: try JSONEncoder().encode(micros), as: UTF8.self)
        case .fill(let prefix, let count, let bytes):
            try await all(count, window: 64) { index in
                ActorRequest(
                    target: try BenchNode.address("blob", prefix + String(index)),
                    operation: .action("fill", input: Payload("\(bytes)")))
            } at: {
                node.requests
            }
            return "done"
        case .figures:
            return String(decoding: try JSONEncoder().encode(try await figures(node)), as: UTF8.self)
        }
    }

    private static func figures(_ node: MemberNode) async throws -> NodeFigures {
        let status = try JSONSerialization.jsonObject(with: Data(await node.requests.status().bytes))
        func number(_ name: String) -> UInt64 { UInt64((status as? [String: Any])?[name] as? Int ?? 0) }
        var figures = NodeFigures(runsEnded: number("runsEnded"), steps: number("steps"), times: .now())
        if let traffic = node.traffic {
            figures.records = traffic.records
            figures.recordBytes = traffic.recordBytes
            figures.meshBytes = traffic.meshBytes
            figures.journalCommits = traffic.journalCommits
        }
        return figures
    }

    /// Performs all requests, so many at the same time.
    private static func all(
        _ count: Int, window: Int, _ request: @Sendable @escaping (Int) throws -> ActorRequest,
        at service: () -> any ActorService
    ) async throws {
        let crowd = Crowd(count: count, service: service(), request: request)
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            crowd.whenDone { continuation.resume() }
            for _ in 0..<min(window, count) { crowd.next() }
        }
        if let failure = crowd.failure.withLock({ $0 }) { throw BenchError(failure) }
    }

    private static func paced(
        _ prefix: String, _ count: Int, _ perSecond: Double, _ service: any ActorService
    ) async throws -> [Double] {
        let samples = Samples()
        let began = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<count {
                try await Task.sleep(until: began + .seconds(Double(index) / perSecond))
                let target = try BenchNode.address("threeSteps", prefix + String(index))
                let operation = ActorRequest.Operation.request(
                    queue: "job", body: Payload("1"), timeoutMillis: nil)
                group.addTask {
                    let sent = ContinuousClock.now
                    _ = try await answer(ActorRequest(target: target, operation: operation), service)
                    samples.add(ContinuousClock.now - sent)
                }
            }
            try await group.waitForAll()
        }
        return samples.all
    }
}

private func answer(_ request: ActorRequest, _ service: any ActorService) async throws -> ActorReply {
    try await withCheckedContinuation { continuation in
        service.submit(request) { continuation.resume(returning: $0) }
    }.get()
}

/// Keeps a number of requests under way: each reply makes the next one.
private final class Crowd: Sendable {
    private let count: Int
    private let service: any ActorService
    private let request: @Sendable (Int) throws -> ActorRequest
    private let started = Atomic<Int>(0)
    private let answered = Atomic<Int>(0)
    private let done = Mutex<(@Sendable () -> Void)?>(nil)
    let failure = Mutex<String?>(nil)

    init(
        count: Int, service: any ActorService, request: @escaping @Sendable (Int) throws -> ActorRequest
    ) {
        self.count = count
        self.service = service
        self.request = request
    }

    func whenDone(_ body: @escaping @Sendable () -> Void) { done.withLock { $0 = body } }

    func next() {
        let index = started.add(1, ordering: .relaxed).oldValue
        guard index < count, let request = try? request(index) else { return }
        submit(request)
    }

    private func submit(_ request: ActorRequest) {
        service.submit(request) { [self] result in
            if case .failure(let error) = result {
                // A node that has enough to do says so; the request was not begun.
                if error.group == "node" {
                    Thread.sleep(forTimeInterval: 0.001)
                    return submit(request)
                }
                failure.withLock { $0 = "\(error)" }
            }
            if answered.add(1, ordering: .relaxed).newValue == count { done.withLock { $0 }?() }
            next()
        }
    }
}
