import ClientProtocol
import Identifiers
import Synchronization

/// Stands for a service that is not there yet: answers everything with the reason, until it is.
///
/// A node that is not a member of its cluster yet has a gateway all the same, or nobody could make it one.
public final class ServiceInWaiting: ActorService {
    private struct State {
        var service: (any ActorService)?
        var obstacle: ActorError
    }

    private let state: Mutex<State>

    public init(_ obstacle: ActorError) { state = Mutex(State(obstacle: obstacle)) }

    /// From now on everything goes to the service.
    public func begin(_ service: any ActorService) { state.withLock { $0.service = service } }

    /// Changes the reason.
    public func wait(for obstacle: ActorError) { state.withLock { $0.obstacle = obstacle } }

    private var service: (any ActorService)? { state.withLock { $0.service } }
    private var reason: ActorError { state.withLock { $0.obstacle } }

    // MARK: ActorService

    public var kinds: [String] { service?.kinds ?? [] }

    public var obstacle: ActorError? {
        state.withLock { state in
            guard let service = state.service else { return state.obstacle }
            return service.obstacle
        }
    }

    public func submit(
        _ request: ActorRequest, reply: @escaping @Sendable (Result<ActorReply, ActorError>) -> Void
    ) -> RequestToken {
        if let service { return service.submit(request, reply: reply) }
        reply(.failure(reason))
        // Names no request of the service that will be there.
        return RequestToken(rawValue: .max)
    }

    public func abandon(_ token: RequestToken) { service?.abandon(token) }

    public func subscribe(
        to event: String, of actor: ActorAddress, deliver: @escaping @Sendable (EventDelivery) -> Void
    ) throws(ActorError) -> SubscriptionID {
        guard let service else { throw reason }
        return try service.subscribe(to: event, of: actor, deliver: deliver)
    }

    public func unsubscribe(_ subscription: SubscriptionID) { service?.unsubscribe(subscription) }

    public func status() async -> Payload {
        if let service { return await service.status() }
        var text = JSONText()
        text.object { $0.member("waiting") { $0.string(reason.message) } }
        return Payload(text.bytes)
    }

    public func list(
        kind: String?, after: ActorAddress?, limit: Int
    ) async throws(ActorError) -> Payload {
        guard let service else { throw reason }
        return try await service.list(kind: kind, after: after, limit: limit)
    }
}
