import Foundation

/// One call of the probe, from its first attempt to its answer. Times are microseconds since 1970.
package struct ProbeCall: Codable, Hashable, Sendable {
    package var actor: Int
    /// The probe begins with fresh counters now and then; counters of different rounds are different actors.
    package var round: Int
    package var client: Int
    /// What was added; nil if the counter was only looked at.
    package var delta: Int?
    package var began: Int64
    /// When the attempt began that was answered.
    package var tried: Int64
    package var ended: Int64
    package var attempts: Int
    /// The counter's total as answered; nil if the outcome is unknown.
    package var total: Int?
    /// The last thing that was heard, if that was no total.
    package var failure: String?

    package init(
        actor: Int, round: Int, client: Int, delta: Int?, began: Int64, tried: Int64, ended: Int64,
        attempts: Int, total: Int?, failure: String? = nil
    ) {
        self.actor = actor
        self.round = round
        self.client = client
        self.delta = delta
        self.began = began
        self.tried = tried
        self.ended = ended
        self.attempts = attempts
        self.total = total
        self.failure = failure
    }
}

/// One line of the history of faults, as the scripts below `deploy/chaos` write it.
package struct FaultLine: Codable, Hashable, Sendable {
    /// Milliseconds since 1970.
    package var at: Int64
    package var fault: String
    /// `inject`, `struck` (if that came later), `heal`; of the cluster itself `whole` and `not-whole`.
    package var act: String
    package var node: String
    package var detail: String?

    package init(at: Int64, fault: String, act: String, node: String, detail: String? = nil) {
        self.at = at
        self.fault = fault
        self.act = act
        self.node = node
        self.detail = detail
    }
}

/// JSON objects, one a line.
package enum JSONLines {
    package struct Unreadable: Error, Hashable, CustomStringConvertible {
        package var file: String
        package var line: Int
        package var description: String { "\(file): line \(line) is not what it should be" }
    }

    /// - Throws: `Unreadable`.
    package static func read<Value: Decodable>(
        _ type: Value.Type, _ text: String, file: String
    ) throws -> [Value] {
        let decoder = JSONDecoder()
        var values: [Value] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: true).enumerated() {
            guard let value = try? decoder.decode(Value.self, from: Data(line.utf8)) else {
                throw Unreadable(file: file, line: index + 1)
            }
            values.append(value)
        }
        return values
    }
}
