import WorkflowCore

/// What an iteration of a loop decides.
public enum LoopStep<Result: Sendable>: Sendable {
    case again
    case done(Result)
}

extension Workflow {
    /// Repeats the body for ever; only an error ends it. Each iteration is a scope of its own, finished ones
    /// are pruned from the history, and a restart goes on in the iteration that it left (W40).
    public mutating func loop(
        _ name: String, _ body: (inout Workflow<Definition>) async throws -> Void
    ) async throws -> Never {
        var place = try await driver.enterLoop(name, in: scope, state: [])
        while true {
            var iteration = iteration(place.iteration, of: name, scope: place.scope)
            do { try await body(&iteration) } catch {
                try await driver.failScope(place.scope, error)
                throw error
            }
            place.scope = try await driver.nextIteration(
                of: place.loop, after: place.iteration, scope: place.scope, state: [])
            place.iteration += 1
        }
    }

    /// Repeats the body until it is done, carrying a state from one iteration to the next (W40). The state is
    /// recorded at the end of each iteration.
    public mutating func loop<LoopState: Codable & Sendable, Result: Codable & Sendable>(
        _ name: String, state: LoopState,
        _ body: (inout Workflow<Definition>, inout LoopState) async throws -> LoopStep<Result>
    ) async throws -> Result {
        var place = try await driver.enterLoop(name, in: scope, state: try PayloadCoding.encode(state))
        if let result = place.result { return try PayloadCoding.decode(Result.self, from: result) }
        while true {
            var state = try PayloadCoding.decode(LoopState.self, from: place.state)
            var iteration = iteration(place.iteration, of: name, scope: place.scope)
            let step: LoopStep<Result>
            do { step = try await body(&iteration, &state) } catch {
                try await driver.failScope(place.scope, error)
                throw error
            }
            switch step {
            case .done(let result):
                try await driver.endLoop(
                    place.loop, iteration: place.iteration, scope: place.scope,
                    result: try PayloadCoding.encode(result))
                return result
            case .again:
                place.state = try PayloadCoding.encode(state)
                place.scope = try await driver.nextIteration(
                    of: place.loop, after: place.iteration, scope: place.scope, state: place.state)
                place.iteration += 1
            }
        }
    }
}
