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

    @Test("A13: changes that continue each other, in whatever order they were heard, are clean")
    func clean() {
        let verdict = book([(0, 3, 8), (1, 4, 4), (0, 5, 5), (0, 1, 9)]).verdict(
            totals: [0: 9, 1: 4], ends: [:])
        #expect(verdict == LoadVerdict())
        #expect(verdict.isClean)
    }

    @Test("R17: a change that is not there is lost, also if a later one hides it from the sum")
    func lost() {
        #expect(book([(0, 3, 3), (0, 5, 8)]).verdict(totals: [0: 3], ends: [:]).lost == 1)
        #expect(book([(0, 3, 3)]).verdict(totals: [:], ends: [:]).lost == 1)
        // +5 was forgotten when +2 came, and +5 was doubled afterwards.
        let hidden = book([(0, 3, 3), (0, 5, 8), (0, 2, 5)]).verdict(totals: [0: 10], ends: [:])
        #expect(hidden.lost == 1)
        #expect(hidden.doubled == 1)
    }

    @Test("A13: a change that is there twice is doubled")
    func doubled() {
        #expect(book([(0, 3, 3), (0, 5, 13)]).verdict(totals: [0: 13], ends: [:]).doubled == 1)
        #expect(book([(0, 3, 3)]).verdict(totals: [0: 6], ends: [:]).doubled == 1)
    }

    @Test("A change that nobody heard of may be there or not, but once")
    func unknown() {
        for (end, changes) in [(3, [(0, 3, 3)]), (7, [(0, 3, 3)]), (7, [(0, 3, 7)])] {
            #expect(book(changes, unknown: [4]).verdict(totals: [0: end], ends: [:]) == LoadVerdict())
        }
        #expect(book([(0, 3, 3)], unknown: [4]).verdict(totals: [0: 11], ends: [:]).doubled == 1)
        #expect(book([(0, 3, 3)], unknown: [4]).verdict(totals: [0: 2], ends: [:]).lost == 1)
    }

    @Test("A12: a refused change must not be there")
    func refused() {
        var book = LoadBook()
        book.note(.increment(counter: 7, by: 2), .refused("no"), took: .zero)
        #expect(book.counterNumbers == [7])
        #expect(book.verdict(totals: [:], ends: [:]) == LoadVerdict())
        #expect(book.verdict(totals: [7: 2], ends: [:]).doubled == 1)
    }

    @Test("W31: a decision is followed, once")
    func orders() {
        var book = LoadBook()
        book.note(.decide(order: 0, isApproved: true), .acknowledged(total: 0), took: .zero)
        func verdict(_ run: String, _ status: String, left: Int = 0) -> LoadVerdict {
            let end = LoadBook.OrderEnd(runStatus: run, status: status, messagesLeft: left)
            return book.verdict(totals: [:], ends: [0: end])
        }
        #expect(verdict("completed", "fulfilled") == LoadVerdict())
        #expect(verdict("completed", "cancelled").lost == 1)
        #expect(verdict("completed", "fulfilled", left: 1).doubled == 1)
        #expect(verdict("waiting", "awaitingApproval").undecided == 1)
        #expect(book.verdict(totals: [:], ends: [:]).lost == 1)
    }

    @Test func theSameSeedAsksTheSame() {
        func operations(seed: UInt64) -> [LoadOperation] {
            var settings = LoadSettings()
            settings.seed = seed
            settings.ordersPercent = 10
            settings.operationsMax = 500
            var program = LoadProgram(settings)
            var all: [LoadOperation] = []
            while let operation = program.next() { all.append(operation) }
            return all
        }
        #expect(operations(seed: 3) == operations(seed: 3))
        #expect(operations(seed: 3) != operations(seed: 4))
        #expect(operations(seed: 3).count == 500)
        let decided = operations(seed: 3).compactMap {
            if case .decide(let order, _) = $0 { order } else { nil }
        }
        #expect(decided == Array(0..<decided.count) && decided.count > 20)
    }

    @Test func latenciesAreRanks() {
        var book = LoadBook()
        for millis in (1...200).reversed() {
            book.note(
                .increment(counter: 0, by: 0), .acknowledged(total: 0), took: .milliseconds(millis))
        }
        let report = LoadReport(
            name: "load", settings: LoadSettings(), took: .seconds(2), book: book,
            verdict: book.verdict(totals: [0: 0], ends: [:]))
        #expect([50, 99, 100].map { report.latency(percent: $0) } == [100_000, 198_000, 200_000])
        #expect(report.throughput == 100)
        #expect(report.exitCode == 0)
    }
}
