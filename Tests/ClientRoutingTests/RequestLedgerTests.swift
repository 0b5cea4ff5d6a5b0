import ClientProtocol
import Identifiers
import Testing

@testable import ClientRouting

@Suite("Requests of a client") struct RequestLedgerTests {
    private func ledger() -> RequestLedger { RequestLedger(session: SessionID(high: 1, low: 2)) }

    @Test("A13: what is acknowledged is the unbroken beginning of the answered sequences; readings have none")
    func acknowledgement() {
        var ledger = ledger()
        let ids = (0..<4).map { _ in ledger.begin(counter("a"), .destroy, deadline: nil) { _ in } }
        let reading = ledger.begin(counter("a"), .get, deadline: nil) { _ in }
        #expect(ledger.finish(ids[1]) != nil && ledger.finish(ids[1]) == nil)
        #expect(ledger.acknowledged == 0)
        #expect(ledger.finish(reading)?.frame.sequence == nil)
        _ = ledger.finish(ids[0])
        #expect(ledger.acknowledged == 2)
        _ = ledger.finish(ids[3])
        #expect(ledger.acknowledged == 2)
        _ = ledger.finish(ids[2])
        #expect(ledger.acknowledged == 4)
    }

    @Test("Bounds: behind a request that waits for long, those that are done leave nothing in memory")
    func longWait() {
        var ledger = ledger()
        let first = ledger.begin(counter("a"), .destroy, deadline: nil) { _ in }
        for _ in 0..<10_000 {
            let id = ledger.begin(counter("a"), .destroy, deadline: nil) { _ in }
            _ = ledger.finish(id)
            #expect(ledger.acknowledged == 0 && ledger.inOrder.count <= 67)
        }
        _ = ledger.finish(first)
        #expect(ledger.acknowledged == 10_001 && ledger.inOrder.count <= 67)
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
