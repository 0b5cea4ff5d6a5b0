import Foundation

/// A time in a node's JSON: ISO 8601 with milliseconds, UTC.
package struct Instant: Hashable, Comparable, Sendable, Decodable {
    /// Seconds since 1970.
    package var seconds: Double

    package init(seconds: Double) { self.seconds = seconds }

    package static var now: Instant { Instant(seconds: Date().timeIntervalSince1970) }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        // Times beyond the year 9999 come as microseconds.
        if let micros = try? container.decode(UInt64.self) {
            seconds = Double(micros) / 1e6
            return
        }
        let text = try container.decode(String.self)
        guard let instant = Instant(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\"\(text)\" is no time")
        }
        self = instant
    }

    package init?(_ text: String) {
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        guard let date = try? style.parse(text) else { return nil }
        seconds = date.timeIntervalSince1970
    }

    package static func < (a: Self, b: Self) -> Bool { a.seconds < b.seconds }
    package static func - (a: Self, b: Self) -> Double { a.seconds - b.seconds }
}

/// `GET /actors/{kind}/{key}`.
package struct ActorDocument: Hashable, Sendable, Decodable {
    package var kind: String
    package var key: [String]
    package var createdAt: Instant
    package var awake: Bool
    package var state: JSONValue?
    package var input: JSONValue?
    package var run: RunDocument?
    package var queues: [String: Int]
}

package struct RunDocument: Hashable, Sendable, Decodable {
    package var status: String
    package var since: Instant
    package var startedAt: Instant
    package var waitingFor: String?
    package var reason: String?
    package var failure: FailureDocument?

    package var hasEnded: Bool { ["completed", "failed", "cancelled"].contains(status) }
    package var hasFailed: Bool { status == "failed" || status == "cancelled" }
}

package struct FailureDocument: Hashable, Sendable, Decodable {
    package var type: String
    package var message: String
}

/// `GET /actors/{kind}/{key}/history`.
package struct HistoryDocument: Hashable, Sendable, Decodable {
    package var entries: [EntryDocument]
}

package struct EntryDocument: Hashable, Sendable, Decodable {
    package struct Taken: Hashable, Sendable, Decodable {
        package var id: UInt64
        package var queue: String
        package var body: JSONValue?
    }

    package var sequence: UInt64
    package var path: String
    package var kind: String
    package var at: Instant
    package var status: String
    package var startedAt: Instant?
    package var attempts: Int?
    package var idempotencyKey: String?
    package var value: JSONValue?
    package var retryAt: Instant?
    package var failure: FailureDocument?
    package var failures: [FailureDocument]?
    package var until: Instant?
    package var deadline: Instant?
    /// The other actor of a message.
    package var to: String?
    package var messages: [Taken]?
    package var iteration: UInt64?
    package var message: UInt64?
}

/// `GET /actors`.
package struct ListDocument: Sendable, Decodable {
    package var actors: [ActorDocument]
    package var more: Bool
}

/// `GET /status`. Figures that this version does not know are left out, not an error.
package struct StatusDocument: Sendable, Decodable {
    package var node: Int
    package var cluster: String
    package var store: String
    package var incarnation: Int
    package var partitions: Int
    package var startedAt: Instant
    package var kinds: [String]
    package var actorsAwake: Int
    package var timers: Int
    package var records: UInt64
    package var requests: UInt64
    package var steps: UInt64
    package var wakes: UInt64
    package var creations: UInt64
    package var hibernations: UInt64
    package var repliesRepeated: UInt64
    package var backlogBytes: UInt64
}
