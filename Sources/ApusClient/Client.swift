import Apus
import ClientProtocol
import ClientRouting
import Identifiers
import Logging

/// A typed client for the actors of a registry: the same declarations that the node runs name what can be
/// called.
///
/// ```swift
/// let client = try Client(Shop.self, nodes: ["http://a:7420", "http://b:7420"])
/// try await client.counter("a").increment(4)
/// try await client.order("order-123").send(.init(approved: true), to: \.approval)
/// ```
///
/// It sends each request to the node that owns its actor, goes to another node when one is lost, and repeats
/// what was under way with the same sequence, so that a change happens once (A13, A60, A63).
@dynamicMemberLookup
public final class Client<R: Registry>: Sendable {
    /// The untyped connection underneath, for status and for kinds that are not in the registry.
    public let connection: ApusConnection
    private let names = RegistryTable<R>.shared

    /// - Parameters:
    ///   - registry: its type is all that is needed; no actor of it runs here.
    ///   - node: `http://HOST:PORT` of a node.
    /// - Throws: `ClientConfigurationError` for an address that is none.
    public init(
        _ registry: R.Type = R.self, node: String = "http://127.0.0.1:7420",
        configuration: ClientConfiguration = .init(), logger: Logger = Logger(label: "apus.client")
    ) throws(ClientConfigurationError) {
        connection = try ApusConnection(nodes: [node], configuration: configuration, logger: logger)
    }

    /// - Parameters:
    ///   - registry: its type is all that is needed; no actor of it runs here.
    ///   - nodes: `http://HOST:PORT` of some nodes of a cluster, of which one has to be there; the others are
    ///     learned from it.
    /// - Throws: `ClientConfigurationError` for an address that is none, and for no address at all.
    public init(
        _ registry: R.Type = R.self, nodes: [String], configuration: ClientConfiguration = .init(),
        logger: Logger = Logger(label: "apus.client")
    ) throws(ClientConfigurationError) {
        connection = try ApusConnection(nodes: nodes, configuration: configuration, logger: logger)
    }

    /// The kind under the name of a registry's property.
    public subscript<Definition: DurableActor>(
        dynamicMember path: KeyPath<R, Definition>
    ) -> KindReference<Definition> {
        KindReference(name: names.name(of: path), connection: connection)
    }

    /// Ends the connection; whoever waits gets `ClientError.closed`.
    public func close() async { await connection.close() }
}

/// An address of a node that cannot be used.
public struct ClientConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    public var description: String
}

/// A kind of actor at a node; a key makes it an actor.
public struct KindReference<Definition: DurableActor>: Sendable {
    let name: String
    let connection: ApusConnection

    /// The actor under that key, one to eight parts. It need not exist yet.
    /// - Precondition: the key keeps the limits of `ActorKey`.
    public func callAsFunction(_ key: String...) -> ActorReference<Definition> {
        do {
            return ActorReference(
                address: ActorAddress(kind: try ActorKind(name), key: try ActorKey(key)),
                connection: connection)
        } catch {
            // A key that is made of user input should be checked with `ActorKey` first.
            preconditionFailure("\(error)")
        }
    }

    /// The actor under a key that was checked already.
    public func callAsFunction(_ key: ActorKey) throws -> ActorReference<Definition> {
        ActorReference(address: ActorAddress(kind: try ActorKind(name), key: key), connection: connection)
    }
}
