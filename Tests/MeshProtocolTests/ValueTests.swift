import Identifiers
import Testing
import TimeAndChance

@testable import MeshProtocol

@Suite("What waits for a slow peer is bounded") struct OutgoingQueueTests {
    static let limits = QueueLimits(bytesMax: 1000, framesMax: 5, highBytes: 400, lowBytes: 100)

    private func frame(_ payload: Int) -> Frame {
        Frame(FrameKind(rawValue: 20), (0..<payload).map { UInt8(truncatingIfNeeded: $0) })
    }

    /// `#expect` cannot hold a mutating call.
    private func expect(_ value: Bool, at location: SourceLocation = #_sourceLocation) {
        #expect(value, sourceLocation: location)
    }

    @Test("The bytes are the frames in order, whatever the size of the buffer", arguments: 1...60)
    func fill(size: Int) {
        let frames = [frame(0), frame(1), frame(30), frame(12), frame(200)]
        var queue = OutgoingQueue(limits: Self.limits, lane: .data)
        for frame in frames { expect(queue.offer(frame) != .full) }
        var bytes: [UInt8] = []
        while true {
            let part = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
                count = queue.fill(UnsafeMutableRawBufferPointer(buffer))
            }
            guard !part.isEmpty else { break }
            #expect(queue.inFlightBytes == part.count)
            _ = queue.wrote(part.count)
            bytes += part
        }
        #expect(bytes == frames.flatMap { $0.encoded(on: .data) })
        #expect(queue.isEmpty && queue.pendingFrames == 0)
    }

    @Test("Neither bytes nor frames go beyond their bound; an empty queue takes any frame")
    func bounds() {
        var queue = OutgoingQueue(limits: Self.limits, lane: .data)
        expect(queue.offer(frame(5000)) == .takenToHighMark)
        expect(queue.offer(frame(0)) == .full)
        #expect(queue.pendingBytes == 5012)
        queue = OutgoingQueue(limits: Self.limits, lane: .data)
        for _ in 0..<5 { expect(queue.offer(frame(1)) == .taken) }
        expect(queue.offer(frame(1)) == .full)
        queue = OutgoingQueue(limits: Self.limits, lane: .data)
        for _ in 0..<2 { expect(queue.offer(frame(450)) != .full) }
        expect(queue.offer(frame(100)) == .full)
    }

    @Test("Bytes that the socket has not taken still count")
    func inFlight() {
        var queue = OutgoingQueue(limits: Self.limits, lane: .data)
        expect(queue.offer(frame(880)) == .takenToHighMark)
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { expect(queue.fill($0) == 892) }
        #expect(queue.pendingBytes == 892 && queue.pendingFrames == 0)
        expect(queue.offer(frame(200)) == .full)
        expect(!queue.wrote(700))
        expect(queue.wrote(150))
        expect(!queue.wrote(42))
        #expect(queue.isEmpty)
    }

    @Test("The high mark is reported once, then the low mark once")
    func marks() {
        var queue = OutgoingQueue(limits: Self.limits, lane: .data)
        expect(queue.offer(frame(300)) == .taken)
        expect(queue.offer(frame(100)) == .takenToHighMark)
        expect(queue.offer(frame(100)) == .taken)
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { _ = queue.fill($0) }
        expect(!queue.wrote(435))
        expect(queue.wrote(1))
        expect(!queue.wrote(1))
        expect(queue.offer(frame(300)) == .takenToHighMark)
    }
}

@Suite("Deadlines of a connection") struct LinkDeadlinesTests {
    static let settings = DeadlineSettings()

    @Test("A handshake has one deadline, however busy it is")
    func handshake() {
        var deadlines = LinkDeadlines(Self.settings, .connecting, now: .zero)
        #expect(deadlines.next == Self.settings.connect)
        deadlines.enter(.handshaking, now: .seconds(1))
        deadlines.received(now: .seconds(5))
        #expect(deadlines.next == .seconds(1) + Self.settings.handshake)
        var early = deadlines.check(now: .seconds(5))
        #expect(early == .wait)
        early = deadlines.check(now: .seconds(6))
        #expect(early == .close(.handshakeTimedOut))
    }

    @Test("Silence is answered by a ping, and silence after it by the end")
    func idle() {
        var deadlines = LinkDeadlines(Self.settings, .open, now: .zero)
        var verdicts: [LinkDeadlines.Verdict] = []
        verdicts.append(deadlines.check(now: .seconds(2)))
        verdicts.append(deadlines.check(now: .seconds(4)))
        deadlines.received(now: .seconds(4))
        verdicts.append(deadlines.check(now: .seconds(6)))
        verdicts.append(deadlines.check(now: .seconds(9)))
        #expect(verdicts == [.ping, .wait, .ping, .close(.noPong)])
    }

    @Test("A peer is not accused of silence while nothing is read from it")
    func paused() {
        var deadlines = LinkDeadlines(Self.settings, .open, now: .zero)
        deadlines.readingPaused(true, now: .zero)
        for second in 1...20 {
            let verdict = deadlines.check(now: .seconds(second))
            #expect(verdict == .wait)
        }
        deadlines.readingPaused(false, now: .seconds(20))
        let verdict = deadlines.check(now: .seconds(22))
        #expect(verdict == .ping)
    }

    @Test("A write that makes no progress ends the connection although the peer talks")
    func stalledWrite() {
        var deadlines = LinkDeadlines(Self.settings, .open, now: .zero)
        deadlines.writingBegan(now: .seconds(1))
        deadlines.writingBegan(now: .seconds(5))
        deadlines.received(now: .seconds(10))
        #expect(deadlines.next == .seconds(11))
        var copy = deadlines
        let end = copy.check(now: .seconds(11))
        #expect(end == .close(.notReading))
        deadlines.wrote(isDone: false, now: .seconds(10))
        deadlines.received(now: .seconds(19))
        let progress = deadlines.check(now: .seconds(19))
        #expect(progress == .wait)
        deadlines.wrote(isDone: true, now: .seconds(19))
        deadlines.received(now: .seconds(100))
        let done = deadlines.check(now: .seconds(100))
        #expect(done == .wait)
    }
}

@Suite("Waits between attempts") struct BackoffTests {
    @Test("They double up to the bound, spread, and are the same for the same seed")
    func steps() {
        var settings = Backoff.Settings()
        settings.first = .milliseconds(100)
        settings.longest = .seconds(2)
        func waits(_ seed: UInt64) -> [Duration] {
            var random = SplitMix64(seed: seed)
            var backoff = Backoff(settings)
            return (0..<100).map { _ in backoff.next(using: &random) }
        }
        for (index, wait) in waits(1).enumerated() {
            let step = min(.seconds(2), Duration.milliseconds(100) * (1 << min(index, 10)))
            #expect(wait >= step / 2 && wait <= step)
        }
        #expect(waits(1) == waits(1))
        #expect(waits(1) != waits(2))
        #expect(Set(waits(1).suffix(50)).count > 25)
        var random = SplitMix64(seed: 1)
        var backoff = Backoff(settings)
        for _ in 0..<9 { _ = backoff.next(using: &random) }
        backoff.reset()
        #expect(backoff.next(using: &random) <= .milliseconds(100))
    }
}
