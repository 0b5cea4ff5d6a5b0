import Testing
import TimeAndChance

@testable import FaultProxy

@Suite("One connection through the proxy, as a value")
struct RelayCoreTests {
    /// A relay in virtual time: what it does, and when.
    private struct Trial {
        var core: RelayCore
        var random: SplitMix64
        var now: Duration = .zero
        var effects: [RelayEffect] = []

        init(_ forward: LinkFault = .none, _ back: LinkFault = .none, seed: UInt64 = 1) {
            random = SplitMix64(seed: seed)
            core = RelayCore(forward: forward, back: back, now: .zero)
            effects = core.begin(now: .zero, random: &random)
        }

        mutating func handle(_ event: RelayEvent) {
            effects += core.handle(event, now: now, random: &random)
        }

        /// The target is there.
        static func open(_ forward: LinkFault = .none, _ back: LinkFault = .none, seed: UInt64 = 1) -> Trial {
            var trial = Trial(seed: seed)
            trial.handle(.connected)
            trial.handle(.faults(forward: forward, back: back))
            trial.effects = []
            return trial
        }

        /// Sockets take everything at once; time goes on to each deadline in turn.
        mutating func run(until end: Duration) -> [(time: Duration, effect: RelayEffect)] {
            var seen: [(Duration, RelayEffect)] = []
            while true {
                while !effects.isEmpty {
                    let effect = effects.removeFirst()
                    seen.append((now, effect))
                    if case .write(let way, _) = effect { handle(.wrote(way)) }
                }
                guard let deadline = core.nextDeadline, deadline <= end else {
                    now = end
                    return seen
                }
                now = max(now, deadline)
                handle(.tick)
            }
        }
    }

    private static func fault(_ text: String) throws -> LinkFault {
        try LinkFault(words: text.split(separator: " "))
    }

    private static func bytes(_ seen: [(time: Duration, effect: RelayEffect)], _ way: Way) -> [UInt8] {
        seen.flatMap { if case .write(way, let bytes) = $0.effect { bytes } else { [UInt8]() } }
    }

    private static func times(_ seen: [(time: Duration, effect: RelayEffect)]) -> [Duration] {
        seen.compactMap { if case .write = $0.effect { $0.time } else { nil } }
    }

    @Test("Without a fault everything passes at once: the dial, bytes both ways, ends, and then it is over")
    func passes() {
        var trial = Trial()
        #expect(trial.effects == [.dial, .read(.forward, true)])
        trial.handle(.received(.forward, [1]))
        #expect(trial.core.heldBytes(.forward) == 1)
        trial.effects = []
        trial.handle(.connected)
        #expect(trial.effects == [.write(.forward, [1]), .read(.back, true)])
        trial.handle(.wrote(.forward))
        trial.effects = []
        trial.handle(.received(.back, [2]))
        trial.handle(.wrote(.back))
        trial.handle(.ended(.forward))
        trial.handle(.received(.back, [3]))
        trial.handle(.ended(.back))
        #expect(trial.effects == [.write(.back, [2]), .shutDown(.forward), .write(.back, [3])])
        trial.handle(.wrote(.back))
        #expect(trial.effects.last == .close(resets: []) && trial.core.isClosed)
    }

    @Test("A delay with jitter is kept within its bounds; one connection keeps its order, two lose it")
    func delay() throws {
        let fault = try Self.fault("delay=50ms jitter=20ms")
        var arrivals: [[Duration]] = []
        for seed in 1...20 {
            var trial = Trial.open(fault, seed: UInt64(seed))
            for byte in 0..<5 {
                trial.now = .milliseconds(byte)
                trial.handle(.received(.forward, [UInt8(byte)]))
            }
            let seen = trial.run(until: .seconds(1))
            #expect(Self.bytes(seen, .forward) == [0, 1, 2, 3, 4])
            let times = Self.times(seen)
            #expect(times == times.sorted() && times[0] >= .milliseconds(50))
            #expect(try #require(times.last) <= .milliseconds(74))
            arrivals.append(times)
        }
        // What was sent later on one connection comes sooner than what was sent on another.
        #expect(arrivals.contains { late in arrivals.contains { $0[0] > late[1] } })
    }

    @Test("A slow link lets as many bytes through as it says, in small pieces")
    func rate() throws {
        var trial = Trial.open(try Self.fault("rate=1000"))
        trial.handle(.received(.forward, Array(repeating: 7, count: 500)))
        let seen = trial.run(until: .seconds(2))
        let times = Self.times(seen)
        #expect(times.count == 10 && Self.bytes(seen, .forward).count == 500)
        let last = try #require(times.last)
        #expect(abs(last / .milliseconds(1) - 500) < 1, "\(last)")
        #expect(abs(times[0] / .milliseconds(1) - 50) < 1)
    }

    @Test("What is lost comes later, as TCP sends it again, and everything behind it waits")
    func loss() throws {
        var trial = Trial.open(try Self.fault("loss=0.5"), seed: 3)
        for byte in 0..<100 { trial.handle(.received(.forward, [UInt8(byte)])) }
        let seen = trial.run(until: .seconds(60))
        #expect(Self.bytes(seen, .forward) == (0..<100).map { UInt8($0) })
        let times = Self.times(seen)
        #expect(times == times.sorted())
        #expect(try #require(times.last) >= .milliseconds(600))
        var never = Trial.open(try Self.fault("loss=1"))
        never.handle(.received(.forward, [1]))
        #expect(Self.times(never.run(until: .seconds(60))) == [.milliseconds(200 * 255)])
    }

