/// The deadlines of connections between nodes. The kernel's own timeouts are much longer and never decide.
public struct DeadlineSettings: Hashable, Sendable {
    /// From the dial to the TCP connection, the look-up of the name included.
    public var connect: Duration = .seconds(3)
    /// From the TCP connection to the established one: TLS and hello.
    public var handshake: Duration = .seconds(5)
    /// Silence until the peer is pinged.
    public var idle: Duration = .seconds(2)
    /// Silence after the ping until the connection is given up.
    public var pong: Duration = .seconds(3)
    /// Bytes wait and the socket takes none.
    public var writeProgress: Duration = .seconds(10)
    /// From a farewell to the end of the connection, if the peer does not close it before.
    public var farewell: Duration = .seconds(1)

    public init() {}
}

/// Says when a connection has waited for too long, by what it waited for.
///
/// Time comes in as a `Duration` since any fixed moment. Reading and writing only move deadlines back, so
/// nothing is scheduled for them: whoever wakes too early asks for `next` again.
struct LinkDeadlines: Hashable, Sendable {
    enum Phase: Hashable, Sendable {
        case connecting, handshaking, open, leaving
    }

    enum Verdict: Hashable, Sendable {
        case wait
        case ping
        case close(CloseReason)
    }

    private let settings: DeadlineSettings
    private var phase: Phase
    private var since: Duration
    private var isPinged = false
    private var writingSince: Duration?
    private var isReadingPaused = false

    init(_ settings: DeadlineSettings, _ phase: Phase, now: Duration) {
        self.settings = settings
        self.phase = phase
        since = now
    }

    mutating func enter(_ phase: Phase, now: Duration) {
        self.phase = phase
        since = now
    }

    /// Bytes came. The handshake's deadline covers all of it, or one byte at a time would stretch it for
    /// ever.
    mutating func received(now: Duration) {
        guard phase == .open else { return }
        since = now
        isPinged = false
    }

    /// The peer's silence is ours while we do not read.
    mutating func readingPaused(_ isPaused: Bool, now: Duration) {
        isReadingPaused = isPaused
        since = now
        isPinged = false
    }

    /// The socket has taken bytes; `isDone`: all that there were.
    mutating func wrote(isDone: Bool, now: Duration) { writingSince = isDone ? nil : now }

    mutating func writingBegan(now: Duration) { writingSince = writingSince ?? now }

    /// Asks the peer for a sign of life at once.
    mutating func expectPong(now: Duration) {
        isPinged = true
        since = now
    }

    var next: Duration {
        guard let writingSince, phase == .open else { return moment }
        return min(moment, writingSince + settings.writeProgress)
    }

    private var moment: Duration {
        switch phase {
        case .connecting: since + settings.connect
        case .handshaking: since + settings.handshake
        case .leaving: since + settings.farewell
        case .open: since + (isPinged ? settings.pong : settings.idle)
        }
    }

    mutating func check(now: Duration) -> Verdict {
        if phase == .open, let writingSince, now >= writingSince + settings.writeProgress {
            return .close(.notReading)
        }
        guard now >= moment else { return .wait }
        switch phase {
        case .connecting: return .close(.connectTimedOut)
        case .handshaking: return .close(.handshakeTimedOut)
        case .leaving: return .close(.farewellTimedOut)
        case .open:
            since = now
            if isReadingPaused { return .wait }
            if isPinged { return .close(.noPong) }
            isPinged = true
            return .ping
        }
    }
}
