import Testing

@testable import LoadVerifier

/// Ledgers by hand: two accounts, of which the first sends to the second.
@Suite("The verdict about a bank")
struct TransferBookTests {
    private typealias Entry = VerifiedAccount.Entry

    private func book(_ outcome: TransferBook.Outcome, amount: Int = 30) -> TransferBook {
        var book = TransferBook(accountsOfBank: 2, transfersOfBank: 100)
        book.begin(LoadTransfer(number: 0, from: 0, to: 1, amount: amount, way: .byMessage))
        book.end(0, outcome)
        return book
    }

    /// - Parameter ledgers: the amounts of each account's entries for transfer 0.
    private func verdict(
        _ outcome: TransferBook.Outcome, _ ledgers: [[Int]], balances: [Int]? = nil
    ) -> LoadVerdict {
        var book = book(outcome)
        var verdict = LoadVerdict()
        book.judge(0, accounts(ledgers, balances), bankName: "load", &verdict)
        return verdict
    }

    private func accounts(_ ledgers: [[Int]], _ balances: [Int]? = nil) -> [Int: VerifiedAccount] {
        var all: [Int: VerifiedAccount] = [:]
        for (number, amounts) in ledgers.enumerated() {
            all[number] = VerifiedAccount(
                balance: balances?[number] ?? 100 + amounts.reduce(0, +),
                entries: amounts.map { Entry(transfer: 0, amount: $0) })
        }
        return all
    }

    @Test("I20: a paid transfer is in both ledgers, any other in none, an unknown one in both or none")
    func clean() {
        #expect(verdict(.paid, [[-30], [30]]) == LoadVerdict())
        #expect(verdict(.overdrawn, [[], []]) == LoadVerdict())
        #expect(verdict(.refused, []) == LoadVerdict())
        #expect(verdict(.unknown, [[-30], [30]]) == LoadVerdict())
        #expect(verdict(.unknown, [[], []]) == LoadVerdict())
    }

    @Test("I20: a paid transfer that a ledger does not have is lost")
    func lost() {
        #expect(verdict(.paid, [[], []]).lost == 1)
        #expect(verdict(.paid, [[-30], []]).lost == 1)
        #expect(verdict(.paid, []).lost == 1)
        #expect(verdict(.unknown, [[-30], []]).lost == 1)
    }

    @Test("I20: a transfer that a ledger has twice, or that was not made, is doubled")
    func doubled() {
        #expect(verdict(.paid, [[-30], [30, 30]]).doubled == 1)
        #expect(verdict(.paid, [[-30, -30], [30]]).doubled == 1)
        #expect(verdict(.overdrawn, [[-30], [30]]).doubled == 1)
        #expect(verdict(.refused, [[-30], [30]]).doubled == 1)
        #expect(verdict(.unknown, [[], [30]]).doubled == 1)
        // An amount that is not the transfer's.
        #expect(verdict(.overdrawn, [[-20], []]).doubled == 1)
    }

    @Test("Money that the ledgers do not explain is made or destroyed")
    func balances() {
        #expect(verdict(.paid, [[-30], [30]], balances: [70, 131]).doubled == 1)
        #expect(verdict(.paid, [[-30], [30]], balances: [69, 130]).lost == 1)
        // The sum is right by chance.
        #expect(verdict(.paid, [[-30], [30]], balances: [69, 131]).isClean == false)
        var book = book(.paid, amount: 120)
        var verdict = LoadVerdict()
        book.judge(0, accounts([[-120], [120]]), bankName: "load", &verdict)
        #expect(verdict.doubled == 1, "120 of 100 were spent")
    }

    @Test("A bank is at rest when what was taken has come, and what was acknowledged has, too")
    func settled() {
        #expect(book(.paid).isSettled(0, accounts([[-30], [30]])))
        #expect(!book(.paid).isSettled(0, accounts([[-30], []])))
        #expect(!book(.paid).isSettled(0, [:]))
        #expect(!book(.unknown).isSettled(0, accounts([[-30], []])))
        #expect(book(.unknown).isSettled(0, [:]))
    }

