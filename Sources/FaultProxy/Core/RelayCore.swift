import DequeModule

/// The way of bytes through a relayed connection.
package enum Way: Int, Hashable, Sendable, CaseIterable {
    /// From who dialled to whom the connection is for.
    case forward
    case back

    package var other: Way { self == .forward ? .back : .forward }
}

/// What happens to a relayed connection.
package enum RelayEvent: Hashable, Sendable {
    case received(Way, [UInt8])
    /// Who sends that way has closed its sending half.
    case ended(Way)
    /// The connection of who sends that way broke, or did not come about.
    case broken(Way)
    /// The connection to the target is there.
    case connected
    /// Everything that was to be written at the end of that way is written.
    case wrote(Way)
    case faults(forward: LinkFault, back: LinkFault)
    /// Both sides are to read a reset, now.
    case reset
    case tick
}

/// What is to be done with the two sockets of a relayed connection.
package enum RelayEffect: Hashable, Sendable {
    case dial
    /// At the end of the way; `wrote` is to follow.
    case write(Way, [UInt8])
    /// Closes the sending half at the end of the way.
    case shutDown(Way)
    /// Starts or stops reading at the beginning of the way.
    case read(Way, Bool)
    /// Both sockets are closed and the relay is over; the ends of these ways read a reset.
    case close(resets: Set<Way>)
}

