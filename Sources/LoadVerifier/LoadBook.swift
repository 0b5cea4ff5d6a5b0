/// What was asked and what was answered, and the model of what must be there in the end.
package struct LoadBook: Sendable {
    /// What became of one call.
    package enum Outcome: Hashable, Sendable {
        /// Acknowledged; a counter's change answers with the total behind it.
        case acknowledged(total: Int)
        /// The money was not there.
        case overdrawn
        /// The node said no, so nothing may have changed.
        case refused(String)
        /// No answer in all the time that the call was repeated: it may have happened, once.
        case unknown(String)
    }

    /// How an order stands in the end.
    package struct OrderEnd: Hashable, Sendable {
        package var runStatus: String
        package var status: String
        package var messagesLeft: Int
        package init(runStatus: String, status: String, messagesLeft: Int) {
            self.runStatus = runStatus
            self.status = status
            self.messagesLeft = messagesLeft
        }
    }

    /// The first part of every actor's key.
    package let name: String
    package private(set) var acknowledged = 0
    package private(set) var refused = 0
    package private(set) var unknown = 0
    /// Of acknowledged calls.
    package private(set) var latencies = Latencies()
    /// Of those that turns answer.
    package private(set) var turnLatencies = Latencies()
    package private(set) var firstRefusal: String?
    package private(set) var counters = CounterBook()
    package var transfers: TransferBook
    package var alarms = AlarmBook()
    /// What was found while calls were answered, and then while everything was read back.
    package var verdict = LoadVerdict()
    /// Acknowledged decisions.
    private var orders: [Int: Bool] = [:]

    package init(name: String = "load", settings: LoadSettings = LoadSettings()) {
        self.name = name
        transfers = TransferBook(
            accountsOfBank: settings.accounts, transfersOfBank: settings.transfersOfBank)
    }

    package var calls: Int { acknowledged + refused + unknown }
    package var orderNumbers: [Int] { orders.keys.sorted() }

    package func address(_ kind: String, _ number: Int) -> String { "\(kind)/\(name)/\(number)" }

    /// The operation is about to be asked for.
    /// - Returns: what the answer must build on, for `note`.
    package mutating func begin(_ operation: LoadOperation) -> Int {
        switch operation {
        case .increment(let counter, _), .request(let counter, _), .keyed(let counter, _, _):
            return counters.floor(of: counter)
        case .transfer(let transfer):
            transfers.begin(transfer)
            return 0
        case .decide, .alarm: return 0
        }
    }

    package mutating func note(
        _ operation: LoadOperation, _ outcome: Outcome, took: Duration, floor: Int = 0
    ) {
        switch outcome {
        case .acknowledged, .overdrawn:
            acknowledged += 1
            latencies.add(took)
            if operation.isAnsweredByTurn { turnLatencies.add(took) }
        case .refused(let reason):
            refused += 1
            firstRefusal = firstRefusal ?? reason
        case .unknown(let reason):
            unknown += 1
            firstRefusal = firstRefusal ?? reason
        }
        switch operation {
        case .increment(let counter, let amount), .request(let counter, let amount),
            .keyed(let counter, let amount, _):
            noteChange(counter, by: amount, outcome, floor: floor)
        case .decide(let order, let isApproved):
            if case .acknowledged = outcome { orders[order] = isApproved }
        case .transfer(let transfer): transfers.end(transfer.number, .init(outcome))
        case .alarm(let number, let delay): alarms.note(number, delayMillis: delay, .init(outcome))
        }
    }

    private mutating func noteChange(_ counter: Int, by amount: Int, _ outcome: Outcome, floor: Int) {
        switch outcome {
        case .acknowledged(let total):
            counters.acknowledge(
                counter, address("counter", counter), by: amount, total: total, floor: floor, &verdict)
        case .unknown: counters.doubt(counter, by: amount)
        // A refused change must not be there.
        case .refused, .overdrawn: break
        }
    }

    // MARK: Judging

    /// - Parameter totals: of these counters in the end; one that is absent is not there.
    package mutating func judge(counters numbers: Range<Int>, _ totals: [Int: Int]) {
        for number in numbers {
            counters.judge(number, address("counter", number), final: totals[number], &verdict)
        }
    }

    /// - Parameter effects: nil if nobody knows what happened outside.
    package mutating func judge(orders ends: [Int: OrderEnd], _ effects: inout EffectBook?) {
        for number in orderNumbers {
            guard let isApproved = orders[number] else { continue }
            let name = address("order", number)
            let expected = isApproved ? "fulfilled" : "cancelled"
            guard let end = ends[number] else {
                verdict.lose("\(name): expected \(expected), found nothing")
                continue
            }
            guard end.runStatus == "completed" else {
                verdict.leave("\(name): expected its run completed, found \(end.runStatus)")
                continue
            }
            if end.status != expected { verdict.lose("\(name): expected \(expected), found \(end.status)") }
            if end.messagesLeft > 0 {
                verdict.double("\(name): expected no decision left, found \(end.messagesLeft)")
            }
            let path = "/orders/\(self.name)/\(number)"
            effects?.judge("\(path)/validate", happens: true, &verdict)
            effects?.judge("\(path)/fulfill", happens: isApproved, &verdict)
            effects?.judge("\(path)/cancel", happens: !isApproved, &verdict)
        }
    }
}

extension TransferBook.Outcome {
    fileprivate init(_ outcome: LoadBook.Outcome) {
        switch outcome {
        case .acknowledged: self = .paid
        case .overdrawn: self = .overdrawn
        case .refused: self = .refused
        case .unknown: self = .unknown
        }
    }
}

extension AlarmBook.Outcome {
    fileprivate init(_ outcome: LoadBook.Outcome) {
        switch outcome {
        case .acknowledged: self = .set
        case .refused, .overdrawn: self = .refused
        case .unknown: self = .unknown
        }
    }
}
