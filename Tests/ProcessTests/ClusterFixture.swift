import Foundation
import NIOCore
import NIOHTTP1
import Synchronization
import TimeAndChance

/// Three nodes of one cluster as processes, connected by mutual TLS, and the outside world. Each keeps its
/// ports and its disk over its deaths.
final class ClusterFixture: LoadTarget {
    struct Member: Sendable {
        let index: Int
        let data: String
        let port: Int
        let meshPort: Int
        /// What the cluster calls it; 0 before it is a member.
        var node = 0
        var process: ChildProcess?
    }

    /// What a test wants to be different.
    struct Setup: Sendable {
        var size = 3
        /// Whether what the nodes say to each other passes a proxy.
        var hasNetwork = false
        /// Whether the nodes are one cluster when the body gets them, or belong to nothing yet.
        var isFormed = true
        /// The body of `/cluster/init`.
        var founding = "{}"
        /// More arguments of each node.
        var arguments: [String] = []
        var log = "notice"
    }

    let directory: String
    let setup: Setup
    /// Nil if the nodes talk to each other directly.
    let network: ClusterNetwork?
    private let world: OutsideProcess
    private let members: Mutex<[Member]>
    private let next = Atomic<Int>(0)

    var outsidePort: Int { world.port }

    private init(directory: String, _ setup: Setup) async throws {
        self.directory = directory
        self.setup = setup
        let size = setup.size
        let ports = try Self.freePorts(2 * size)
        network =
            setup.hasNetwork
            ? try await ClusterNetwork(ports: (0..<size).map { ports[2 * $0 + 1] }) : nil
        world = try await OutsideProcess()
        members = Mutex(
            (0..<size).map {
                Member(
                    index: $0, data: directory + "/node\($0)", port: ports[2 * $0],
                    meshPort: ports[2 * $0 + 1])
            })
    }

    /// Gives the body a cluster in which every partition has its copies, and ends all processes behind it.
    static func with<Value>(
        _ setup: Setup = Setup(), _ body: (ClusterFixture) async throws -> Value
    ) async throws -> Value {
        let directory = NSTemporaryDirectory() + "apus-cluster-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let fixture = try await ClusterFixture(directory: directory, setup)
        do {
            try await fixture.startAll()
            if setup.isFormed { try await fixture.form() }
            let value = try await body(fixture)
            try await fixture.end()
            try FileManager.default.removeItem(atPath: directory)
            return value
        } catch {
            print("the test's files are in \(directory)")
            for member in fixture.all {
                print("node \(member.index)'s last words:\n\(member.process?.output.text ?? "")")
            }
            try await fixture.end()
            throw error
        }
    }

    private func end() async throws {
        for member in all { try await member.process?.terminateAtOnce() }
        try await world.process.terminateAtOnce()
        await network?.end()
    }

