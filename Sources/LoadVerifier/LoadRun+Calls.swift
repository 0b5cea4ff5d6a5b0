import ApusClient
import ClientProtocol
import HTTPCalls
import Identifiers
import NIOHTTP1

extension LoadRun {
    func address(_ kind: String, _ number: Int) throws(AddressError) -> ActorAddress {
        ActorAddress(kind: try ActorKind(kind), key: try ActorKey([name, String(number)]))
    }

    /// Asks, and asks again under the same identity until the outcome is known or patience ends: the
    /// connection by sequence (A13), plain HTTP by idempotency key.
    func outcome(of operation: LoadOperation) async -> LoadBook.Outcome {
        do {
            switch operation {
            case .increment(let counter, let amount):
                let output = try await connection.call(
                    try address("counter", counter), "increment", Payload("\(amount)"))
                return .acknowledged(total: try output.whole())
            case .request(let counter, let amount):
                let response = try await connection.request(
                    try address("counter", counter), "requests", Payload("{\"delta\":\(amount)}"),
                    timeout: settings.patience)
                guard let response else { return .unknown("no response within \(settings.patience)") }
                return .acknowledged(total: try response.whole("count"))
            case .keyed(let counter, let amount, let number):
                return try await addKeyed(counter, amount, key: "\(name)-\(number)")
            case .decide(let order, let isApproved):
                let body = Payload("{\"approved\":\(isApproved)}")
                try await connection.send(try address("order", order), "approval", body)
                return .acknowledged(total: 0)
            case .transfer(let transfer): return try await pay(transfer)
            case .alarm(let number, let delay):
                let input = Payload("{\"delayMillis\":\(delay),\"rings\":\(outside != nil)}")
                try await connection.create(
                    try address("verifyAlarm", number), input: input, ifAbsent: true)
                return .acknowledged(total: 0)
            }
        } catch let error as ClientError {
            // A sequence that the actor has forgotten says nothing about its first execution.
            guard case .actor(let refusal) = error, refusal != .sessionExpired else {
                return .unknown(error.description)
            }
            return .refused(error.description)
        } catch { return .unknown("\(error)") }
    }

    private func pay(_ transfer: LoadTransfer) async throws -> LoadBook.Outcome {
        let members = "\"transfer\":\(transfer.number),\"to\":\(transfer.to),\"amount\":\(transfer.amount)"
        let isPaid: Payload?
        switch transfer.way {
        case .byMessage:
            isPaid = try await connection.call(
                try address("verifyAccount", transfer.from), "transfer", Payload("{\(members)}"))
        case .byCalls, .byCallAndMessage:
            let isSent = transfer.way == .byCallAndMessage
            let response = try await connection.request(
                try address("verifyTeller", transfer.number % Self.tellers), "orders",
                Payload("{\(members),\"from\":\(transfer.from),\"isSent\":\(isSent)}"),
                timeout: settings.patience)
            guard let response else { return .unknown("no response within \(settings.patience)") }
            isPaid = try response.members()["isPaid"]
        }
        switch isPaid?.text {
        case "true": return .acknowledged(total: 0)
        case "false": return .overdrawn
        default:
            throw LoadFailure(description: "the node answered a transfer with \(isPaid?.text ?? "nothing")")
        }
    }

    // MARK: Idempotency keys

    private func addKeyed(_ counter: Int, _ amount: Int, key: String) async throws -> LoadBook.Outcome {
        let path = "/actors/\(try address("counter", counter))/actions/increment"
        let deadline = ContinuousClock.now + settings.patience
        var pause = Duration.milliseconds(20)
        var place = counter
        var last = "no answer within \(settings.patience)"
        while ContinuousClock.now < deadline {
            do throws(HTTPFailure) {
                let reply = try await callers[place % callers.count].send(
                    .POST, path, headers: [("Idempotency-Key", key)], body: Array("\(amount)".utf8),
                    timeout: min(.seconds(10), deadline - ContinuousClock.now))
                if reply.isSuccess {
                    return .acknowledged(total: try wholeOutput(of: Payload(reply.body)))
                }
                last = String(decoding: reply.body.prefix(300), as: UTF8.self)
                if Self.isFinal(status: reply.status) { return .refused(last) }
                // What happened is not remembered any more, so asking again says nothing.
                if reply.status == 410 { return .unknown(last) }
            } catch { last = error.description }
            place += 1
            try await Task.sleep(for: pause)
            pause = min(.milliseconds(500), pause * 2)
        }
        return .unknown(last)
    }

    private func wholeOutput(of payload: Payload) throws(HTTPFailure) -> Int {
        do { return try payload.whole("output") } catch { throw .brokenOff("\(error)") }
    }

    /// Whether a status says that nothing was done and nothing will be. Overload, stopping and moving nodes
    /// are to be asked again.
    private static func isFinal(status: Int) -> Bool { [400, 404, 405, 413, 422].contains(status) }
}

// MARK: JSON

extension Payload {
    /// - Throws: `LoadFailure` if this is no JSON object.
    func members() throws -> [String: Payload] {
        do throws(JSONError) {
            return try JSONSlice.members(of: bytes.span).mapValues { $0.payload(in: bytes.span) }
        } catch { throw LoadFailure(description: "the node answered \(text): \(error)") }
    }

    func whole(_ member: String? = nil) throws -> Int {
        let value = try member.map { try members()[$0] ?? .null } ?? self
        guard let number = JSONSlice(place: 0..<value.bytes.count).integer(in: value.bytes.span) else {
            throw LoadFailure(description: "the node answered \(value.text) in place of a total")
        }
        return Int(number)
    }

    /// The text of a JSON string.
    var string: String { JSONSlice(place: 0..<bytes.count).string(in: bytes.span) ?? text }
}
