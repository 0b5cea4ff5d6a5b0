import Foundation
import HTTPCalls
import NIOHTTP1
import OperatorCommands

extension HTTPCaller {
    /// The JSON at a path, as what it should be.
    func json<Value: Decodable>(_ path: String, as type: Value.Type = Value.self) async throws -> Value {
        let reply = try await send(.GET, path, timeout: .seconds(30))
        guard reply.isSuccess else {
            throw StageFailure(
                description:
                    "\(path) answered with \(reply.status): \(String(decoding: reply.body, as: UTF8.self))")
        }
        return try JSONDecoder().decode(type, from: Data(reply.body))
    }

    func tell(_ path: String, _ body: String) async throws {
        let reply = try await send(.POST, path, body: Array(body.utf8))
        guard reply.isSuccess else {
            throw StageFailure(description: "\(path) answered with \(reply.status)")
        }
    }
}

/// Where all the runs stand.
struct Picture: Sendable {
    var completed = 0
    var inStep = 0
    var asleep = 0
    var waiting = 0
    /// The idempotency keys of steps that are recorded as completed.
    var completedSteps: Set<String> = []

    var isUnderWay: Int { inStep + asleep + waiting }

    mutating func count(_ run: RunDocument?) {
        switch run?.status {
        case "completed": completed += 1
        case "running", "retrying", "pending": inStep += 1
        case "sleeping": asleep += 1
        case "waiting": waiting += 1
        default: break
        }
    }
}

/// Looks at the runs from outside, as an operator does.
struct Observer: Sendable {
    let caller: HTTPCaller

    /// Every run that was created so far, with the steps that are already recorded.
    @concurrent
    func picture(of created: Set<String>) async throws -> Picture {
        try await withThrowingTaskGroup(of: RunText.self) { group in
            var picture = Picture()
            var paths = created.makeIterator()
            func next() -> Bool {
                guard let path = paths.next() else { return false }
                group.addTask {
                    // The history last: what it says of a step is then at least as new as the run's status.
                    let actor: ActorDocument = try await caller.json(path)
                    return RunText(actor: actor, history: try await caller.json("\(path)/history"))
                }
                return true
            }
            for _ in 0..<16 where next() {}
            while let look = try await group.next() {
                picture.count(look.actor.run)
                for entry in look.history.entries where entry.kind == "step" && entry.status == "completed" {
                    if let key = entry.idempotencyKey { picture.completedSteps.insert(key) }
                }
                _ = next()
            }
            return picture
        }
    }

    /// Those of the paths whose run has not ended.
    @concurrent
    func unfinished(of paths: Set<String>) async -> Set<String> {
        await withTaskGroup(of: String?.self) { group in
            var left = paths.makeIterator()
            var unfinished: Set<String> = []
            func next() -> Bool {
                guard let path = left.next() else { return false }
                group.addTask {
                    let actor: ActorDocument? = try? await caller.json(path)
                    return actor?.run?.hasEnded == true ? nil : path
                }
                return true
            }
            for _ in 0..<8 where next() {}
            while let path = await group.next() {
                if let path { unfinished.insert(path) }
                _ = next()
            }
            return unfinished
        }
    }

    /// Jobs and prompts that are not worked off yet.
    func backlog() async throws -> Int {
        var open = 0
        for worker in Plan.keys("w", Plan.workers) {
            let actor: ActorDocument = try await caller.json("/actors/worker/\(worker)")
            open += Plan.jobsOfWorker - (actor.state?["processed"]?.integer ?? 0)
        }
        for agent in Plan.keys("a", Plan.agents) {
            let actor: ActorDocument = try await caller.json("/actors/agent/\(agent)")
            open += Plan.promptsOfAgent - (actor.state?["messages"]?.array?.count ?? 0) / 2
        }
        return max(0, open)
    }
}