    /// Ports that nobody uses now; held together, so that they differ.
    static func freePorts(_ count: Int) throws -> [Int] {
        var descriptors: [Int32] = []
        defer { for descriptor in descriptors { close(descriptor) } }
        return try (0..<count).map { _ in
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            descriptors.append(descriptor)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let code = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                    bind(descriptor, raw, length) == 0 && getsockname(descriptor, raw, &length) == 0
                }
            }
            guard code else { throw ChildProcess.NotStarted(reason: String(cString: strerror(errno))) }
            return Int(UInt16(bigEndian: address.sin_port))
        }
    }

    // MARK: Nodes

    var all: [Member] { members.withLock { $0 } }

    /// Starts a node and waits until it answers.
    func start(_ index: Int) async throws {
        let process = try spawn(index)
        _ = try await process.line(containing: "listening on ", within: .seconds(60))
        members.withLock { $0[index].process = process }
    }

    /// Starts all nodes at the same moment, and waits until all answer.
    func startAll() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for member in all { group.addTask { [self] in try await start(member.index) } }
            try await group.waitForAll()
        }
    }

    /// Starts a node, and waits until the cluster has its next incarnation.
    func startAgain(_ index: Int, within limit: Duration = .seconds(60)) async throws {
        let before = try await incarnation(index)?.number ?? .max
        try await start(index)
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            if let now = try await incarnation(index), now.isUp, now.number > before { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw DeadlineExceeded(what: "the next incarnation of node \(index)", limit: limit)
    }

    /// As the first node knows it, and whether it is confirmed and not over.
    private func incarnation(_ index: Int) async throws -> (number: Int, isUp: Bool)? {
        let answer = try await HTTPClient().send(.GET, "/cluster/nodes", port: all[0].port)
        let nodes = answer.json["nodes"] as? [[String: Any]] ?? []
        let node = nodes.first { $0["node"] as? Int == all[index].node }
        return (node?["incarnation"] as? Int).map { ($0, node?["state"] as? String == "up") }
    }

    /// Starts a process at a node's addresses, and waits for nothing.
    /// - Parameters:
    ///   - data: in place of the node's data directory.
    ///   - ports: for clients and for the mesh, in place of the node's, for one beside it.
    func spawn(_ index: Int, data: String? = nil, ports: (Int, Int)? = nil) throws -> ChildProcess {
        let member = all[index]
        let (port, meshPort) = ports ?? (member.port, member.meshPort)
        let host = network == nil ? "127.0.0.1" : ClusterNetwork.host(index)
        var arguments = [
            "serve", "--data", data ?? member.data, "--listen", "127.0.0.1:\(port)", "--mesh",
            "\(host):\(meshPort)",
        ]
        if let network {
            arguments += ["--advertise", network.advertised[index], "--dial-from", host]
        }
        return try ChildProcess(
            try Programs.path("announced"), arguments + setup.arguments,
            environment: world.environment.merging(["APUS_LOG": setup.log]) { $1 })
    }

    /// A process that was spawned is the node from now on, and ended with it.
    func adopt(_ process: ChildProcess, as index: Int) { members.withLock { $0[index].process = process } }

    /// SIGTERM, and waits for the end.
    func stop(_ index: Int) async throws {
        let process = members.withLock { members in
            defer { members[index].process = nil }
            return members[index].process
        }
        process?.send(SIGTERM)
        try await process?.waitForEnd()
    }

    /// SIGKILL to all, as when the power fails.
    func killAll() async throws {
        let processes = members.withLock { members in
            let processes = members.compactMap(\.process)
            for index in members.indices { members[index].process = nil }
            return processes
        }
        for process in processes { process.send(SIGKILL) }
        for process in processes { try await process.waitForEnd() }
    }

    /// SIGKILL, at once.
    func kill(_ index: Int) async throws {
        let process = members.withLock { members in
            defer { members[index].process = nil }
            return members[index].process
        }
        process?.send(SIGKILL)
        try await process?.waitForEnd()
    }

    // MARK: The cluster

    /// Founds the cluster on the first node, joins the others, and waits until every partition has all its
    /// copies.
    private func form() async throws {
        let client = HTTPClient()
        let first = all[0]
        try await order(client, first, "/cluster/init", setup.founding)
        let token = try await token(client)
        for member in all.dropFirst() { try await join(client, member, with: token) }
        try await waitUntilWhole(client)
        try await learnNodes(client)
    }

    /// A token of the first node's cluster.
    func token(_ client: HTTPClient) async throws -> String {
        try await order(client, all[0], "/cluster/tokens", #"{"uses": 9}"#).json["token"] as? String ?? ""
    }

    /// A node joins the first one's cluster.
    func join(_ client: HTTPClient, _ member: Member, with token: String) async throws {
        let body = #"{"seed": "127.0.0.1:\#(all[0].port)", "token": "\#(token)"}"#
        try await order(client, member, "/cluster/join", body)
    }

    /// What the cluster calls each node.
    private func learnNodes(_ client: HTTPClient) async throws {
        for member in all {
            let answer = try await client.send(.GET, "/cluster", port: member.port)
            members.withLock { $0[member.index].node = answer.json["node"] as? Int ?? 0 }
        }
    }

    /// Gives one node an order, again until it is followed.
    @discardableResult
    func order(
        _ client: HTTPClient, _ member: Member, _ path: String, _ body: String,
        within limit: Duration = .seconds(60)
    ) async throws -> Answer {
        let deadline = ContinuousClock.now + limit
        var last = "nothing"
        while ContinuousClock.now < deadline {
            do {
                let answer = try await client.send(.POST, path, body, port: member.port)
                if 200..<300 ~= answer.status { return answer }
                last = answer.text
            } catch { last = "\(error)" }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw DeadlineExceeded(what: "\(path) at node \(member.index) (last: \(last))", limit: limit)
    }

    /// Waits until no partition is without an owner or has fewer copies in sync than it should.
    /// - Parameter isSupervised: whether nodes that end by themselves are started again meanwhile, as those
    ///   do that were declared down. All nodes must say so then: one that was cut off knows an old map.
    func waitUntilWhole(
        _ client: HTTPClient, isSupervised: Bool = false, within limit: Duration = .seconds(120)
    ) async throws {
        let deadline = ContinuousClock.now + limit
        var last = "nothing"
        while ContinuousClock.now < deadline {
            for member in all where isSupervised && member.process?.isRunning == false {
                try await start(member.index)
            }
            let running = all.filter { $0.process != nil }
            var isWhole = !running.isEmpty
            for member in isSupervised ? all : Array(running.prefix(1)) where isWhole {
                let answer = try? await client.send(.GET, "/cluster", port: member.port)
                last = answer?.text ?? "no answer of node \(member.index)"
                isWhole = answer.map { saysWhole($0) } ?? false
            }
            if isWhole { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw DeadlineExceeded(what: "a whole cluster (last: \(last))", limit: limit)
    }

    private func saysWhole(_ answer: Answer) -> Bool {
        let json = answer.json
        return json["nodesUp"] as? Int == all.count && (json["voters"] as? [Int])?.count == 3
            && json["partitionsWithoutOwner"] as? Int == 0 && json["partitionsAtRisk"] as? Int == 0
    }

    /// An operator says that a node is down, to any of the others.
    func declareDown(_ client: HTTPClient, _ index: Int) async throws {
        let members = all
        guard let other = members.first(where: { $0.index != index && $0.process != nil }) else { return }
        try await order(client, other, "/cluster/down", #"{"node": \#(members[index].node)}"#)
    }

    /// Waits until the cluster has found out that a node is gone.
    func waitUntilDown(
        _ client: HTTPClient, _ index: Int, within limit: Duration = .seconds(60)
    ) async throws {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            let members = all
            if let other = members.first(where: { $0.index != index && $0.process != nil }),
                let answer = try? await client.send(.GET, "/cluster/nodes", port: other.port),
                let nodes = answer.json["nodes"] as? [[String: Any]],
                let node = nodes.first(where: { $0["node"] as? Int == members[index].node }),
                node["state"] as? String == "down"
            {
                return
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw DeadlineExceeded(what: "node \(index) being found down", limit: limit)
    }

    func settle(
        _ client: HTTPClient, _ method: HTTPMethod, _ path: String, _ body: String, key: String?
    ) async throws -> Answer {
        try await settle(client, method, path, body, key: key, at: Array(all.indices))
    }

    /// - Parameters:
    ///   - nodes: who is asked, in turn.
    ///   - attempt: how long one of them may take to answer before the next one is asked.
    func settle(
        _ client: HTTPClient, _ method: HTTPMethod, _ path: String, _ body: String, key: String?,
        at nodes: [Int], attempt: TimeAmount = .seconds(10)
    ) async throws -> Answer {
        let limit = Duration.seconds(90)
        let deadline = ContinuousClock.now + limit
        var last = "nothing"
        while ContinuousClock.now < deadline {
            let up = all.filter { $0.process != nil && nodes.contains($0.index) }
            if !up.isEmpty {
                // Any node serves any client (A60).
                let member = up[next.add(1, ordering: .relaxed).oldValue % up.count]
                do {
                    let answer = try await client.send(
                        method, path, body, key: key, port: member.port, within: attempt)
                    if ![421, 429, 503, 504].contains(answer.status) { return answer }
                    last = answer.text
                } catch { last = "\(error)" }
            }
            // A pause between tries, so that a dead node is not asked ten thousand times.
            try await Task.sleep(for: .milliseconds(5))
        }
        throw DeadlineExceeded(what: "an answer to \(method) \(path) (last: \(last))", limit: limit)
    }
}
