import ByteCoding
import Identifiers
import MailboxCore
import Testing
import TimeAndChance

/// What a table holds after the changes of a core.
private struct Table {
    var items: [[UInt8]: [UInt8]] = [:]
    mutating func perform(_ changes: [DeduplicationCore.Change]) {
        for change in changes {
            switch change {
            case .put(let id, let value): items[id] = value
            case .delete(let id): items[id] = nil
            case .deleteRange(let from, let through):
                for id in items.keys
                where !id.lexicographicallyPrecedes(from) && !through.lexicographicallyPrecedes(id) {
                    items[id] = nil
                }
            }
        }
    }
    func restored() throws -> DeduplicationCore {
        var core = DeduplicationCore()
        for (id, value) in items.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            try core.restore(id: id, value: value)
        }
        return core
    }
}

@Suite("What an actor remembers of requests")
struct DeduplicationCoreTests {
    static let session = SessionID(high: 1, low: 2)
    static func request(_ sequence: UInt64) -> RequestIdentityID { .session(session, sequence: sequence) }

    @Test("A13: new, known, expired; trimmed in steps of 64 acknowledged requests")
    func verdicts() throws {
        var core = DeduplicationCore()
        var table = Table()
        #expect(core.isEmpty)
        #expect(core.check(Self.request(1)) == .new)
        for sequence in UInt64(1)...64 {
            table.perform(
                core.record(
                    Self.request(sequence), .reply([UInt8(sequence)]), acknowledged: sequence - 1, at: 5))
        }
        // 63 are acknowledged: one too few.
        for sequence in UInt64(1)...64 {
            #expect(core.check(Self.request(sequence)) == .known(.reply([UInt8(sequence)])))
        }
        #expect(table.items.count == 64)
        table.perform(core.record(Self.request(65), .message(7), acknowledged: 64, at: 6))
        for core in [core, try table.restored()] {
            for sequence in UInt64(1)...64 { #expect(core.check(Self.request(sequence)) == .expired) }
            #expect(core.check(Self.request(65)) == .known(.message(7)))
            #expect(core.check(Self.request(66)) == .new)
            #expect(core.check(.session(SessionID(high: 1, low: 3), sequence: 1)) == .new)
        }
        #expect(table.items.count == 2)
        // A client cannot acknowledge what it is only about to ask.
        table.perform(core.record(Self.request(66), .reply([]), acknowledged: .max, at: 6))
        #expect(core.check(Self.request(66)) == .known(.reply([])))
    }

    @Test("A13: a message's outcome is replaced by the reply")
    func completion() throws {
        var core = DeduplicationCore()
        var table = Table()
        for identity in [Self.request(3), .key("k"), .key("ü🛒")] {
            table.perform(core.record(identity, .message(9), at: 1))
            table.perform(core.record(identity, .reply([1]), at: 2))
            #expect(core.check(identity) == .known(.reply([1])))
            #expect(try table.restored().check(identity) == .known(.reply([1])))
        }
        #expect(table.items.count == 3)
    }

    @Test("A13: keys and silent sessions are forgotten after a day, in the tables, too")
    func retention() throws {
        var core = DeduplicationCore()
        var table = Table()
        let day = DeduplicationCore.retentionMicros
        table.perform(core.record(.key("old"), .reply([]), at: day))
        for sequence in UInt64(1)...70 {
            table.perform(
                core.record(Self.request(sequence), .reply([]), acknowledged: sequence - 1, at: day))
        }
        table.perform(core.record(.key("young"), .reply([]), at: day + day / 2))
        #expect(core.check(.key("old")) != .new)
        table.perform(core.record(.key("now"), .reply([]), at: 2 * day + day / 4))
        for core in [core, try table.restored()] {
            #expect(core.check(.key("old")) == .new)
            #expect(core.check(.key("young")) != .new)
            #expect(core.check(Self.request(70)) == .new)
        }
        #expect(table.items.count == 2)
    }

    @Test("A13: after any operations, what was stored gives the same verdicts as what was remembered")
    func restoreIsEquivalent() throws {
        var random = SplitMix64(seed: 77)
        let sessions = [
            SessionID(high: 0, low: 0), SessionID(high: 0, low: 1), SessionID(high: .max, low: .max),
        ]
        for round in 0..<60 {
            var core = DeduplicationCore()
            var table = Table()
            var time = DeduplicationCore.retentionMicros
            var next = [UInt64](repeating: 1, count: sessions.count)
            for _ in 0..<400 {
                time += UInt64.random(in: 0...(DeduplicationCore.retentionMicros / 300), using: &random)
                if Int.random(in: 0..<8, using: &random) == 0 {
                    time += DeduplicationCore.retentionMicros / 20
                }
                let outcome: DeduplicationCore.Outcome =
                    Bool.random(using: &random)
                    ? .message(random.next()) : .reply([UInt8.random(in: 0...255, using: &random)])
                let place = Int.random(in: 0..<sessions.count, using: &random)
                switch Int.random(in: 0..<10, using: &random) {
                case 0:
                    let key = "k\(Int.random(in: 0..<5, using: &random))"
                    table.perform(core.record(.key(key), outcome, at: time))
                case 1:
                    // A late completion, also of what was acknowledged already.
                    let sequence = UInt64.random(in: 1...next[place], using: &random)
                    table.perform(
                        core.record(.session(sessions[place], sequence: sequence), outcome, at: time))
                default:
                    let acknowledged =
                        next[place] - min(next[place], UInt64.random(in: 1...20, using: &random))
                    table.perform(
                        core.record(
                            .session(sessions[place], sequence: next[place]), outcome,
                            acknowledged: acknowledged,
                            at: time))
                    next[place] += 1
                }
            }
            let restored = try table.restored()
            for (place, session) in sessions.enumerated() {
                for sequence in 1...(next[place] + 2) {
                    let identity = RequestIdentityID.session(session, sequence: sequence)
                    #expect(
                        core.check(identity) == restored.check(identity),
                        "round \(round), \(session) \(sequence)")
                }
            }
            for key in 0..<5 { #expect(core.check(.key("k\(key)")) == restored.check(.key("k\(key)"))) }
        }
    }

    @Test func aSessionsLineThatNothingCanFollowIsRefused() throws {
        let id: [UInt8] = [0] + [UInt8](repeating: 0, count: 16)
        var core = DeduplicationCore()
        let beyond: [UInt8] = [1, 1] + [UInt8](repeating: 0xFF, count: 9) + [1]
        #expect(throws: WireError.tooLarge(what: "a session's line", value: .max, limit: 1 << 62)) {
            try core.restore(id: id, value: beyond)
        }
        #expect(core.isEmpty)
    }