    @Test("A cut one way holds bytes and ends, lets the other way pass, and when healed nothing is missing")
    func cut() throws {
        var trial = Trial.open(try Self.fault("cut"))
        trial.handle(.received(.forward, [1, 2]))
        trial.handle(.received(.back, [9]))
        trial.handle(.received(.forward, [3]))
        trial.handle(.ended(.forward))
        let during = trial.run(until: .seconds(5))
        #expect(during.map(\.effect) == [.write(.back, [9])])
        #expect(trial.core.heldBytes(.forward) == 3)
        trial.handle(.faults(forward: .none, back: .none))
        let after = trial.run(until: .seconds(6)).map(\.effect)
        #expect(after == [.write(.forward, [1, 2]), .write(.forward, [3]), .shutDown(.forward)])
    }

    @Test("Through a cut nobody is dialled, and who was dialled does not hear of it before it is healed")
    func cutWhileOpening() throws {
        var trial = Trial(try Self.fault("cut"))
        trial.handle(.received(.forward, [1]))
        #expect(trial.run(until: .seconds(30)).map(\.effect) == [.read(.forward, true)])
        trial.handle(.faults(forward: .none, back: .none))
        #expect(trial.effects == [.dial])
    }

    @Test("Half-open: the target is gone, the cut hides it, bytes to it vanish; the heal brings the reset")
    func halfOpen() throws {
        var trial = Trial.open(.none, try Self.fault("cut"))
        trial.handle(.broken(.back))
        trial.handle(.received(.forward, [1]))
        #expect(trial.run(until: .seconds(60)).map(\.effect) == [])
        #expect(trial.core.heldBytes(.forward) == 0)
        trial.handle(.faults(forward: .none, back: .none))
        #expect(trial.effects == [.close(resets: [.back])])
    }

    @Test("When both sides are gone the relay is over, whatever is cut")
    func bothGone() throws {
        var trial = Trial.open(try Self.fault("cut"), try Self.fault("cut"))
        trial.handle(.broken(.forward))
        #expect(trial.effects == [] && !trial.core.isClosed)
        trial.handle(.broken(.back))
        #expect(trial.effects == [.close(resets: [])] && trial.core.isClosed)
    }

    @Test("What is swallowed vanishes, ends too; when that is over the connection is reset")
    func swallow() throws {
        var trial = Trial.open(try Self.fault("swallow"))
        trial.handle(.received(.forward, [1, 2, 3]))
        trial.handle(.received(.back, [4]))
        trial.handle(.ended(.forward))
        #expect(trial.run(until: .seconds(5)).map(\.effect) == [.write(.back, [4])])
        #expect(trial.core.heldBytes(.forward) == 0)
        trial.handle(.faults(forward: .none, back: .none))
        #expect(trial.effects == [.close(resets: [.forward, .back])] && trial.core.isClosed)
        // Nothing came meanwhile: nothing is missing.
        var quiet = Trial.open(try Self.fault("swallow"))
        quiet.handle(.faults(forward: .none, back: .none))
        #expect(quiet.effects == [] && !quiet.core.isClosed)
    }

    @Test("What is held is bounded, and who sends is held back", arguments: ["cut", "cut rate=40000"])
    func backPressure(fault: String) throws {
        var trial = Trial.open(try Self.fault(fault))
        var sent = 0
        while trial.core.room(.forward) > 0 {
            let piece = min(1_000, trial.core.room(.forward))
            trial.handle(.received(.forward, Array(repeating: 1, count: piece)))
            sent += piece
        }
        #expect(sent == (fault == "cut" ? RelayCore.heldBytesMax : 10_000))
        #expect(trial.effects == [.read(.forward, false)])
        trial.effects = []
        trial.handle(.faults(forward: .none, back: .none))
        let seen = trial.run(until: .seconds(60))
        #expect(Self.bytes(seen, .forward).count == sent)
        #expect(seen.contains { $0.effect == .read(.forward, true) })
        // However small the pieces are.
        var small = Trial.open(try Self.fault("cut"))
        for _ in 0..<RelayCore.heldPiecesMax { small.handle(.received(.forward, [1])) }
        #expect(small.effects == [.read(.forward, false)])
    }

    @Test("Who does not read holds back who sends; nothing is written before the last write is done")
    func slowReader() {
        var trial = Trial.open()
        for byte in 0..<3 { trial.handle(.received(.forward, [UInt8(byte)])) }
        #expect(trial.effects == [.write(.forward, [0])])
        trial.handle(.wrote(.forward))
        #expect(trial.effects.last == .write(.forward, [1]))
    }

    @Test("Waits have deadlines: a target that does not answer, and a connection on which nothing moves")
    func deadlines() {
        var trial = Trial()
        _ = trial.run(until: .seconds(4))
        #expect(!trial.core.isClosed)
        #expect(trial.run(until: .seconds(5)).map(\.effect) == [.close(resets: [.back])])
        var idle = Trial.open()
        #expect(idle.run(until: .seconds(899)).isEmpty && !idle.core.isClosed)
        #expect(idle.run(until: .seconds(900)).map(\.effect) == [.close(resets: [.forward, .back])])
    }

    @Test("The same seed resets at the same piece, and another one elsewhere")
    func resets() throws {
        let fault = try Self.fault("reset=0.1")
        let lives = [1, 1, 2, 3].map { seed in
            var trial = Trial.open(fault, seed: UInt64(seed))
            var pieces = 0
            while !trial.core.isClosed, pieces < 1_000 {
                trial.handle(.received(.forward, [1]))
                trial.handle(.wrote(.forward))
                pieces += 1
            }
            return pieces
        }
        #expect(lives[0] == lives[1] && Set(lives).count > 1 && lives.allSatisfy { $0 < 1_000 })
    }
}
