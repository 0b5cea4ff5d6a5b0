import Foundation
import NIOCore
import NIOHTTP1
import Synchronization

/// The real programs as processes: the outside world, which stays, and a node, which may die.
final class ProcessFixture: LoadTarget {
    /// Everything of this fixture on disk.
    let directory: String
    /// The node's data directory.
    let data: String
    private let world: OutsideProcess
    var outside: ChildProcess { world.process }
    var outsidePort: Int { world.port }
    private let node = Mutex<RunningNode?>(nil)
    /// Fulfilled with the node's port when there is one, and replaced when the node goes.
    private let portWhenUp = Mutex(Promise<Int>())

    /// How long each start took, for people to read.
    private let starts = Mutex<[Duration]>([])
    var meanStart: Duration { starts.withLock { $0.reduce(.zero, +) / max(1, $0.count) } }

    private struct RunningNode {
        var process: ChildProcess
        var port: Int
    }

    private init(directory: String) async throws {
        self.directory = directory
        data = directory + "/data"
        world = try await OutsideProcess()
    }

    /// Gives the body a running outside world, and ends all processes behind it. What a failed test leaves on
    /// disk stays, and is named.
    static func with<Value>(_ body: (ProcessFixture) async throws -> Value) async throws -> Value {
        let directory = NSTemporaryDirectory() + "apus-process-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let fixture = try await ProcessFixture(directory: directory)
        do {
            let value = try await body(fixture)
            try await fixture.end()
            try FileManager.default.removeItem(atPath: directory)
            return value
        } catch {
            print("the test's files are in \(directory); the node's last words:\n\(fixture.nodeOutput)")
            try await fixture.end()
            throw error
        }
    }

    private func end() async throws {
        if let process = node.withLock({ $0?.process }) { try await process.terminateAtOnce() }
        try await outside.terminateAtOnce()
    }

    // MARK: The node

    var nodeOutput: String { node.withLock { $0?.process.output.text } ?? "" }
    var process: ChildProcess? { node.withLock { $0?.process } }

    var environment: [String: String] { world.environment }

    /// Starts a node process and does not wait until it is ready.
    func spawnNode(
        _ more: [String] = [], data: String? = nil, listen: String = "127.0.0.1:0",
        environment extra: [String: String] = [:]
    ) throws -> ChildProcess {
        try ChildProcess(
            try Programs.path("announced"),
            ["serve", "--data", data ?? self.data, "--listen", listen] + more,
            environment: environment.merging(extra) { $1 })
    }

    /// Starts the node and waits until it serves.
    @discardableResult
    func startNode(data: String? = nil, environment: [String: String] = [:]) async throws -> ChildProcess {
        let began = ContinuousClock.now
        let process = try spawnNode(data: data, environment: environment)
        node.withLock { $0 = RunningNode(process: process, port: 0) }
        let port = try process.port(in: try await process.line(containing: "listening on "))
        node.withLock { $0 = RunningNode(process: process, port: port) }
        starts.withLock { $0.append(ContinuousClock.now - began) }
        portWhenUp.withLock { $0 }.fulfil(port)
        return process
    }

    /// SIGKILL, at once.
    func killNode() async throws {
        guard let process else { return }
        process.send(SIGKILL)
        portWhenUp.withLock { $0 = Promise() }
        try await process.waitForEnd()
    }

    /// The node has ended by itself.
    func forgetNode() { portWhenUp.withLock { $0 = Promise() } }

    /// SIGTERM, and waits for the orderly end.
    func stopNode() async throws -> ProcessEnd {
        guard let process else { return .exited(0) }
        process.send(SIGTERM)
        portWhenUp.withLock { $0 = Promise() }
        return try await process.waitForEnd()
    }

    /// Where the node serves; waits while there is none.
    func port() async throws -> Int {
        try await portWhenUp.withLock { $0 }.value(within: .seconds(60), "the start of a node")
    }

    // MARK: Requests

    func settle(
        _ client: HTTPClient, _ method: HTTPMethod, _ path: String, _ body: String, key: String?
    ) async throws -> Answer {
        let deadline = ContinuousClock.now + .seconds(90)
        var last = "nothing"
        while ContinuousClock.now < deadline {
            do {
                let answer = try await client.send(method, path, body, key: key, port: try await port())
                if answer.status != 503, answer.status != 429 { return answer }
                last = answer.text
            } catch { last = "\(error)" }
            // A pause between tries, so that a dead node is not asked ten thousand times.
            try await Task.sleep(for: .milliseconds(5))
        }
        throw DeadlineExceeded(what: "an answer to \(method) \(path) (last: \(last))", limit: .seconds(90))
    }
}

/// Where the build has put the programs.
enum Programs {
    struct Missing: Error { var path: String }

    static func path(_ name: String) throws -> String {
        let path = directory + "/" + name
        guard FileManager.default.isExecutableFile(atPath: path) else { throw Missing(path: path) }
        return path
    }

    /// The folder of the test bundle. On Linux the bundle is the program that runs.
    private static let directory: String = {
        let bundle = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }?.bundlePath
        let path = bundle ?? Bundle.main.executablePath ?? CommandLine.arguments[0]
        return URL(fileURLWithPath: path).deletingLastPathComponent().path
    }()
}
