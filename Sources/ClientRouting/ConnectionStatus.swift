/// The state of a client's connection (A63).
public enum ConnectionStatus: Hashable, Sendable {
    /// Not asked to connect yet.
    case idle
    case connecting
    case connected
    /// Lost; it will be connected again after a pause.
    case disconnected
    /// Closed for good.
    case closed
}
