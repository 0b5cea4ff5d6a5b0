/// How an account stands in the end, as the node tells it.
package struct VerifiedAccount: Hashable, Sendable, Decodable {
    /// What each has to begin with.
    package static let opening = 100

    package struct Entry: Hashable, Sendable, Decodable {
        package var transfer: Int
        package var amount: Int
        package init(transfer: Int, amount: Int) {
            self.transfer = transfer
            self.amount = amount
        }
    }
    package var balance: Int
    package var entries: [Entry]

    package init(balance: Int, entries: [Entry]) {
        self.balance = balance
        self.entries = entries
    }
}

/// The model of the bank: a transfer that was paid is in both ledgers once, any other in none, and there is
/// as much money in the end as in the beginning.
package struct TransferBook: Sendable {
    package enum Outcome: UInt8, Sendable {
        /// Not answered (yet): in both ledgers, or in none.
        case unknown
        case paid
        /// There was not enough.
        case overdrawn
        /// The node said no.
        case refused
    }

    private struct Record: Sendable {
        var from: Int32
        var to: Int32
        var amount: Int32
        var outcome: Outcome
    }

    /// What the ledgers of one bank say about its transfers.
    private struct Sides {
        var debits: [UInt8]
        var credits: [UInt8]
    }

    private let accountsOfBank: Int
    private let transfersOfBank: Int
    private var records: [Record] = []
    package private(set) var moneyExpected = 0
    package private(set) var moneyFound = 0
    package private(set) var accountsJudged = 0

    /// - Parameters:
    ///   - accountsOfBank: transfers go between the accounts of one bank only.
    ///   - transfersOfBank: how many each bank sees.
    package init(accountsOfBank: Int, transfersOfBank: Int) {
        self.accountsOfBank = accountsOfBank
        self.transfersOfBank = transfersOfBank
    }

    package var count: Int { records.count }
    package func count(_ outcome: Outcome) -> Int { records.count { $0.outcome == outcome } }
    package var banks: Int { (records.count + transfersOfBank - 1) / max(1, transfersOfBank) }
    package func accounts(ofBank bank: Int) -> Range<Int> {
        bank * accountsOfBank..<(bank + 1) * accountsOfBank
    }

    /// The transfer is asked for. They come in the order of their numbers, nearly.
    package mutating func begin(_ transfer: LoadTransfer) {
        while records.count <= transfer.number {
            records.append(Record(from: -1, to: -1, amount: 0, outcome: .refused))
        }
        records[transfer.number] = Record(
            from: Int32(transfer.from), to: Int32(transfer.to), amount: Int32(transfer.amount),
            outcome: .unknown)
    }

    package mutating func end(_ number: Int, _ outcome: Outcome) { records[number].outcome = outcome }

    private func transfers(ofBank bank: Int) -> Range<Int> {
        bank * transfersOfBank..<min(records.count, (bank + 1) * transfersOfBank)
    }

    /// Whether no money is on its way: what was taken has come, and what was acknowledged has, too.
    package func isSettled(_ bank: Int, _ accounts: [Int: VerifiedAccount]) -> Bool {
        var ignored = LoadVerdict()
        let sides = sides(bank, accounts, "", &ignored)
        return transfers(ofBank: bank).enumerated().allSatisfy { index, number in
            let wanted: UInt8 = records[number].outcome == .paid ? 1 : sides.debits[index]
            return sides.debits[index] >= wanted && sides.credits[index] >= wanted
        }
    }

    /// - Parameters:
    ///   - accounts: those of the bank, by number; one that was never asked for may be absent.
    ///   - bankName: the first part of their keys.
    package mutating func judge(
        _ bank: Int, _ accounts: [Int: VerifiedAccount], bankName: String, _ verdict: inout LoadVerdict
    ) {
        let findings = (verdict.lost, verdict.doubled)
        let sides = sides(bank, accounts, bankName, &verdict)
        for (index, number) in transfers(ofBank: bank).enumerated() {
            judge(number, debits: sides.debits[index], credits: sides.credits[index], bankName, &verdict)
        }
        let expected = accounts.count * VerifiedAccount.opening
        let found = accounts.values.reduce(0) { $0 + $1.balance }
        moneyExpected += expected
        moneyFound += found
        accountsJudged += accounts.count
        // What a transfer or a ledger explains is found already.
        guard found != expected, findings == (verdict.lost, verdict.doubled) else { return }
        let sentence = "money of bank \(bank) of \(bankName): expected \(expected), found \(found)"
        if found < expected { verdict.lose(sentence) } else { verdict.double(sentence) }
    }

    private func judge(
        _ number: Int, debits: UInt8, credits: UInt8, _ bankName: String, _ verdict: inout LoadVerdict
    ) {
        let record = records[number]
        func sentence(_ expected: String) -> String {
            "transfer \(number) of \(record.amount) from verifyAccount/\(bankName)/\(record.from) to "
                + "\(record.to), \(record.outcome): expected \(expected), found \(debits) debits and "
                + "\(credits) credits"
        }
        switch record.outcome {
        case .paid where debits == 0 || credits == 0: verdict.lose(sentence("one of each"))
        case .paid where debits > 1 || credits > 1: verdict.double(sentence("one of each"))
        case .overdrawn where debits + credits > 0, .refused where debits + credits > 0:
            verdict.double(sentence("none"))
        case .unknown where debits > 1 || credits > 1 || credits > debits:
            verdict.double(sentence("both or none"))
        case .unknown where debits > credits: verdict.lose(sentence("both or none"))
        default: break
        }
    }

    /// Goes over the ledgers: each entry is one side of a transfer, no balance was ever below zero, and the
    /// entries explain it.
    private func sides(
        _ bank: Int, _ accounts: [Int: VerifiedAccount], _ bankName: String, _ verdict: inout LoadVerdict
    ) -> Sides {
        let transfers = transfers(ofBank: bank)
        let none = [UInt8](repeating: 0, count: transfers.count)
        var sides = Sides(debits: none, credits: none)
        for (number, account) in accounts.sorted(by: { $0.key < $1.key }) {
            let name = "verifyAccount/\(bankName)/\(number)"
            var balance = VerifiedAccount.opening
            for entry in account.entries {
                balance += entry.amount
                let record = transfers.contains(entry.transfer) ? records[entry.transfer] : nil
                let index = entry.transfer - transfers.lowerBound
                if let record, Int(record.from) == number, entry.amount == -Int(record.amount) {
                    sides.debits[index] = min(100, sides.debits[index] + 1)
                } else if let record, Int(record.to) == number, entry.amount == Int(record.amount) {
                    sides.credits[index] = min(100, sides.credits[index] + 1)
                } else {
                    verdict.double(
                        "\(name): expected no \(entry.amount) of transfer \(entry.transfer), found it"
                    )
                }
                if balance < 0 { verdict.double("\(name): expected 0 or more, found \(balance) spent") }
            }
            guard balance != account.balance else { continue }
            let sentence = "\(name): expected \(balance) by its ledger, found \(account.balance)"
            if account.balance < balance { verdict.lose(sentence) } else { verdict.double(sentence) }
        }
        return sides
    }
}
