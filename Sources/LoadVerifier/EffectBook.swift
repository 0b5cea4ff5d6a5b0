/// Effects as the outside world has recorded them. An attempt may be repeated, under the same idempotency
/// key; two keys for one effect are two effects.
package struct EffectBook: Sendable {
    /// One call of a service, as `outside-world` tells it.
    package struct Call: Hashable, Sendable, Decodable {
        package var path: String
        package var idempotencyKey: String?
        package var status: Int

        package init(path: String, idempotencyKey: String?, status: Int = 200) {
            self.path = path
            self.idempotencyKey = idempotencyKey
            self.status = status
        }
    }

    private var keys: [String: Set<String>] = [:]
    package private(set) var judged = 0

    package init(_ calls: [Call]) {
        for (index, call) in calls.enumerated() where call.status == 200 {
            // Without a key, nobody can tell an attempt from an effect.
            keys[call.path, default: []].insert(call.idempotencyKey ?? "without a key \(index)")
        }
    }

    /// - Parameter happens: whether the effect must be there; it must not if this is false.
    package mutating func judge(_ path: String, happens: Bool, _ verdict: inout LoadVerdict) {
        judged += 1
        let found = keys[path]?.count ?? 0
        let expected = happens ? 1 : 0
        if found < expected { verdict.lose("effect \(path): expected one, found none outside") }
        if found > expected { verdict.double("effect \(path): expected \(expected), found \(found) outside") }
    }
}
