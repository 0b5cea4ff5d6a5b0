import NIOCore
import NIOHTTP1

/// What load is put on: nodes that may die, and the outside world, which does not.
protocol LoadTarget: Sendable {
    var outsidePort: Int { get }

    /// Asks again, with the same key, until a node has answered; refusals of a node that is overloaded, stops
    /// or may not serve are no answers.
    func settle(
        _ client: HTTPClient, _ method: HTTPMethod, _ path: String, _ body: String, key: String?
    ) async throws -> Answer
}

extension LoadTarget {
    func settle(
        _ client: HTTPClient, _ method: HTTPMethod, _ path: String, _ body: String = ""
    ) async throws -> Answer { try await settle(client, method, path, body, key: nil) }

    /// Asks the outside world.
    func outside(
        _ client: HTTPClient, _ method: HTTPMethod, _ path: String, _ body: String = ""
    ) async throws -> Answer {
        try await client.send(method, path, body, port: outsidePort, within: .seconds(30))
    }

    /// Asks until the answer is as wanted.
    func poll(
        _ client: HTTPClient, _ path: String, within limit: Duration = .seconds(60),
        until isWanted: (Answer) -> Bool
    ) async throws -> Answer {
        let deadline = ContinuousClock.now + limit
        while true {
            let answer = try await settle(client, .GET, path)
            if isWanted(answer) { return answer }
            guard ContinuousClock.now < deadline else {
                throw DeadlineExceeded(
                    what: "\(path), which is \(answer.text), to be as wanted", limit: limit)
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }
}

/// The program that stands for all services outside, as a process.
struct OutsideProcess: Sendable {
    let process: ChildProcess
    let port: Int

    init() async throws {
        process = try ChildProcess(try Programs.path("outside-world"), ["--listen", "127.0.0.1:0"])
        port = try process.port(in: try await process.line(containing: "listening on "))
    }

    /// What a node's process needs to find it.
    var environment: [String: String] {
        [
            "APUS_OUTSIDE_URL": "http://127.0.0.1:\(port)", "APUS_EXAMPLE_DAY_SECONDS": "0.05",
            "APUS_DATA": "", "APUS_LISTEN": "", "APUS_LOG": "error",
        ]
    }
}

extension ChildProcess {
    /// The port in a line such as "listening on 127.0.0.1:7420, ...".
    func port(in line: String) throws -> Int {
        guard let part = line.split(separator: "listening on ").last?.split(separator: ",").first,
            let port = part.split(separator: ":").last.flatMap({ Int($0) })
        else { throw NotStarted(reason: "no port in \"\(line)\"") }
        return port
    }
}
