import Foundation
import OutsideWorldServer
import Testing

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

@Suite("The outside world over loopback", .timeLimit(.minutes(1)))
struct OutsideWorldServerTests {
    @Test func recordsEachCallInOrderAndAnswersJSON() async throws {
        try await withServer { server, client async throws in
            let first = try await client.send(
                "POST", "/v1/charges?n=1", body: #"{"cents":5}"#, key: "order-1")
            #expect(first.status == 200)
            let answer = try JSONDecoder().decode(ServiceAnswer.self, from: first.body)
            #expect(answer.ok)
            #expect(!answer.id.isEmpty)
            #expect(!answer.reservationId.isEmpty)
            #expect(!answer.text.isEmpty)
            #expect(answer.rows > 0)
            _ = try await client.send("DELETE", "/v1/reservations/7")

            let listed = try await client.calls()
            #expect(listed == server.calls)
            #expect(listed.map(\.method) == ["POST", "DELETE"])
            #expect(listed.map(\.path) == ["/v1/charges?n=1", "/v1/reservations/7"])
            #expect(listed.map(\.body) == [#"{"cents":5}"#, ""])
            #expect(listed.map(\.idempotencyKey) == ["order-1", nil])
            #expect(listed.map(\.status) == [200, 200])
            let now = Int64(Date().timeIntervalSince1970 * 1000)
            #expect(listed.allSatisfy { now - 60_000...now ~= $0.at })
            #expect(listed[0].at <= listed[1].at)
        }
    }

    @Test func callsBelowAPathAreToldApart() async throws {
        try await withServer { _, client async throws in
            for path in ["/verify/a/1", "/verify/b/1", "/verify/a/2"] {
                _ = try await client.send("POST", path)
            }
            let some = try await client.send("GET", "/_calls?prefix=/verify/a/").body
            let calls = try JSONDecoder().decode([RecordedCall].self, from: some)
            #expect(calls.map(\.path) == ["/verify/a/1", "/verify/a/2"])
            #expect(try await client.send("GET", "/_calls?after=1").status == 400)
        }
    }

    @Test func theSameKeyGetsTheSameAnswerAndNoKeyAFreshOne() async throws {
        try await withServer { server, client async throws in
            let keyed = try await client.send("POST", "/pay", key: "k1").body
            #expect(try await client.send("POST", "/pay", key: "k1").body == keyed)
            #expect(try await client.send("POST", "/pay", key: "k2").body != keyed)
            let unkeyed = try await client.send("POST", "/pay").body
            #expect(try await client.send("POST", "/pay").body != unkeyed)
            server.clearCalls()
            #expect(try await client.send("POST", "/pay", key: "k1").body == keyed)
        }
    }

    @Test func aKeyAnswersTheSameAcrossServers() async throws {
        let answers = try await withServer { _, client in
            try await client.send("POST", "/pay", key: "k1").body
        }
        try await withServer { _, client async throws in
            #expect(try await client.send("POST", "/pay", key: "k1").body == answers)
        }
    }

    @Test func failsTheNextCallsOfAPrefixAndRecordsThem() async throws {
        try await withServer { server, client async throws in
            let ordered = try await client.send(
                "POST", "/_fail", body: #"{"path": "/mail", "times": 2, "status": 503}"#)
            #expect(ordered.status == 200)
            #expect(try await client.send("POST", "/pay").status == 200)
            #expect(try await client.send("POST", "/mail/1").status == 503)
            #expect(try await client.send("POST", "/mail/2").status == 503)
            #expect(try await client.send("POST", "/mail/3").status == 200)
            #expect(server.calls.map(\.status) == [200, 503, 503, 200])
        }
    }

    @Test func failsUntilCleared() async throws {
        try await withServer { _, client async throws in
            _ = try await client.send("POST", "/_fail", body: #"{"path": "/", "times": -1}"#)
            for _ in 0..<5 { #expect(try await client.send("GET", "/any").status == 500) }
            let left = try await client.send("GET", "/_fail")
            #expect(try JSONDecoder().decode([Fault].self, from: left.body) == [Fault(path: "/", times: -1)])
            _ = try await client.send("DELETE", "/_fail")
            #expect(try await client.send("GET", "/any").status == 200)
        }
    }

    @Test func delaysWithoutFailingAndWithoutHoldingUpOthers() async throws {
        try await withServer { server, client async throws in
            // So long that it cannot be over before the other call is answered; the server's end cuts it off.
            server.fail(Fault(path: "/slow", times: 1, status: 200, delayMs: 600_000))
            let slow = Task { try await client.send("GET", "/slow") }
            while server.calls.isEmpty { await Task.yield() }
            #expect(try await client.send("GET", "/fast").status == 200)
            slow.cancel()
            server.fail(Fault(path: "/late", times: 1, status: 200, delayMs: 20))
            #expect(try await client.send("GET", "/late").status == 200)
        }
    }

    @Test func forgetsTheCalls() async throws {
        try await withServer { server, client async throws in
            _ = try await client.send("GET", "/a")
            #expect(try await client.send("DELETE", "/_calls").status == 200)
            #expect(try await client.calls().isEmpty)
            _ = try await client.send("GET", "/b")
            #expect(server.calls.map(\.path) == ["/b"])
        }
    }

    @Test(arguments: [
        "", "null", "[]", "{", #"{"path": 5}"#, #"{"path": "/", "times": 0}"#, #"{"path": "/", "times": -2}"#,
        #"{"path": "/", "status": 99}"#, #"{"path": "/", "status": 1e9}"#, #"{"path": "/", "delayMs": -1}"#,
        #"{"path": "/", "delayMs": 99999999999}"#,
    ])
    func refusesAFaultThatMakesNoSense(body: String) async throws {
        try await withServer { _, client async throws in
            let answer = try await client.send("POST", "/_fail", body: body)
            #expect(answer.status == 400)
            #expect(answer.text.contains("error"))
            #expect(try await client.send("GET", "/a").status == 200)
        }
    }

    @Test func refusesOtherMethodsOnItsOwnPaths() async throws {
        try await withServer { server, client async throws in
            #expect(try await client.send("PUT", "/_calls").status == 405)
            #expect(try await client.send("PATCH", "/_fail").status == 405)
            #expect(server.calls.isEmpty)
        }
    }

    @Test func refusesCallsWhenTheRecordIsFull() async throws {
        var limits = OutsideWorldServer.Limits()
        limits.callsMax = 2
        try await withServer(limits: limits) { server, client async throws in
            for _ in 0..<2 { #expect(try await client.send("GET", "/a").status == 200) }
            let refused = try await client.send("GET", "/a")
            #expect(refused.status == 507)
            #expect(refused.text.contains("DELETE /_calls"))
            #expect(server.calls.count == 2)
            _ = try await client.send("DELETE", "/_calls")
            #expect(try await client.send("GET", "/a").status == 200)
        }
    }

    @Test func boundsTheBytesRemembered() async throws {
        var limits = OutsideWorldServer.Limits()
        limits.recordedBytesMax = 100
        try await withServer(limits: limits) { _, client async throws in
            let body = String(repeating: "x", count: 60)
            #expect(try await client.send("POST", "/a", body: body).status == 200)
            #expect(try await client.send("POST", "/a", body: body).status == 507)
        }
    }

    @Test func refusesABodyAboveTheLimit() async throws {
        var limits = OutsideWorldServer.Limits()
        limits.bodyBytesMax = 1000
        try await withServer(limits: limits) { server, client async throws in
            let body = String(repeating: "x", count: 1001)
            #expect(try await client.send("POST", "/a", body: body).status == 413)
            #expect(server.calls.isEmpty)
            #expect(try await client.send("POST", "/a", body: String(body.dropFirst())).status == 200)
        }
    }

    @Test func refusesAPortThatIsTaken() async throws {
        try await withServer { server, _ async throws in
            await #expect(throws: (any Error).self) {
                try await OutsideWorldServer.start(port: server.port)
            }
        }
    }

    @Test func stopsAndFreesItsPort() async throws {
        let first = try await OutsideWorldServer.start(port: 0)
        let client = Client(port: first.port)
        _ = try await client.send("GET", "/a")
        try await first.stop()
        await #expect(throws: (any Error).self) { try await client.send("GET", "/a") }
        let second = try await OutsideWorldServer.start(port: first.port)
        #expect(try await client.send("GET", "/a").status == 200)
        try await second.stop()
    }
}

/// Runs `body` against a fresh server on a free port, and stops the server whatever happens.
@discardableResult
private func withServer<Result>(
    limits: OutsideWorldServer.Limits = .init(), _ body: (OutsideWorldServer, Client) async throws -> Result
) async throws -> Result {
    let server = try await OutsideWorldServer.start(port: 0, limits: limits)
    do {
        let result = try await body(server, Client(port: server.port))
        try await server.stop()
        return result
    } catch {
        try await server.stop()
        throw error
    }
}

private struct Client {
    var port: Int

    struct Reply {
        var status: Int
        var body: Data
        var text: String { String(decoding: body, as: UTF8.self) }
    }

    func send(
        _ method: String, _ path: String, body: String? = nil, key: String? = nil
    ) async throws -> Reply {
        var request = URLRequest(url: try #require(URL(string: "http://127.0.0.1:\(port)\(path)")))
        request.httpMethod = method
        request.httpBody = body.map { Data($0.utf8) }
        if let key { request.setValue(key, forHTTPHeaderField: "Idempotency-Key") }
        let (data, response) = try await URLSession.shared.data(for: request)
        return Reply(status: try #require(response as? HTTPURLResponse).statusCode, body: data)
    }

    func calls() async throws -> [RecordedCall] {
        try JSONDecoder().decode([RecordedCall].self, from: try await send("GET", "/_calls").body)
    }
}
