import ActorHost
import Apus
import ClientProtocol
import Identifiers

/// Runs one script against a registry three times over: live, hibernated at every wait, and crashed after
/// every record, and demands that each way ends in the same observation.
///
/// In a crashed way, every request that got no answer is repeated with the same identity, as the client
/// library does. After each crash it is checked that no step whose result was recorded is executed again
/// (W2).
package struct Trial<R: Registry>: Sendable {
    package enum Way: Sendable, CustomStringConvertible {
        case live
        case hibernatedAtEveryWait
        case crashedAfter(records: Int)

        package var description: String {
            switch self {
            case .live: "live"
            case .hibernatedAtEveryWait: "hibernated at every wait"
            case .crashedAfter(let records): "crashed after record \(records)"
            }
        }
    }

    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    let makeRegistry: @Sendable (EffectLog) -> R
    /// More records than this are a run that does not end.
    let recordsMax: Int

    package init(recordsMax: Int = 400, _ makeRegistry: @escaping @Sendable (EffectLog) -> R) {
        self.makeRegistry = makeRegistry
        self.recordsMax = recordsMax
    }

    /// - Returns: the observation of the live way, and what its effects did.
    @discardableResult
    package func run<Observation: Equatable & Sendable>(
        _ script: @Sendable (TrialNode<R>) async throws -> Observation
    ) async throws -> (observation: Observation, effects: [EffectLog.Entry]) {
        let (expected, effects, _) = try await run(.live, script)
        for way in [Way.hibernatedAtEveryWait] { try await compare(way, expected, script) }
        var records = 0
        while try await compare(.crashedAfter(records: records), expected, script) {
            records += 1
            guard records < recordsMax else {
                throw Failure(description: "no end after \(recordsMax) records")
            }
        }
        return (expected, effects)
    }

    /// - Returns: whether the node crashed on the way.
    @discardableResult
    private func compare<Observation: Equatable & Sendable>(
        _ way: Way, _ expected: Observation, _ script: @Sendable (TrialNode<R>) async throws -> Observation
    ) async throws -> Bool {
        let (observed, _, crashed) = try await run(way, script)
        guard observed == expected else {
            throw Failure(description: "\(way): observed \(observed), live it was \(expected)")
        }
        return crashed
    }

    /// One way only.
    package func run<Observation: Equatable & Sendable>(
        _ way: Way, _ script: @Sendable (TrialNode<R>) async throws -> Observation
    ) async throws -> (observation: Observation, effects: [EffectLog.Entry], crashed: Bool) {
        let log = EffectLog()
        let node = try TrialNode(makeRegistry(log), log: log, way: way)
        do {
            let observation = try await script(node)
            let crashed = node.hasCrashedAsChosen
            node.end()
            try node.checkEffects()
            return (observation, log.entries, crashed)
        } catch {
            node.end()
            throw Failure(description: "\(way): \(error)")
        }
    }
}

/// Two ways that give the same, live or hibernated, but not crashed: for scripts whose observation depends on
/// timing.
extension Trial {
    package func runWithoutCrashes<Observation: Equatable & Sendable>(
        _ script: @Sendable (TrialNode<R>) async throws -> Observation
    ) async throws -> Observation {
        let (expected, _, _) = try await run(.live, script)
        try await compare(.hibernatedAtEveryWait, expected, script)
        return expected
    }
}