/// One connection through the proxy: two ways of bytes, each with its faults. A value without sockets.
///
/// That a connection is opened, ends or breaks is told to the other side in line with the bytes, so a cut
/// hides it: that is a half-open connection.
package struct RelayCore {
    /// What a way holds at the most. With a delay that bounds the throughput: a mebibyte a delay.
    package static let heldBytesMax = 1 << 20
    /// Nothing moved for so long: the connection is given up, as TCP does after about as much.
    package static let idleMax: Duration = .seconds(900)
    /// Pieces that a way holds at the most, however small they are.
    package static let heldPiecesMax = 4_096
    /// What a target may take to accept a connection.
    package static let dialMax: Duration = .seconds(5)

    private enum Item: Hashable {
        case open
        case bytes([UInt8])
        case end
        case reset
    }

    private struct Stream {
        var fault = LinkFault.none
        var pace = Pace()
        var items: Deque<(item: Item, release: Duration)> = []
        var heldBytes = 0
        var isReading = false
        var isWriting = false
        /// Something was swallowed.
        var hasHole = false
        /// Who sends this way is gone, and reads nothing either.
        var isBroken = false
        /// Nothing more comes in: it ended or broke.
        var isOver = false
        /// The other side has been told of its end.
        var isShut = false

        var hasRoom: Bool { heldBytes < heldBytesMax && items.count < RelayCore.heldPiecesMax }

        /// Slow links hold what they carry in a quarter of a second, so that their senders feel them.
        var heldBytesMax: Int {
            min(RelayCore.heldBytesMax, max(4_096, (fault.bytesPerSecond ?? .max) / 4))
        }
    }

    private var streams = [Stream(), Stream()]
    private var isConnected = false
    private var dialDeadline: Duration?
    private var lastMove: Duration
    package private(set) var isClosed = false

    /// A connection has arrived. The target is dialled when the way to it lets that pass.
    package init(forward: LinkFault, back: LinkFault, now: Duration) {
        lastMove = now
        streams[0].fault = forward
        streams[1].fault = back
    }

    /// How many bytes more may come in on the way now.
    package func room(_ way: Way) -> Int {
        let stream = streams[way.rawValue]
        return max(0, stream.heldBytesMax - stream.heldBytes)
    }

    /// Bytes that came in on the way and did not come out.
    package func heldBytes(_ way: Way) -> Int { streams[way.rawValue].heldBytes }

    /// When `tick` is due.
    package var nextDeadline: Duration? {
        if isClosed { return nil }
        var deadline = lastMove + Self.idleMax
        if let dialDeadline { deadline = min(deadline, dialDeadline) }
        for way in Way.allCases where canRelease(way) {
            if let first = streams[way.rawValue].items.first { deadline = min(deadline, first.release) }
        }
        return deadline
    }

    /// Begins: what comes first is the wish to be connected.
    package mutating func begin(now: Duration, random: inout some RandomNumberGenerator) -> [RelayEffect] {
        append(.open, bytes: 0, on: .forward, now: now, random: &random)
        return advance(now: now)
    }

    package mutating func handle(
        _ event: RelayEvent, now: Duration, random: inout some RandomNumberGenerator
    ) -> [RelayEffect] {
        if isClosed { return [] }
        switch event {
        case .received(let way, let bytes):
            lastMove = now
            let fault = streams[way.rawValue].fault
            if fault.reset > 0, Double.random(in: 0..<1, using: &random) < fault.reset {
                return close(resets: [.forward, .back])
            }
            let size = min(bytes.count, Pace.pieceBytesMax(fault))
            for start in stride(from: 0, to: bytes.count, by: max(1, size)) {
                let piece = Array(bytes[start..<min(start + size, bytes.count)])
                append(.bytes(piece), bytes: piece.count, on: way, now: now, random: &random)
            }
        case .ended(let way): over(way, .end, now: now, random: &random)
        case .broken(let way):
            broke(way, now: now, random: &random)
            // Nobody is left to be told of anything, through whatever cut.
            if streams[way.other.rawValue].isBroken { return close(resets: []) }
        case .connected:
            guard !streams[Way.back.rawValue].isBroken else { break }
            isConnected = true
            dialDeadline = nil
            lastMove = now
        case .wrote(let way):
            streams[way.rawValue].isWriting = false
            lastMove = now
        case .faults(let forward, let back):
            if let effects = change([forward, back]) { return effects }
        case .reset: return close(resets: [.forward, .back])
        case .tick:
            if now >= lastMove + Self.idleMax { return close(resets: [.forward, .back]) }
            if let deadline = dialDeadline, now >= deadline {
                dialDeadline = nil
                broke(.back, now: now, random: &random)
            }
        }
        return advance(now: now)
    }

    /// Whoever sends that way is gone. What is sent there from now on is thrown away.
    private mutating func broke(_ way: Way, now: Duration, random: inout some RandomNumberGenerator) {
        guard !streams[way.rawValue].isBroken else { return }
        streams[way.rawValue].isBroken = true
        streams[way.other.rawValue].isWriting = false
        over(way, .reset, now: now, random: &random)
    }

    private mutating func over(
        _ way: Way, _ item: Item, now: Duration, random: inout some RandomNumberGenerator
    ) {
        guard !streams[way.rawValue].isOver || item == .reset else { return }
        dialDeadline = way == .back ? nil : dialDeadline
        streams[way.rawValue].isOver = true
        streams[way.rawValue].isReading = false
        append(item, bytes: 0, on: way, now: now, random: &random)
    }

    private mutating func append(
        _ item: Item, bytes: Int, on way: Way, now: Duration, random: inout some RandomNumberGenerator
    ) {
        let fault = streams[way.rawValue].fault
        let release = streams[way.rawValue].pace.release(bytes: bytes, fault, now: now, random: &random)
        streams[way.rawValue].items.append((item, release))
        streams[way.rawValue].heldBytes += bytes
    }

    /// - Returns: not nil if that ends the relay: who was swallowed from has a hole in its stream.
    private mutating func change(_ faults: [LinkFault]) -> [RelayEffect]? {
        for index in streams.indices {
            streams[index].fault = faults[index]
            if streams[index].hasHole, faults[index].passage != .swallow {
                return close(resets: [.forward, .back])
            }
        }
        return nil
    }

    private mutating func close(resets: Set<Way>) -> [RelayEffect] {
        isClosed = true
        streams = [Stream(), Stream()]
        return [.close(resets: resets)]
    }

    // MARK: What comes out

    private func canRelease(_ way: Way) -> Bool {
        let stream = streams[way.rawValue]
        guard let first = stream.items.first, !stream.isWriting else { return false }
        switch stream.fault.passage {
        case .cut: return false
        case .swallow: return true
        case .open:
            if way == .back || isConnected { return true }
            return first.item == .open || first.item == .reset || streams[way.other.rawValue].isBroken
        }
    }

    /// Lets out what is due, and reads where there is room.
    private mutating func advance(now: Duration) -> [RelayEffect] {
        var effects: [RelayEffect] = []
        for way in Way.allCases {
            while canRelease(way), streams[way.rawValue].items[0].release <= now {
                effects += release(streams[way.rawValue].items.removeFirst().item, on: way, now: now)
                if isClosed { return effects }
            }
        }
        for way in Way.allCases {
            let stream = streams[way.rawValue]
            let isThere = way == .forward || isConnected
            let reads = isThere && !stream.isOver && stream.hasRoom
            if reads != stream.isReading, !stream.isOver {
                streams[way.rawValue].isReading = reads
                effects.append(.read(way, reads))
            }
        }
        return effects
    }

    private mutating func release(_ item: Item, on way: Way, now: Duration) -> [RelayEffect] {
        if case .bytes(let bytes) = item { streams[way.rawValue].heldBytes -= bytes.count }
        lastMove = now
        guard streams[way.rawValue].fault.passage != .swallow else {
            streams[way.rawValue].hasHole = true
            return []
        }
        switch item {
        case .open:
            dialDeadline = now + Self.dialMax
            return [.dial]
        case .bytes(let bytes):
            if streams[way.other.rawValue].isBroken { return [] }
            streams[way.rawValue].isWriting = true
            return [.write(way, bytes)]
        case .end:
            streams[way.rawValue].isShut = true
            if streams[way.other.rawValue].isShut { return close(resets: []) }
            return streams[way.other.rawValue].isBroken ? [] : [.shutDown(way)]
        case .reset: return close(resets: [way])
        }
    }
}
