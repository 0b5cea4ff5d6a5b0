import ApusClient
import ClientProtocol
import Foundation
import HTTPCalls
import Identifiers
import NIOHTTP1
import OperatorCommands
import Synchronization

extension LoadRun {
    /// Actors that are looked at before they are judged and forgotten.
    private static let pageSize = 5_000

    /// Looks at every actor, and judges.
    func readBack(since start: ContinuousClock.Instant) async throws {
        try await readCounters()
        try await readBanks()
        try await readAlarms(since: start)
        let orders = book.withLock { $0.orderNumbers }
        let ends = try await look(at: orders, "orders") { try await self.end(of: $0) }
        var effects = try await effects("/orders/\(name)/", isWanted: !orders.isEmpty)
        book.withLock { [effects] book in
            var effects = effects
            book.judge(orders: ends, &effects)
        }
        effects = try await self.effects("/verify/alarms/\(name)/", isWanted: settings.timers > 0)
        guard var rings = effects else { return }
        book.withLock { book in
            for number in 0..<book.alarms.count where book.alarms.isSet(number) {
                rings.judge("/verify/alarms/\(name)/\(number)", happens: true, &book.verdict)
            }
        }
    }

    /// Every counter, also those that no change was acknowledged for: nothing may be there that was not asked
    /// for.
    private func readCounters() async throws {
        for first in stride(from: 0, to: settings.actors, by: Self.pageSize) {
            let page = first..<min(settings.actors, first + Self.pageSize)
            let totals = try await look(at: Array(page), "counters", of: settings.actors) { number in
                try await self.members("counter", number)?["state"]?.whole("count")
            }
            book.withLock { $0.judge(counters: page, totals) }
        }
    }

    // MARK: Banks

