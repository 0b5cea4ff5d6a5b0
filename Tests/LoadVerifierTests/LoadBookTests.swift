import Testing

@testable import LoadVerifier

@Suite("The verdict about a load")
struct LoadBookTests {
    private func book(_ changes: [(counter: Int, delta: Int, total: Int)], unknown: [Int] = []) -> LoadBook {
        var book = LoadBook()
        for (counter, delta, total) in changes {
            book.note(
                .increment(counter: counter, by: delta), .acknowledged(total: total), took: .milliseconds(1))
        }
        for delta in unknown {
            book.note(.request(counter: 0, by: delta), .unknown("no answer"), took: .seconds(60))
        }
        return book
    }

    private func verdict(_ book: LoadBook, _ totals: [Int: Int], of counters: Int = 2) -> LoadVerdict {
        var book = book
        book.judge(counters: 0..<counters, totals)
        return book.verdict
    }

    @Test("A13: changes that continue each other, in whatever order they were heard, are clean")
    func clean() {
        let verdict = verdict(book([(0, 3, 8), (1, 4, 4), (0, 5, 5), (0, 1, 9)]), [0: 9, 1: 4])
        #expect(verdict == LoadVerdict())
        #expect(verdict.isClean)
    }

    @Test("R17: a change that is not there is lost, also if a later one hides it from the sum")
    func lost() {
        #expect(verdict(book([(0, 3, 3), (0, 5, 8)]), [0: 3]).lost == 1)
        #expect(verdict(book([(0, 3, 3)]), [:]).lost == 1)
        // +5 was forgotten when +2 came, and +5 was doubled afterwards.
        let hidden = verdict(book([(0, 3, 3), (0, 5, 8), (0, 2, 5)]), [0: 10])
        #expect(hidden.lost == 1)
        #expect(hidden.doubled == 1)
    }

    @Test("A13: a change that is there twice is doubled")
    func doubled() {
        #expect(verdict(book([(0, 3, 3), (0, 5, 13)]), [0: 13]).doubled == 1)
        #expect(verdict(book([(0, 3, 3)]), [0: 6]).doubled == 1)
        // In a counter that nobody has asked anything of.
        #expect(verdict(book([(0, 3, 3)]), [0: 3, 1: 2]).doubled == 1)
    }

    @Test("A change that nobody heard of may be there or not, but once")
    func unknown() {
        for (end, changes) in [(3, [(0, 3, 3)]), (7, [(0, 3, 3)]), (7, [(0, 3, 7)])] {
            #expect(verdict(book(changes, unknown: [4]), [0: end]) == LoadVerdict())
        }
        #expect(verdict(book([(0, 3, 3)], unknown: [4]), [0: 11]).doubled == 1)
        #expect(verdict(book([(0, 3, 3)], unknown: [4]), [0: 2]).lost == 1)
        // Less than all that is unknown, but no sum of it.
        #expect(verdict(book([(0, 3, 3)], unknown: [4, 8]), [0: 9]).doubled == 1)
        #expect(verdict(book([(0, 3, 3)], unknown: [4, 8]), [0: 11]) == LoadVerdict())
    }

    @Test("A12: a refused change must not be there")
    func refused() {
        var book = LoadBook()
        book.note(.increment(counter: 1, by: 2), .refused("no"), took: .zero)
        #expect(verdict(book, [:]) == LoadVerdict())
        #expect(verdict(book, [1: 2]).doubled == 1)
    }

    @Test("A10: an answer that does not build on what was answered before it was asked is not linearizable")
    func contradiction() {
        var book = LoadBook()
        func add(_ amount: Int, total: Int, floor: Int) {
            book.note(
                .increment(counter: 0, by: amount), .acknowledged(total: total), took: .zero, floor: floor)
        }
        let floor = book.begin(.increment(counter: 0, by: 1))
        add(4, total: 5, floor: floor)
        #expect(book.begin(.increment(counter: 0, by: 1)) == 5)
        var concurrent = book
        // Asked before the other was answered: the order is free. Then it was to come behind it.
        concurrent.note(
            .increment(counter: 0, by: 1), .acknowledged(total: 1), took: .zero, floor: floor)
        #expect(verdict(concurrent, [0: 5]) == LoadVerdict())
        add(1, total: 1, floor: 5)
        let stale = verdict(book, [0: 5])
        #expect(!stale.isLinearizable && !stale.isClean && stale.contradictions == 1)
        #expect(stale.lost == 0 && stale.doubled == 0)
    }

