/// Says when a connection has been silent for too long, by what it was silent in.
///
/// Time comes in as a `Duration` since any fixed moment. Nothing is scheduled per message: the connection
/// asks for `next` when a timer of its own fires, so that 10,000 idle connections cost 10,000 timers and no
/// work.
public struct ConnectionDeadlines: Sendable {
    public struct Settings: Hashable, Sendable {
        /// From the connection to its first byte, and to the `hello` of a WebSocket.
        public var handshake: Duration = .seconds(10)
        /// Silence in the middle of a message.
        public var halfMessage: Duration = .seconds(30)
        /// Silence between HTTP requests.
        public var keepAlive: Duration = .seconds(120)
        /// Silence of a WebSocket until it is pinged, and from there until it is closed.
        public var ping: Duration = .seconds(60)
        /// A write that makes no progress.
        public var stalledWrite: Duration = .seconds(60)
        public init() {}
    }

    public enum Activity: Hashable, Sendable {
        /// Connected, nothing has come yet; or an upgrade is done and `hello` has not come.
        case handshake
        /// In the head of an HTTP request, which must be whole within the deadline, however it trickles.
        case halfHead
        case halfMessage
        /// A request is being answered: the silence is ours.
        case answering
        case betweenRequests
        /// An open WebSocket between messages.
        case open
        /// An open WebSocket that was pinged.
        case pinged
    }

    public enum Verdict: Hashable, Sendable {
        case wait
        case ping
        case close(CloseReason)
    }

    private let settings: Settings
    public private(set) var activity = Activity.handshake
    private var since: Duration
    private var writePendingSince: Duration?

    public init(settings: Settings, now: Duration) {
        self.settings = settings
        since = now
    }

    /// Something changed. Bytes in the middle of a message restart its deadline: slow is not silent.
    public mutating func note(_ activity: Activity, now: Duration) {
        // The handshake deadline covers all of the handshake, or one byte at a time would stretch it for
        // ever. So does the one for a head.
        guard !(self.activity == activity && (activity == .handshake || activity == .halfHead)) else {
            return
        }
        self.activity = activity
        since = now
    }

    /// An upgrade restarts the handshake deadline, for `hello`.
    public mutating func upgraded(now: Duration) {
        activity = .handshake
        since = now
    }

    /// Bytes were handed to the socket (`true`) or all of them have reached it (`false`).
    public mutating func noteWrite(pending: Bool, now: Duration) {
        writePendingSince = pending ? writePendingSince ?? now : nil
    }

    /// Some of what was pending has reached the socket.
    public mutating func noteWriteProgress(now: Duration) {
        if writePendingSince != nil { writePendingSince = now }
    }

    /// When to check next.
    public var next: Duration {
        let moment = since + limit
        guard let writePendingSince else { return moment }
        return min(moment, writePendingSince + settings.stalledWrite)
    }

    private var limit: Duration {
        switch activity {
        case .handshake: settings.handshake
        case .halfHead, .halfMessage: settings.halfMessage
        case .betweenRequests, .answering: settings.keepAlive
        case .open, .pinged: settings.ping
        }
    }

    /// What to do at `now`.
    public mutating func check(now: Duration) -> Verdict {
        if let pendingSince = writePendingSince, now >= pendingSince + settings.stalledWrite {
            return .close(.notReading)
        }
        guard now >= since + limit else { return .wait }
        switch activity {
        case .handshake: return .close(.handshakeTimedOut)
        case .halfHead, .halfMessage: return .close(.halfMessage)
        case .betweenRequests: return .close(.idle)
        case .pinged: return .close(.noPong)
        case .answering:
            since = now
            return .wait
        case .open:
            note(.pinged, now: now)
            return .ping
        }
    }
}
