import ClientProtocol
import Identifiers

/// Names one connection to a node, from the attempt to its end; never used again.
package struct LinkID: Hashable, Comparable, Sendable {
    package var rawValue: UInt64
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// One connection to a node, as the client's decisions see it.
struct Link {
    enum Phase: Hashable {
        case connecting
        /// The socket is open, and the node has not said welcome.
        case greeting
        case open
        /// The node is going away: it answers what it has, and gets nothing new.
        case leaving
    }

    let address: NodeAddress
    /// When it was begun.
    let since: Duration
    var phase = Phase.connecting
    /// Whether it is known to lead into the client's cluster, and may get requests.
    var isTrusted = false
    /// Who is there, by its own word.
    var node: NodeID?
    /// Whether the node tells where actors live.
    var tellsMap = false
    /// The question for the map that is under way.
    var question: UInt64?
    /// When it is asked next.
    var askAt: Duration?
    /// It has said that it cannot serve yet; until then others are asked.
    var unfitUntil: Duration?
    var heardAt: Duration
    var pingedAt: Duration?
    /// When something was sent to an actor last.
    var usedAt: Duration
    /// Under way there.
    var requests = 0
    var subscriptions = 0

    init(_ address: NodeAddress, at now: Duration) {
        self.address = address
        since = now
        heardAt = now
        usedAt = now
    }

    func isUsable(at now: Duration) -> Bool {
        phase == .open && isTrusted && unfitUntil.map { $0 <= now } ?? true
    }

    var isIdle: Bool { requests == 0 && subscriptions == 0 }
}
