import ClientProtocol

/// The errors of `/cluster`.
extension ActorError {
    static func notAdmitted(_ sentence: String) -> ActorError {
        ActorError("not_admitted", sentence, group: "cluster")
    }

    static func refused(_ sentence: String) -> ActorError {
        ActorError("refused", sentence, group: "cluster")
    }

    static func invalidCommand(_ sentence: String) -> ActorError {
        ActorError("invalid", sentence, group: "cluster")
    }

    /// Something of the node's own failed, such as its disk.
    static func clusterInternal(_ sentence: String) -> ActorError {
        ActorError("unavailable", sentence, group: "cluster")
    }

    static let noMap = ActorError(
        "unavailable",
        "this node has not heard from the control plane yet: wait, or ask another node; if this lasts, a "
            + "majority of the voters cannot be reached", group: "cluster")

    /// Every command can be repeated: it names what it expects, or says the same twice.
    static let unknownOutcome = ActorError(
        "unavailable",
        "no answer from the control plane: whether the command was carried out is not known; look at the "
            + "cluster and repeat it if it is still wanted", group: "cluster")

    init(_ error: MembershipError) {
        switch error {
        case .member: self = ActorError("already_member", "\(error)", group: "cluster")
        case .invalid: self = .invalidCommand("\(error)")
        case .refused, .certificate: self = .notAdmitted("\(error)")
        case .seed, .unavailable, .busy: self = .clusterInternal("\(error)")
        default: self = ActorError("failed", "\(error)", group: "cluster")
        }
    }
}
