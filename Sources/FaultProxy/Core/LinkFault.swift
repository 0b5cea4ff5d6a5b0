/// What is wrong with one direction between two nodes: what the bytes that one sends to the other meet, on
/// whichever connection.
package struct LinkFault: Hashable, Sendable {
    /// Whether bytes get there.
    package enum Passage: String, Hashable, Sendable {
        case open
        /// As with packets that are lost and sent again: nothing passes, and what was sent comes when the
        /// direction is healed, if both sides still wait for it. Ends and resets do not pass either.
        case cut
        /// Bytes, ends and resets are taken and thrown away, so that the sender believes them delivered: a
        /// connection whose other side is gone without a word. It is reset when the direction is healed, as
        /// a stream with a hole is of no use.
        case swallow
    }

    package var passage = Passage.open
    package var delay: Duration = .zero
    /// Added to the delay, evenly spread from zero to this. Bytes of one connection keep their order, those
    /// of different connections lose it.
    package var jitter: Duration = .zero
    /// The chance that a piece is lost, from 0 to 1. TCP sends it again: it comes 200 ms later, and twice as
    /// much later for each time that it is lost again, and everything behind it on its connection waits.
    package var loss = 0.0
    /// The chance, with each piece, that its connection is reset instead, from 0 to 1.
    package var reset = 0.0
    /// What a connection carries at the most; nil for no limit.
    package var bytesPerSecond: Int?

    package static let none = LinkFault()
    package static let delayMax: Duration = .seconds(60)

    package init() {}
}

extension LinkFault {
    /// Reads `cut`, `delay=50ms jitter=20ms`, `rate=100000` and so on. Nothing at all is no fault.
    package init(words: some Sequence<Substring>) throws(ControlError) {
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = parts.count == 2 ? parts[1] : nil
            switch (parts[0], value) {
            case ("cut", nil): passage = .cut
            case ("swallow", nil): passage = .swallow
            case ("delay", let value?): delay = try Self.duration(value)
            case ("jitter", let value?): jitter = try Self.duration(value)
            case ("loss", let value?): loss = try Self.chance(value)
            case ("reset", let value?): reset = try Self.chance(value)
            case ("rate", let value?):
                guard let rate = Int(value), 1...(1 << 40) ~= rate else {
                    throw ControlError("rate=\(value): bytes a second are needed, 1 or more")
                }
                bytesPerSecond = rate
            default:
                throw ControlError(
                    "\"\(word)\" is no fault: cut, swallow, delay=50ms, jitter=20ms, loss=0.01, reset=0.001, "
                        + "rate=BYTES a second")
            }
        }
    }

    private static func chance(_ text: Substring) throws(ControlError) -> Double {
        guard let chance = Double(text), 0...1 ~= chance else {
            throw ControlError("\(text): a chance from 0 to 1 is needed")
        }
        return chance
    }

    private static func duration(_ text: Substring) throws(ControlError) -> Duration {
        let duration: Duration? =
            if text.hasSuffix("ms") {
                Double(text.dropLast(2)).flatMap { 0...60_000 ~= $0 ? .milliseconds($0) : nil }
            } else if text.hasSuffix("s") {
                Double(text.dropLast()).flatMap { 0...60 ~= $0 ? .seconds($0) : nil }
            } else {
                nil
            }
        guard let duration else { throw ControlError("\(text): 50ms or 1.5s is needed, 60s at the most") }
        return duration
    }
}

extension LinkFault: CustomStringConvertible {
    /// As `init(words:)` reads it; "none" if nothing is wrong.
    package var description: String {
        var words: [String] = []
        if passage != .open { words.append(passage.rawValue) }
        if delay > .zero { words.append("delay=\(Self.text(delay))") }
        if jitter > .zero { words.append("jitter=\(Self.text(jitter))") }
        if loss > 0 { words.append("loss=\(loss)") }
        if reset > 0 { words.append("reset=\(reset)") }
        if let bytesPerSecond { words.append("rate=\(bytesPerSecond)") }
        return words.isEmpty ? "none" : words.joined(separator: " ")
    }

    private static func text(_ duration: Duration) -> String { "\(duration / .milliseconds(1))ms" }
}

/// A command or an argument that the proxy does not follow, as a sentence.
package struct ControlError: Error, Hashable, Sendable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}