    private func readBanks() async throws {
        let banks = book.withLock { $0.transfers.banks }
        let deadline = ContinuousClock.now + settings.patience
        for bank in 0..<banks {
            let numbers = Array(book.withLock { $0.transfers.accounts(ofBank: bank) })
            while true {
                let accounts = try await look(at: numbers, "accounts", of: banks * settings.accounts) {
                    number in
                    try await self.state("verifyAccount", number, as: VerifiedAccount.self)
                }
                let isOver = ContinuousClock.now >= deadline
                let isJudged = book.withLock { book in
                    guard isOver || book.transfers.isSettled(bank, accounts) else { return false }
                    book.transfers.judge(bank, accounts, bankName: name, &book.verdict)
                    return true
                }
                if isJudged { break }
                // Money is on its way yet.
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    // MARK: Timers

    private func readAlarms(since start: ContinuousClock.Instant) async throws {
        guard settings.timers > 0 else { return }
        let due = start + settings.timersDue.upperBound
        while ContinuousClock.now < due {
            let rest = (due - ContinuousClock.now).components.seconds + 1
            stage.withLock { $0 = "waiting for timers, the last is due in \(rest) s" }
            try await Task.sleep(for: min(.seconds(1), due - ContinuousClock.now))
        }
        let deadline = due + settings.patience
        for first in stride(from: 0, to: settings.timers, by: Self.pageSize) {
            let page = first..<min(settings.timers, first + Self.pageSize)
            let ends = try await look(at: Array(page), "timers", of: settings.timers) { number in
                try await self.alarm(number, deadline: deadline)
            }
            book.withLock { book in
                for number in page {
                    let actor = book.address("verifyAlarm", number)
                    book.alarms.judge(number, actor, ends[number]?.alarm, &book.verdict)
                    if let status = ends[number]?.runStatus, status != "completed" {
                        book.verdict.leave("\(actor): expected its run completed, found \(status)")
                    }
                }
            }
        }
    }

    private func alarm(
        _ number: Int, deadline: ContinuousClock.Instant
    ) async throws -> (alarm: VerifiedAlarm, runStatus: String)? {
        while true {
            guard let members = try await members("verifyAlarm", number) else { return nil }
            let status = try (members["run"] ?? Payload("{}")).members()["status"]?.string ?? "absent"
            if Self.hasEnded(status) || ContinuousClock.now >= deadline {
                let state = members["state"] ?? .null
                return (try decode(VerifiedAlarm.self, state, "verifyAlarm", number), status)
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    // MARK: Orders

    /// Waits for the end of an order's run.
    private func end(of order: Int) async throws -> LoadBook.OrderEnd? {
        let deadline = ContinuousClock.now + settings.patience
        while true {
            guard let order = try await members("order", order) else { return nil }
            let run = try (order["run"] ?? Payload("{}")).members()["status"]?.string ?? "absent"
            if Self.hasEnded(run) || ContinuousClock.now >= deadline {
                let queues = try (order["queues"] ?? Payload("{}")).members()
                return LoadBook.OrderEnd(
                    runStatus: run,
                    status: try (order["state"] ?? Payload("{}")).members()["status"]?.string ?? "absent",
                    messagesLeft: try queues.values.reduce(0) { $0 + (try $1.whole()) })
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    private static func hasEnded(_ status: String) -> Bool {
        ["completed", "failed", "cancelled", "stalled"].contains(status)
    }

    // MARK: Effects

    /// What the outside world has recorded below a path; nil if nobody is to be asked, or nothing was to
    /// happen.
    private func effects(_ prefix: String, isWanted: Bool) async throws -> EffectBook? {
        guard isWanted, let outside else { return nil }
        stage.withLock { $0 = "reading what happened outside" }
        let caller = HTTPCaller(host: outside.host, port: outside.port)
        do throws(HTTPFailure) {
            let reply = try await caller.send(.GET, "/_calls?prefix=\(prefix)", timeout: .seconds(60))
            guard reply.isSuccess else { throw .brokenOff("its status is \(reply.status)") }
            do {
                return EffectBook(
                    try JSONDecoder().decode([EffectBook.Call].self, from: Data(reply.body)))
            } catch { throw .brokenOff("\(error)") }
        } catch {
            throw LoadFailure(description: "the outside world at \(outside) cannot be asked: \(error)")
        }
    }

    // MARK: Actors

    /// Looks at actors, as many at once as calls were or a few more, and says how far it is.
    private func look<Value: Sendable>(
        at numbers: [Int], _ what: String, of total: Int? = nil,
        _ look: @escaping @Sendable (Int) async throws -> Value?
    ) async throws -> [Int: Value] {
        let width = max(32, settings.inFlight)
        return try await withThrowingTaskGroup(of: [(Int, Value)].self) { group in
            for first in 0..<min(width, numbers.count) {
                group.addTask {
                    var found: [(Int, Value)] = []
                    for place in stride(from: first, to: numbers.count, by: width) {
                        let number = numbers[place]
                        if place % 100 == 0 {
                            self.stage.withLock {
                                $0 = "reading back \(what), \(number) of \(total ?? numbers.count)"
                            }
                        }
                        if let value = try await look(number) { found.append((number, value)) }
                    }
                    return found
                }
            }
            var all: [Int: Value] = [:]
            for try await found in group { for (number, value) in found { all[number] = value } }
            return all
        }
    }

    private func members(_ kind: String, _ number: Int) async throws -> [String: Payload]? {
        do {
            return try (try await connection.describe(try address(kind, number))).members()
        } catch ClientError.actor(let error) where error.code == "not_found" {
            return nil
        } catch let error as ClientError {
            throw LoadFailure(description: "\(kind) \(number) cannot be read back: \(error)")
        }
    }

    private func state<Value: Decodable>(
        _ kind: String, _ number: Int, as type: Value.Type
    ) async throws -> Value? {
        guard let state = try await members(kind, number)?["state"] else { return nil }
        return try decode(type, state, kind, number)
    }

    private func decode<Value: Decodable>(
        _ type: Value.Type, _ state: Payload, _ kind: String, _ number: Int
    ) throws -> Value {
        do { return try JSONDecoder().decode(type, from: Data(state.bytes)) } catch {
            throw LoadFailure(description: "the state of \(kind) \(number) is \(state.text)")
        }
    }
}