    @Test func goldenBytes() throws {
        let head: [UInt8] = [1, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]
        let sequence: [UInt8] = [0, 0, 0, 0, 0, 0, 1, 2]
        #expect(Self.request(258).encoded == head + sequence)
        #expect(RequestIdentityID.key("k").encoded == [2, 0x6B])
        for identity in [Self.request(258), .key("k"), .key("")] {
            #expect(try RequestIdentityID.decode(identity.encoded) == identity)
        }
        for count in 0..<25 {
            #expect(throws: WireError.self) {
                try RequestIdentityID.decode(Array(Self.request(258).encoded[..<count]))
            }
        }
        #expect(throws: WireError.notUTF8) { try RequestIdentityID.decode([2, 0xFF]) }
        #expect(throws: WireError.unknown(what: "request identity", value: 5)) {
            try RequestIdentityID.decode([5])
        }
        for (isAwaited, tag) in [(false, 3), (true, 4)] as [(Bool, UInt8)] {
            let message = RequestIdentityID.message(queue: "q", key: "k", isAwaited: isAwaited)
            #expect(message.encoded == [tag, 1, 0x71, 0x6B])
            #expect(try RequestIdentityID.decode([tag, 1, 0x71, 0x6B]) == message)
        }

        var core = DeduplicationCore()
        let puts =
            core.record(Self.request(1), .reply([7]), at: 300) + core.record(.key("k"), .message(9), at: 1)
        #expect(
            puts == [
                .put(id: head + [0, 0, 0, 0, 0, 0, 0, 1], [1, 0xAC, 2, 0, 1, 7]),
                .put(id: [2, 0x6B], [1, 1, 1, 9]),
            ])
        let trim = core.record(Self.request(65), .reply([]), acknowledged: 64, at: 1)
        #expect(trim.last == .put(id: [0] + head.dropFirst(), [1, 1, 64]))
        for (id, value) in [
            (head + sequence, [1, 0xAC, 2, 0, 1, 7] as [UInt8]), ([2, 0x6B], [1, 1, 1, 9]),
            ([0] + head.dropFirst(), [1, 1, 64]),
        ] {
            for count in value.indices {
                var other = DeduplicationCore()
                #expect(throws: WireError.self) { try other.restore(id: id, value: Array(value[..<count])) }
            }
            var other = DeduplicationCore()
            #expect(throws: WireError.self) { try other.restore(id: id, value: value + [0]) }
            #expect(throws: WireError.self) { try other.restore(id: [0, 1], value: [1, 1, 64]) }
        }
    }

    @Test("A13: a new actor takes over all of it, or the newest, and then refuses a session's older requests")
    func inheritance() throws {
        var core = DeduplicationCore()
        for sequence in UInt64(1)...10 {
            _ = core.record(Self.request(sequence), .reply([UInt8(sequence)]), at: sequence)
        }
        _ = core.record(.key("old"), .reply([1]), at: 1)
        _ = core.record(.key("new"), .message(9), at: 20)
        let all = core.inheritance(bytesMax: 1 << 20) { $0 }
        var table = Table()
        table.perform(all.changes)
        for heir in [all.core, try table.restored()] {
            for identity in (UInt64(1)...10).map(Self.request) + [.key("old"), .key("new")] {
                #expect(heir.check(identity) == core.check(identity))
            }
        }
        // Room for the new key and three requests of 25 bytes of identifier and 5 of value.
        let some = core.inheritance(bytesMax: 100) { $0 }
        table = Table()
        table.perform(some.changes)
        for heir in [some.core, try table.restored()] {
            #expect(heir.check(.key("new")) == .known(.message(9)))
            #expect(heir.check(.key("old")) == .new)
            for sequence in UInt64(1)...10 {
                let kept = DeduplicationCore.Verdict.known(.reply([UInt8(sequence)]))
                #expect(heir.check(Self.request(sequence)) == (sequence > 7 ? kept : .expired))
            }
            #expect(heir.check(Self.request(11)) == .new)
        }
    }

    @Test("A11: the stored turns of an action keep their bytes, and lie within the request's range")
    func actionTurns() throws {
        #expect(ActionTurn(time: 300, value: [7, 8]).encoded() == [1, 0xAC, 2, 2, 7, 8])
        #expect(try ActionTurn.decode([1, 0xAC, 2, 2, 7, 8]) == ActionTurn(time: 300, value: [7, 8]))
        #expect(throws: WireError.self) { try ActionTurn.decode([2, 0xAC, 2, 2, 7, 8]) }
        #expect(throws: WireError.self) { try ActionTurn.decode([1, 0xAC, 2, 2, 7, 8, 9]) }
        let key = RequestIdentityID.key("k")
        #expect(ActionTurn.id(key, .ordinal(3)) == [2, 2, 0x6B, 0, 3])
        #expect(ActionTurn.id(key, .given("é")) == [2, 2, 0x6B, 1, 0xC3, 0xA9])
        let range = ActionTurn.range(of: key)
        for name in [ActionTurn.Name.ordinal(1), .ordinal(.max), .given(""), .given("\u{10FFFF}")] {
            for (other, isInside) in [(key, true), (.key("kk"), false), (.key("j"), false)] {
                let id = ActionTurn.id(other, name)
                let isFound =
                    !id.lexicographicallyPrecedes(range.from) && !range.through.lexicographicallyPrecedes(id)
                #expect(isFound == isInside)
            }
        }
        var core = DeduplicationCore()
        #expect(core.record(key, .destroyed, at: 1) == [.put(id: [2, 0x6B], [1, 1, 2])])
        try core.restore(id: [2, 0x6C], value: [1, 1, 2])
        #expect(core.check(.key("l")) == .known(.destroyed))
    }
}
