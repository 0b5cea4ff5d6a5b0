import Foundation

/// Nodes of one cluster as processes of their own, connected by mutual TLS over loopback.
final class BenchCluster {
    final class Member {
        let directory: String
        let port: Int
        let meshPort: Int
        private(set) var process: Process?
        private var input = FileHandle.nullDevice
        private var output = FileHandle.nullDevice
        private var unread = Data()

        init(directory: String, port: Int, meshPort: Int) {
            self.directory = directory
            self.port = port
            self.meshPort = meshPort
        }

        func start(journalBytesMax: Int? = nil) throws {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            process.arguments =
                ["node", directory, String(port), String(meshPort)]
                + (journalBytesMax.map { [String($0)] } ?? [])
            let (orders, answers) = (Pipe(), Pipe())
            process.standardInput = orders
            process.standardOutput = answers
            try process.run()
            self.process = process
            (input, output) = (orders.fileHandleForWriting, answers.fileHandleForReading)
            guard try line() == "ready" else { throw BenchError("a node did not start") }
        }

        func kill() {
            guard let process else { return }
            Foundation.kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            self.process = nil
        }

        func stop() {
            try? input.close()
            process?.waitUntilExit()
            process = nil
        }

        /// Sends an order; `answer` is to follow.
        func tell(_ order: NodeOrder) throws {
            try input.write(contentsOf: try JSONEncoder().encode(order) + Data("\n".utf8))
        }

        func answer() throws -> String {
            let line = try line()
            if line.hasPrefix("error: ") { throw BenchError(line) }
            return line
        }

        func ask(_ order: NodeOrder) throws -> String {
            try tell(order)
            return try answer()
        }

        func figures() throws -> NodeFigures {
            try JSONDecoder().decode(NodeFigures.self, from: Data(try ask(.figures).utf8))
        }

        func administer(_ command: String, _ body: String = "null") throws -> [String: Any] {
            let text = try ask(.administer(command, body))
            return try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] ?? [:]
        }

        private func line() throws -> String {
            while true {
                if let end = unread.firstIndex(of: 10) {
                    defer { unread = Data(unread[unread.index(after: end)...]) }
                    return String(decoding: unread[..<end], as: UTF8.self)
                }
                let more = output.availableData
                guard !more.isEmpty else { throw BenchError("a node has ended") }
                unread += more
            }
        }
    }

    let directory = BenchNode.freshDirectory()
    private(set) var members: [Member] = []
    private let token: String

    /// Founds the cluster and waits until every partition has its copies.
    init(size: Int, journalBytesMax: Int? = nil) throws {
        let first = try Self.member(in: directory, 0)
        try first.start(journalBytesMax: journalBytesMax)
        _ = try first.administer("init", "{}")
        members = [first]
        var made: String?
        try Self.wait("a token") {
            made = try? first.administer("token", #"{"uses":9}"#)["token"] as? String
            return made != nil
        }
        token = made ?? ""
        for _ in 1..<size { try join(journalBytesMax: journalBytesMax) }
        try waitUntilWhole()
    }

    private static func member(in directory: String, _ index: Int) throws -> Member {
        let ports = try freePorts(2)
        return Member(directory: "\(directory)/node\(index)", port: ports[0], meshPort: ports[1])
    }

    /// A new node.
    @discardableResult
    func join(journalBytesMax: Int? = nil) throws -> Member {
        let member = try Self.member(in: directory, members.count)
        try member.start(journalBytesMax: journalBytesMax)
        let seed = "127.0.0.1:\(members[0].port)"
        try Self.wait("the admission of a node") {
            (try? member.administer("join", #"{"seed":"\#(seed)","token":"\#(token)"}"#)) != nil
        }
        members.append(member)
        return member
    }

    var running: [Member] { members.filter { $0.process != nil } }

    func waitUntilWhole() throws {
        let count = running.count
        try Self.wait("a whole cluster") { [members] in
            let document = try members[0].administer("describe")
            return document["nodesUp"] as? Int == count && document["partitionsWithoutOwner"] as? Int == 0
                && document["partitionsAtRisk"] as? Int == 0
        }
        // Requests without an identity are not repeated when their actor moves.
        try Self.wait("owners where they should be") { [members] in
            let partitions = try members[0].administer("partitions")["partitions"] as? [[String: Any]]
            return partitions?.allSatisfy { partition in
                let targets = partition["targets"] as? [Int]
                return partition["owner"] as? Int == targets?.first && targets?.isEmpty == false
                    && (partition["learners"] as? [Int])?.isEmpty == true
            } ?? false
        }
    }

    static func wait(_ what: String, seconds: Double = 300, until isDone: () throws -> Bool) throws {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while try !isDone() {
            guard ContinuousClock.now < deadline else { throw BenchError("waited in vain for \(what)") }
            Thread.sleep(forTimeInterval: 0.02)
        }
    }

    /// The sum over all nodes.
    func figures() throws -> NodeFigures {
        try running.map { try $0.figures() }.reduce(NodeFigures()) { $0 + $1 }
    }

    /// Gives an order to every node at the same time.
    func tellAll(_ order: (Int) -> NodeOrder) throws -> [String] {
        for (index, member) in running.enumerated() { try member.tell(order(index)) }
        return try running.map { try $0.answer() }
    }

    func end() {
        for member in running { member.kill() }
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// Ports that nobody uses now; held together, so that they differ.
    private static func freePorts(_ count: Int) throws -> [Int] {
        var descriptors: [Int32] = []
        defer { for descriptor in descriptors { close(descriptor) } }
        return try (0..<count).map { _ in
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            descriptors.append(descriptor)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let isBound = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                    bind(descriptor, raw, length) == 0 && getsockname(descriptor, raw, &length) == 0
                }
            }
            guard isBound else { throw BenchError("no port is free") }
            return Int(UInt16(bigEndian: address.sin_port))
        }
    }
}
