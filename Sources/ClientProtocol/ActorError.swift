import Identifiers

/// An error that crosses the wire whole: `{group, code, message, metadata}` (A14).
///
/// User code throws it to tell a caller something; whatever else user code throws reaches the caller as
/// `internal_error` without detail.
public struct ActorError: Error, Hashable, Sendable, Codable {
    /// The part of the system that speaks: `user` for errors of an actor's own code.
    public var group: String
    /// What happened, for programs. Stable.
    public var code: String
    /// What happened, for people.
    public var message: String
    /// Facts that belong to the error, such as the known action names.
    public var metadata: [String: String]

    public init(_ code: String, _ message: String, group: String = "user", metadata: [String: String] = [:]) {
        self.group = group
        self.code = code
        self.message = message
        self.metadata = metadata
    }
}

extension ActorError {
    /// How long to wait before asking again, if that is all that it takes.
    public var retryAfterSeconds: Int? {
        switch (group, code) {
        case ("node", "overloaded"), ("node", "stopping"), ("node", "moved"): 1
        default: nil
        }
    }

    /// The status of the error over HTTP (RFC 9110).
    public var httpStatus: Int {
        switch (group, code) {
        case ("user", _): 422
        case ("actor", "not_found"), ("actor", "kind_not_found"), ("actor", "action_not_found"),
            ("queue", "unknown"), ("event", "unknown"), ("request", "not_found"):
            404
        case ("actor", "duplicate_key"): 409
        case ("actor", "action_timed_out"), ("request", "deadline_exceeded"): 504
        case ("message", "too_large"), ("message", "too_many"): 413
        case ("queue", "full"), ("outbox", "full"), ("node", "overloaded"): 429
        case ("session", "expired"), ("actor", "destroyed"), ("queue", "message_expired"): 410
        case ("session", "too_many_subscriptions"): 429
        case ("node", "not_owner"): 421
        case ("node", _), ("cluster", "unavailable"): 503
        case ("cluster", "not_admitted"): 403
        case ("cluster", "unknown_node"), ("cluster", "unknown_partition"), ("cluster", "unknown_token"): 404
        case ("cluster", "invalid"): 400
        case ("cluster", _): 409
        case ("internal", _): 500
        case ("request", "method_not_allowed"): 405
        case ("request", "timeout"): 408
        case ("request", "upgrade_required"): 426
        case ("request", "head_too_large"): 431
        case ("request", "version_not_supported"): 505
        default: 400
        }
    }

    public static func notFound(_ address: ActorAddress) -> ActorError {
        ActorError("not_found", "there is no actor \(address)", group: "actor")
    }
    public static func kindNotFound(_ kind: String, known: [String]) -> ActorError {
        ActorError(
            "kind_not_found", "there is no actor kind \"\(kind)\"", group: "actor",
            metadata: ["known": known.sorted().joined(separator: ", ")])
    }
    public static func actionNotFound(_ name: String, kind: ActorKind, known: [String]) -> ActorError {
        ActorError(
            "action_not_found", "the kind \"\(kind)\" has no action \"\(name)\"", group: "actor",
            metadata: ["known": known.sorted().joined(separator: ", ")])
    }
    public static func queueUnknown(_ name: String, kind: ActorKind, known: [String]) -> ActorError {
        ActorError(
            "unknown", "the kind \"\(kind)\" has no queue \"\(name)\"", group: "queue",
            metadata: ["known": known.sorted().joined(separator: ", ")])
    }
    public static func eventUnknown(_ name: String, kind: ActorKind, known: [String]) -> ActorError {
        ActorError(
            "unknown", "the kind \"\(kind)\" has no event \"\(name)\"", group: "event",
            metadata: ["known": known.sorted().joined(separator: ", ")])
    }
    public static func queueFull(_ name: String, capacity: Int) -> ActorError {
        ActorError(
            "full", "the queue \"\(name)\" holds \(capacity) messages, its capacity", group: "queue",
            metadata: ["capacity": String(capacity)])
    }
    public static func actionTimedOut(_ name: String, after limit: String) -> ActorError {
        ActorError("action_timed_out", "the action \"\(name)\" took longer than \(limit)", group: "actor")
    }
    public static func validation(_ message: String, field: String) -> ActorError {
        ActorError("validation_error", message, group: "actor", metadata: ["field": field])
    }
    public static func tooLarge(_ what: String, limit: Int) -> ActorError {
        ActorError(
            "too_large", "\(what) is larger than \(limit) bytes", group: "message",
            metadata: ["limit": String(limit)])
    }
    public static func badRequest(_ message: String) -> ActorError {
        ActorError("malformed", message, group: "request")
    }
    /// A request whose sequence lies below what the session still remembers: its outcome is no longer known,
    /// and it is not executed again.
    public static let sessionExpired = ActorError(
        "expired", "the outcome of this request is no longer remembered; it was not executed again",
        group: "session")
    /// The client's time was over before the node began; nothing was done.
    public static let deadlineExceeded = ActorError(
        "deadline_exceeded", "the client's time was over before the request was begun; nothing was done",
        group: "request")
    public static let stopping = ActorError("stopping", "the node is shutting down; try again", group: "node")
    public static let overloaded = ActorError(
        "overloaded", "the node has too much work; try again", group: "node")
    /// The actor lives on another node. Nothing was done, so any request may be sent elsewhere.
    public static let notOwner = ActorError(
        "not_owner", "the actor lives on another node; nothing was done", group: "node")
    /// The actor lives on another node, and where.
    public static func redirect(to entry: RoutingMap.Entry, at address: String) -> ActorError {
        var error = notOwner
        error.metadata = [
            "partition": String(entry.partition.rawValue), "epoch": String(entry.epoch.rawValue),
            "revision": String(entry.revision), "owner": String(entry.owner?.rawValue ?? 0),
            "address": address,
        ]
        return error
    }
    /// What `redirect` says; nil if it is another error, or says nothing of where.
    public var redirection: (entry: RoutingMap.Entry, address: String)? {
        guard group == "node", code == "not_owner", let address = metadata["address"],
            let partition = metadata["partition"].flatMap({ UInt32($0) }),
            let epoch = metadata["epoch"].flatMap({ UInt64($0) }),
            let revision = metadata["revision"].flatMap({ UInt64($0) }),
            let owner = metadata["owner"].flatMap({ UInt64($0) })
        else { return nil }
        let entry = RoutingMap.Entry(
            partition: PartitionID(rawValue: partition), epoch: Epoch(rawValue: epoch), revision: revision,
            owner: owner == 0 ? nil : NodeID(rawValue: owner))
        return (entry, address)
    }
    /// The actor has left this node while the request was under way; its outcome is unknown here.
    public static let moved = ActorError(
        "moved", "the actor moved to another node; ask again under the same identity", group: "node")
    /// The node was told to take part in a cluster, and belongs to none yet; nothing was done.
    public static let notMember = ActorError(
        "not_member",
        "this node is not a member of a cluster yet: found one with `apus cluster init`, or let the node "
            + "join one with `apus cluster join`", group: "node")
    /// The node is a member, and on its way into its cluster; nothing was done.
    public static let startingInCluster = ActorError(
        "starting", "the node takes part in its cluster in a moment; try again", group: "node")
    /// Any error of user code that is not an `ActorError`. The log has the detail under the same request.
    public static let internalError = ActorError(
        "internal_error", "the actor's code failed; the node's log says how", group: "internal")
}
