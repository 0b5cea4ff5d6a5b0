import Apus
import Foundation

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// The services outside: Stripe, SendGrid and the rest, or the program `outside-world` in their place.
public struct Outside: Sendable {
    /// What the services answer; each uses the parts that concern it.
    public struct Answer: Codable, Sendable {
        public var id: String
        public var text: String?
    }

    public struct Refused: Error, CustomStringConvertible {
        public var description: String
    }

    let base: String

    /// Some hundred runs call at a time, and the shared session holds six connections to a host.
    private static let session: URLSession = {
        let configuration = URLSessionConfiguration.ephemeral
        configuration.httpMaximumConnectionsPerHost = 256
        return URLSession(configuration: configuration)
    }()

    /// - Parameter base: by default from `APUS_OUTSIDE_URL`, or `http://127.0.0.1:7500`.
    public init(base: String? = nil) {
        self.base = base ?? ProcessInfo.processInfo.environment["APUS_OUTSIDE_URL"] ?? "http://127.0.0.1:7500"
    }

    /// An attempt is cancelled when its time is over or its actor moves, and Foundation on Linux does not
    /// survive that at any moment: a request that is cancelled while it begins or ends can stop the process
    /// ("a behaviour for a task that in not in the registry") or the thread that cancels it. So it is left to
    /// its end, on a thread that no actor needs, and nobody waits for it.
    private static func load(_ request: URLRequest) async throws -> (Data, URLResponse) {
        try await Task.detached { try await session.data(for: request) }.value
    }

    /// Posts to a service. The step's idempotency key goes along, so that a repeated attempt is recognised
    /// there.
    @discardableResult
    public func post(_ path: String, _ body: [String: String] = [:]) async throws -> Answer {
        guard let url = URL(string: path.hasPrefix("http") ? path : base + path) else {
            throw Unretryable("\(path) is no URL")
        }
        var request = URLRequest(url: url)
        request.httpMethod = "POST"
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        request.setValue(StepAttempt.current?.idempotencyKey, forHTTPHeaderField: "Idempotency-Key")
        request.httpBody = try JSONEncoder().encode(body)
        let (data, response) = try await Self.load(request)
        let status = (response as? HTTPURLResponse)?.statusCode ?? 0
        guard 200..<300 ~= status else { throw Refused(description: "\(path) answered \(status)") }
        return try JSONDecoder().decode(Answer.self, from: data)
    }
}
