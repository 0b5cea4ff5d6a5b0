/// What an edge needs from the node behind it for `/cluster`. Implemented by the node's membership.
public protocol ClusterAdministration: Sendable {
    /// Performs an operator's command.
    /// - Parameter body: one JSON value; `null` where the request had none.
    func perform(_ operation: ClusterOperation, _ body: Payload) async throws(ActorError) -> Payload
}

/// The commands below `/cluster`; their documents are in `ClusterDocuments.swift`.
public enum ClusterOperation: Hashable, Sendable {
    case describe, nodes, partitions
    /// Where actors live (`RoutingMap`): what has changed after that version, as soon as there is something,
    /// or that time is over.
    case map(after: UInt64?, waitMillis: UInt64)
    case initialize, join
    case tokens, createToken
    case revokeToken(String)
    /// A new node asks to be let in. The only command that needs no trust: it proves itself by a token.
    case admit
    case down, promote, move
    case drain, leave
}

/// The membership of a node that was started alone: there is none.
public struct NoCluster: ClusterAdministration {
    public init() {}

    private static let sentence =
        "this node was started alone, with data of its own: to take part in a cluster, start it with --mesh "
        + "and an empty data directory"

    public func perform(
        _ operation: ClusterOperation, _ body: Payload
    ) async throws(ActorError) -> Payload {
        guard operation == .describe else {
            throw ActorError("alone", Self.sentence, group: "cluster")
        }
        var text = JSONText()
        text.object {
            $0.member("member") { $0.raw("false") }
            $0.member("message") { $0.string(Self.sentence) }
        }
        return Payload(text.bytes)
    }
}
