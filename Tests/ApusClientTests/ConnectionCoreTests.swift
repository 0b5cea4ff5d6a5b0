import ClientProtocol
import Identifiers
import Testing

@testable import ApusClient

@Suite("Connection core") struct ConnectionCoreTests {
    private func core() -> ConnectionCore { ConnectionCore(session: SessionID(high: 1, low: 2)) }

    @Test("A13: what is acknowledged is the unbroken beginning of the answered sequences; readings have none")
    func acknowledgement() {
        var core = core()
        let ids = (0..<4).map { _ in core.begin(counter("a"), .destroy, deadline: nil, now: .zero) { _ in }.id
        }
        let reading = core.begin(counter("a"), .get, deadline: nil, now: .zero) { _ in }.id
        #expect(core.finish(ids[1]) != nil && core.finish(ids[1]) == nil)
        #expect(core.acknowledged == 0)
        #expect(core.finish(reading)?.frame.sequence == nil)
        _ = core.finish(ids[0])
        #expect(core.acknowledged == 2)
        _ = core.finish(ids[3])
        #expect(core.acknowledged == 2)
        _ = core.finish(ids[2])
        #expect(core.acknowledged == 4)
    }

    @Test("A63: after a welcome everything is said again, requests in order and with their first sequences")
    func resending() {
        var core = core()
        for _ in 0..<3 { _ = core.begin(counter("a"), .destroy, deadline: nil, now: .zero) { _ in } }
        _ = core.subscribe(.init(actor: counter("a"), event: "e", deliver: { _ in }, fail: { _ in }))
        _ = core.finish(1)
        core.connecting()
        for _ in 0..<2 {
            let frames = core.welcomed(now: .zero)
            let requests = [2, 3].map { number in
                ClientFrame.request(
                    id: number,
                    RequestFrame(target: counter("a"), operation: .destroy, sequence: number, acknowledged: 1)
                )
            }
            #expect(frames == [.subscribe(id: 4, counter("a"), event: "e")] + requests)
            core.disconnected()
        }
    }

    @Test(
        "A13, A63: an error that says nothing about a request's outcome lets it be asked again, and once only"
    )
    func noOutcome() {
        var core = core()
        core.connecting()
        _ = core.welcomed(now: .zero)
        let (id, first) = core.begin(counter("a"), .destroy, deadline: nil, now: .zero) { _ in }
        for error in [ActorError.startingInCluster, .stopping, .notOwner, .moved] {
            let unasked = core.again(id, now: .zero)
            let isPostponed = core.postpone(id, error)
            let again = core.again(id, now: .zero)
            #expect(unasked == nil && isPostponed && again == first)
        }
        let outcomes = [core.postpone(id, .badRequest("no")), core.postpone(77, .moved)]
        #expect(outcomes == [false, false])
        // What goes out with a welcome does not go out again.
        let isPostponed = core.postpone(id, .moved)
        core.disconnected()
        let whileDown = core.again(id, now: .zero)
        core.connecting()
        let welcomed = core.welcomed(now: .zero)
        let afterwards = core.again(id, now: .zero)
        #expect(isPostponed && whileDown == nil && welcomed.count == 1 && afterwards == nil)
    }

    @Test("A13: a node that refuses to try has the last word only if it had the first")
    func refusedAfterALostReply() {
        var core = core()
        core.connecting()
        _ = core.welcomed(now: .zero)
        let id = core.begin(counter("a"), .destroy, deadline: nil, now: .zero) { _ in }.id
        let first = core.postpone(id, .overloaded)
        core.disconnected()
        core.connecting()
        _ = core.welcomed(now: .zero)
        let later = [core.postpone(id, .overloaded), core.postpone(id, .notMember)]
        #expect(!first && later == [true, true])
    }

    @Test("A63: each frame tells how much of its time is left, also when it is said again")
    func timeLeft() {
        var core = core()
        func left(_ frame: ClientFrame?) -> UInt64? {
            if case .request(_, let frame)? = frame { frame.timeLeftMillis } else { nil }
        }
        core.connecting()
        #expect(core.welcomed(now: .zero).isEmpty)
        let first = core.begin(counter("a"), .destroy, deadline: .seconds(5), now: .seconds(3)) { _ in }
        #expect(left(first.frame) == 2_000)
        #expect(
            left(core.begin(counter("a"), .destroy, deadline: nil, now: .seconds(3)) { _ in }.frame) == nil)
        core.disconnected()
        core.connecting()
        #expect(core.welcomed(now: .milliseconds(4_900)).map(left) == [100, nil])
        #expect(core.welcomed(now: .seconds(6)).map(left) == [0, nil])
    }

    @Test("A63: pauses double from the least to the greatest, and never leave these bounds")
    func backoff() {
        let backoff = Backoff(minimum: .milliseconds(250), maximum: .seconds(30))
        #expect(
            (1...3).map { backoff.pause(attempts: $0, chance: 1) } == [
                .milliseconds(250), .milliseconds(500), .seconds(1),
            ])
        #expect(backoff.pause(attempts: 3, chance: 0) == .milliseconds(500))
        #expect(backoff.pause(attempts: 1000, chance: 1) == .seconds(30))
        #expect(backoff.pause(attempts: 0, chance: 0) == .milliseconds(250))
    }
}
