/// When the pieces of one stream of bytes come out at its other end.
struct Pace {
    /// What TCP waits before it sends again what was not acknowledged (RFC 6298, as Linux bounds it).
    static let retransmission: Duration = .milliseconds(200)
    /// TCP gives up a connection sooner than a piece is lost more often in a row.
    static let lossesMax = 8
    /// A piece is not longer than what the rate lets pass meanwhile, so that a slow link trickles.
    static let grain: Duration = .milliseconds(50)

    /// When the sender has put everything on the wire, if the rate is limited.
    private var wireIsFree: Duration = .zero

    /// How many bytes pass as one piece.
    static func pieceBytesMax(_ fault: LinkFault) -> Int {
        guard let rate = fault.bytesPerSecond else { return .max }
        return max(1, Int(Double(rate) * (grain / .seconds(1))))
    }

    /// - Returns: when a piece comes out that is sent now, unless one before it comes later.
    mutating func release(
        bytes: Int, _ fault: LinkFault, now: Duration, random: inout some RandomNumberGenerator
    ) -> Duration {
        var time = now
        if let rate = fault.bytesPerSecond {
            wireIsFree = max(now, wireIsFree) + .seconds(Double(bytes) / Double(rate))
            time = wireIsFree
        }
        time += fault.delay
        if fault.jitter > .zero { time += fault.jitter * Double.random(in: 0...1, using: &random) }
        var losses = 0
        while losses < Self.lossesMax, fault.loss > 0, Double.random(in: 0..<1, using: &random) < fault.loss {
            time += Self.retransmission * (1 << losses)
            losses += 1
        }
        return time
    }
}
