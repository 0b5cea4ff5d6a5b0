import NIOCore
import NIOHTTP1
import Synchronization

/// Counters of which everybody knows how far they must be: each change is by one, under a key of its own, and
/// answered with the total. One that is lost and one that is made twice show at the next change.
final class Counting: Sendable {
    /// An answer that cannot be.
    struct Miscount: Error, CustomStringConvertible {
        var description: String
    }

    private let fixture: ClusterFixture
    private let name: String
    private let totals: Mutex<[Int]>
    private let keys = Atomic<Int>(0)
    private let isFinished = Atomic<Bool>(false)

    init(_ fixture: ClusterFixture, _ name: String = "s", counters: Int = 12) {
        self.fixture = fixture
        self.name = name
        totals = Mutex(Array(repeating: 0, count: counters))
    }

    var counters: Range<Int> { totals.withLock { $0.indices } }
    var total: Int { totals.withLock { $0.reduce(0, +) } }

    private func path(_ counter: Int) -> String { "/actors/counter/\(name)\(counter)" }
    private func key() -> String { "\(name)-\(keys.add(1, ordering: .relaxed).oldValue)" }

    /// Each counter goes on by one, whichever of the nodes serves it; again until it is answered.
    func goOn(at nodes: [Int]) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for counter in counters {
                let key = key()
                group.addTask { [self] in try await add(counter, key, at: nodes, HTTPClient()) }
            }
            try await group.waitForAll()
        }
    }

    /// Lets every change that has begun be answered, and begins no more.
    func finish() { isFinished.store(true, ordering: .relaxed) }

    /// Changes all counters at any node until `finish`.
    func goOnUntilFinished() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for counter in counters {
                group.addTask { [self] in
                    let client = HTTPClient()
                    while !isFinished.load(ordering: .relaxed) {
                        try await add(counter, key(), at: Array(fixture.all.indices), client)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// Makes a change once, and notes it.
    private func add(_ counter: Int, _ key: String, at nodes: [Int], _ client: HTTPClient) async throws {
        let answer = try await fixture.settle(
            client, .POST, path(counter) + "/actions/increment", "1", key: key, at: nodes,
            attempt: .seconds(2))
        try note(counter, answer)
    }

    private func note(_ counter: Int, _ answer: Answer) throws {
        let expected = totals.withLock { totals in
            totals[counter] += 1
            return totals[counter]
        }
        guard answer.json["output"] as? Int == expected else {
            throw Miscount(description: "counter \(counter) must be \(expected), is \(answer.text)")
        }
    }

    /// Somebody cut off is asked for a change and for a look at each counter, and given a while. A change may
    /// be made although the answer gets lost, so nobody else can say meanwhile how far these counters are.
    /// - Returns: what it served although it must not, and the keys of the changes, which may yet be made.
    func attempt(
        at nodes: [Int], within limit: TimeAmount
    ) async -> (served: [String], keys: [(counter: Int, key: String)]) {
        var keys: [(counter: Int, key: String)] = []
        let served = await withTaskGroup(of: String?.self) { group in
            for node in nodes {
                let port = fixture.all[node].port
                for counter in counters {
                    let (path, key) = (path(counter), key())
                    keys.append((counter, key))
                    group.addTask {
                        let change = try? await HTTPClient().send(
                            .POST, path + "/actions/increment", "1", key: key, port: port, within: limit)
                        return change?.status == 200 ? "node \(node) changed \(path)" : nil
                    }
                    group.addTask {
                        let look = try? await HTTPClient().send(
                            .POST, path + "/actions/getState", port: port, within: limit)
                        return look?.status == 200 ? "node \(node) showed \(path)" : nil
                    }
                }
            }
            return await group.reduce(into: [String]()) { if let text = $1 { $0.append(text) } }
        }
        return (served.sorted(), keys)
    }

    /// Changes that were attempted are made, once each, whether they wait somewhere or never arrived.
    func make(_ changes: [(counter: Int, key: String)]) async throws {
        let client = HTTPClient()
        for (counter, key) in changes { try await confirm(counter, key, client) }
    }

    private func confirm(_ counter: Int, _ key: String, _ client: HTTPClient) async throws {
        let path = path(counter) + "/actions/increment"
        let answer = try await fixture.settle(client, .POST, path, "1", key: key)
        totals.withLock { $0[counter] += 1 }
        guard let total = answer.json["output"] as? Int, total > 0 else {
            throw Miscount(description: "\(path) with \(key): \(answer.text)")
        }
    }

    /// Every counter is as far as all that was acknowledged.
    func check() async throws {
        let client = HTTPClient()
        for counter in counters {
            let answer = try await fixture.settle(client, .POST, path(counter) + "/actions/getState")
            let count = (answer.json["output"] as? [String: Any])?["count"] as? Int
            let expected = totals.withLock { $0[counter] }
            guard count == expected else {
                throw Miscount(description: "counter \(counter) must be \(expected), is \(answer.text)")
            }
        }
    }
}