    @Test("Banks are closed after their transfers, and what is constant is the sum of all")
    func totals() {
        var settings = LoadSettings()
        settings.accounts = 3
        settings.transfersPercent = 100
        settings.operationsMax = 400
        var program = LoadProgram(settings)
        var book = TransferBook(accountsOfBank: 3, transfersOfBank: settings.transfersOfBank)
        while case .transfer(let transfer) = program.next() {
            #expect(transfer.from != transfer.to && 1...VerifiedAccount.opening ~= transfer.amount)
            #expect(book.accounts(ofBank: transfer.number / 150).contains(transfer.from))
            #expect(book.accounts(ofBank: transfer.number / 150).contains(transfer.to))
            book.begin(transfer)
            book.end(transfer.number, .overdrawn)
        }
        #expect(book.banks == 3 && book.count(.overdrawn) == 400)
        var verdict = LoadVerdict()
        for bank in 0..<3 {
            var accounts: [Int: VerifiedAccount] = [:]
            for number in book.accounts(ofBank: bank) {
                accounts[number] = VerifiedAccount(balance: 100, entries: [])
            }
            book.judge(bank, accounts, bankName: "load", &verdict)
        }
        #expect(verdict == LoadVerdict())
        #expect(book.moneyExpected == 900 && book.moneyFound == 900 && book.accountsJudged == 9)
    }
}

@Suite("The verdict about timers")
struct AlarmBookTests {
    /// A timer of a second, set at second 1.
    private func judged(
        _ outcome: AlarmBook.Outcome = .set, firedAt: [UInt64]?, dueAt: UInt64 = 2_000_000
    ) -> (book: AlarmBook, verdict: LoadVerdict) {
        var book = AlarmBook()
        var verdict = LoadVerdict()
        book.note(0, delayMillis: 1_000, outcome)
        let end = firedAt.map { VerifiedAlarm(setAt: 1_000_000, dueAt: dueAt, firedAt: $0) }
        book.judge(0, "verifyAlarm/load/0", end, &verdict)
        return (book, verdict)
    }

    @Test("W30: a timer that fires once and late is clean, and its lateness is known")
    func clean() {
        let (book, verdict) = judged(firedAt: [2_000_700])
        #expect(verdict == LoadVerdict())
        #expect(book.fired == 1 && book.missing == 0 && book.lateness == [700])
        #expect(judged(firedAt: [2_000_000]).verdict == LoadVerdict())
        #expect(judged(.unknown, firedAt: nil).verdict == LoadVerdict())
    }

    @Test("W30: a timer that fires early is told")
    func early() {
        let (book, verdict) = judged(firedAt: [1_999_999])
        #expect(verdict.early == 1 && !verdict.isClean)
        #expect(book.lateness == [])
    }

    @Test("W30: a timer that never fires, or is gone, is lost")
    func missing() {
        #expect(judged(firedAt: []).verdict.lost == 1)
        #expect(judged(firedAt: nil).verdict.lost == 1)
        #expect(judged(firedAt: nil).book.missing == 1)
    }

    @Test("W30: a timer that fires twice is doubled, and so is one that was refused and is there")
    func doubled() {
        #expect(judged(firedAt: [2_000_000, 2_000_001]).verdict.doubled == 1)
        #expect(judged(.refused, firedAt: [2_000_000]).verdict.doubled == 1)
    }

    @Test("A due time that is not the one that was asked for is found")
    func moved() {
        #expect(judged(firedAt: [3_000_000], dueAt: 3_000_000).verdict.lost == 1)
    }

    @Test("Attempts under one key are one effect; two keys are two, and a failed call is none")
    func effects() {
        func verdict(_ calls: [EffectBook.Call]) -> LoadVerdict {
            var book = EffectBook(calls)
            var verdict = LoadVerdict()
            book.judge("/ring", happens: true, &verdict)
            return verdict
        }
        let call = EffectBook.Call(path: "/ring", idempotencyKey: "a")
        #expect(verdict([call, call]) == LoadVerdict())
        #expect(verdict([call, EffectBook.Call(path: "/ring", idempotencyKey: "b")]).doubled == 1)
        #expect(verdict([call, EffectBook.Call(path: "/ring", idempotencyKey: nil)]).doubled == 1)
        #expect(verdict([EffectBook.Call(path: "/ring", idempotencyKey: "a", status: 500)]).lost == 1)
        #expect(verdict([]).lost == 1)
    }
}