    @Test("The first ten findings are kept as text, with actor, expected and found")
    func findings() {
        let changes = (0..<30).map { (counter: $0, delta: 3, total: 3) }
        let verdict = verdict(book(changes), [:], of: 30)
        #expect(verdict.lost == 30 && verdict.findings.count == 10)
        #expect(verdict.findings[7] == "lost: counter/load/7: expected 3 or more, found nothing")
    }

    @Test("W31: a decision is followed, once, and so are its effects")
    func orders() {
        var book = LoadBook()
        book.note(.decide(order: 0, isApproved: true), .acknowledged(total: 0), took: .zero)
        func verdict(
            _ run: String?, _ status: String = "", left: Int = 0, effects: [String: String]? = nil
        ) -> LoadVerdict {
            let end = run.map { LoadBook.OrderEnd(runStatus: $0, status: status, messagesLeft: left) }
            var judged = book
            var outside = effects.map { calls in
                EffectBook(calls.map { .init(path: $0.value, idempotencyKey: $0.key) })
            }
            judged.judge(orders: end.map { [0: $0] } ?? [:], &outside)
            return judged.verdict
        }
        #expect(verdict("completed", "fulfilled") == LoadVerdict())
        #expect(verdict("completed", "cancelled").lost == 1)
        #expect(verdict("completed", "fulfilled", left: 1).doubled == 1)
        #expect(verdict("waiting", "awaitingApproval").undecided == 1)
        #expect(verdict(nil).lost == 1)

        var effects = ["a": "/orders/load/0/validate", "b": "/orders/load/0/fulfill"]
        #expect(verdict("completed", "fulfilled", effects: effects) == LoadVerdict())
        effects["c"] = "/orders/load/0/fulfill"
        #expect(verdict("completed", "fulfilled", effects: effects).doubled == 1)
        #expect(verdict("completed", "fulfilled", effects: ["b": "/orders/load/0/fulfill"]).lost == 1)
        effects["c"] = "/orders/load/0/cancel"
        #expect(verdict("completed", "fulfilled", effects: effects).doubled == 1)
    }

    @Test func theSameSeedAsksTheSame() {
        func operations(seed: UInt64) -> [LoadOperation] {
            var settings = LoadSettings()
            settings.seed = seed
            settings.ordersPercent = 10
            settings.transfersPercent = 10
            settings.keyedPercent = 10
            settings.timers = 5
            settings.operationsMax = 500
            var program = LoadProgram(settings)
            var all: [LoadOperation] = []
            while let operation = program.next() { all.append(operation) }
            while let alarm = program.nextAlarm(after: .zero) { all.append(alarm) }
            return all
        }
        #expect(operations(seed: 3) == operations(seed: 3))
        #expect(operations(seed: 3) != operations(seed: 4))
        #expect(operations(seed: 3).count == 505)
        let decided = operations(seed: 3).compactMap {
            if case .decide(let order, _) = $0 { order } else { nil }
        }
        #expect(decided == Array(0..<decided.count) && decided.count > 20)
    }

    @Test("Each counter is asked first, and has a sequence that is its own whatever the others have")
    func sequences() {
        func changes(actors: Int, operations: Int) -> [Int: [LoadOperation]] {
            var settings = LoadSettings()
            settings.actors = actors
            settings.keyedPercent = 30
            settings.operationsMax = operations
            var program = LoadProgram(settings)
            var all: [Int: [LoadOperation]] = [:]
            while let operation = program.next() {
                switch operation {
                case .increment(let counter, _), .request(let counter, _):
                    all[counter, default: []].append(operation)
                // Its number is one among all counters.
                case .keyed(let counter, let amount, _):
                    all[counter, default: []].append(.keyed(counter: counter, by: amount, number: 0))
                case .decide, .transfer, .alarm: Issue.record("\(operation) was not wanted")
                }
            }
            return all
        }
        let few = changes(actors: 4, operations: 200)
        let many = changes(actors: 50, operations: 400)
        #expect(many.count == 50)
        for counter in 0..<4 {
            let (a, b) = (few[counter] ?? [], many[counter] ?? [])
            let length = min(a.count, b.count)
            #expect(length > 3 && a.prefix(length) == b.prefix(length))
        }
    }

    @Test func latenciesAreRanks() {
        var book = LoadBook()
        for millis in (1...200).reversed() {
            book.note(
                .increment(counter: 0, by: 0), .acknowledged(total: 0), took: .milliseconds(millis))
        }
        let report = LoadReport(settings: LoadSettings(), took: .seconds(2), book: book)
        #expect(book.latencies.ranks([50, 99, 100]) == [100_000, 198_000, 200_000])
        #expect(report.throughput == 100)
        #expect(report.exitCode == 0)
    }
}
