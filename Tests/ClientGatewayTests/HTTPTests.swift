import ClientGateway
import ClientProtocol
import FakeActors
import Identifiers
import Testing

@Suite("HTTP") struct HTTPTests {
    @Test("A62: the routes of the announcement answer as written")
    func routes() async throws {
        try await RunningGateway.with { running in
            let http = try await running.connect()
            let made = try await http.ask("PUT", "/actors/counter/a")
            #expect(made.status == 201 && made.body == #"{"state":{"count":0}}"#)
            let again = try await http.ask("PUT", "/actors/counter/a", #"{"x":1}"#)
            #expect(again.status == 200 && again.body == made.body)
            let described = try await http.ask("GET", "/actors/counter/a")
            #expect(described.status == 200 && described.body == made.body)
            let called = try await http.ask("POST", "/actors/counter/a/actions/increment", "4")
            #expect(called.status == 200 && called.body == #"{"output":4}"#)
            let history = try await http.ask("GET", "/actors/counter/a/history")
            #expect(history.body == #"{"entries":[]}"#)
            let listed = try await http.ask("GET", "/actors?kind=counter&limit=5")
            #expect(listed.body == #"{"actors":["counter/a"]}"#)
            let destroyed = try await http.ask("DELETE", "/actors/counter/a")
            #expect(destroyed.status == 200)
            let gone = try await http.ask("GET", "/actors/counter/a")
            #expect(gone.status == 404)
            let healthy = try await http.ask("GET", "/healthz")
            #expect(healthy.status == 200 && healthy.body == #"{"status":"ok"}"#)
            let status = try await http.ask("GET", "/status")
            #expect(status.status == 200 && status.headers["content-type"] == "application/json")
        }
    }

    @Test("A31: send answers with the id, a request with its response or that the time is over")
    func queues() async throws {
        try await RunningGateway.with { running in
            let http = try await running.connect()
            let path = "/actors/counter/a/queues/requests"
            #expect(try await http.ask("POST", path, #"{"body":{"delta":1}}"#).body == #"{"id":1}"#)
            let completed = try await http.ask("POST", path, #"{"body":"now","wait":true,"timeoutMs":5}"#)
            #expect(completed.body == #"{"status":"completed","response":"now"}"#)
            let late = try await http.ask("POST", path, #"{"body":1,"wait":true,"timeoutMs":0}"#)
            #expect(late.status == 200 && late.body == #"{"status":"timedOut"}"#)
            let bodies = running.service.requests.map(\.operation).compactMap { operation -> String? in
                if case .send(_, let body, _) = operation { body.text } else { nil }
            }
            #expect(bodies == [#"{"delta":1}"#])
            let wrong = try await http.ask("POST", path, #"{"body":1,"wait":"yes"}"#)
            #expect(wrong.status == 400 && wrong.body.contains(#""field":"wait""#))
            let none = try await http.ask("POST", path, #"{"wait":true}"#)
            #expect(none.status == 400 && none.body.contains(#""field":"body""#))
        }
    }

    @Test("A request that waits without a limit is abandoned when its client goes away")
    func abandoned() async throws {
        try await RunningGateway.with { running in
            let http = try await running.connect()
            try await http.send(
                "POST /actors/counter/a/queues/requests HTTP/1.1\r\nhost: t\r\ncontent-length: 22\r\n\r\n"
                    + #"{"body":1,"wait":true}"#)
            await running.service.waitForRequests(1)
            try await http.close()
            await running.service.waitUntil {
                $0.contains { if case .abandoned = $0 { true } else { false } }
            }
        }
    }

    @Test("An actor that is elsewhere: the status says whether to ask another node, or again")
    func elsewhere() async throws {
        try await RunningGateway.with { running in
            for (number, error) in [ActorError.notOwner, .moved].enumerated() {
                let http = try await running.connect()
                async let answer = http.ask("POST", "/actors/counter/a/actions/hold", "1")
                await running.service.waitForRequests(number + 1)
                running.service.release(.failure(error))
                let (status, headers) = (try await answer.status, try await answer.headers)
                #expect(status == (number == 0 ? 421 : 503))
                #expect(headers["retry-after"] == (number == 0 ? nil : "1"))
            }
        }
    }

    @Test("A1: keys of many parts and odd characters arrive whole; a suffix is matched from the right")
    func keys() async throws {
        try await RunningGateway.with { running in
            let http = try await running.connect()
            _ = try await http.ask("PUT", "/actors/counter/a%2Fb/%F0%9F%90%A6//%61ctions/x")
            _ = try await http.ask("PUT", "/actors/counter/history")
            _ = try await http.ask("POST", "/actors/counter/a/actions/b/actions/count")
            let keys = running.service.requests.map { $0.target.key.parts }
            #expect(keys == [["a/b", "🐦", "", "actions", "x"], ["history"], ["a", "actions", "b"]])
            #expect(try await http.ask("PUT", "/actors/counter/%ff").status == 400)
            #expect(try await http.ask("PUT", "/actors/counter/%2").status == 400)
            #expect(try await http.ask("PUT", "/actors/counter/1/2/3/4/5/6/7/8/9").status == 400)
            #expect(try await http.ask("PUT", "/actors/coun%20ter/a").status == 400)
            #expect(try await http.ask("PUT", "/actors/counter").status == 404)
        }
    }

    @Test("A14, A15: errors come whole, with a fitting status, and the connection goes on")
    func errors() async throws {
        try await RunningGateway.with { running in
            let http = try await running.connect()
            let user = try await http.ask("POST", "/actors/counter/a/actions/fail")
            #expect(user.status == 422)
            #expect(
                user.body
                    == #"{"error":{"group":"user","code":"out_of_paint","message":"no \"paint\" left","#
                    + #""metadata":{"colour":"blue"}}}"#)
            #expect(try await http.ask("POST", "/actors/counter/a/actions/crash").status == 500)
            let unknown = try await http.ask("POST", "/actors/counter/a/actions/nope")
            #expect(unknown.status == 404 && unknown.body.contains("increment"))
            #expect(try await http.ask("POST", "/actors/nope/a/actions/x").status == 404)
            #expect(try await http.ask("POST", "/actors/counter/a/queues/nope", #"{"body":1}"#).status == 404)
            for bad in ["{", "nul", "[1,]", "\"\u{1}\"", "1 2"] {
                let answer = try await http.ask("POST", "/actors/counter/a/actions/echo", bad)
                #expect(answer.status == 400 && answer.body.contains("validation_error"), "\(bad)")
            }
            let typed = try await http.ask("POST", "/actors/counter/a/actions/increment", #""four""#)
            #expect(typed.status == 400 && typed.body.contains(#""field":"input""#))
            #expect(try await http.ask("POST", "/actors/counter/a/actions/count").body == #"{"output":0}"#)
        }
    }

    @Test("A13: the same Idempotency-Key gets the same answer and is executed once")
    func idempotency() async throws {
        try await RunningGateway.with { running in
            let http = try await running.connect()
            let path = "/actors/counter/a/actions/increment"
            for _ in 0..<3 {
                let answer = try await http.ask("POST", path, "1", headers: ["Idempotency-Key: k1"])
                #expect(answer.body == #"{"output":1}"#)
            }
            #expect(running.service.executions == 1)
            let long = String(repeating: "k", count: 256)
            #expect(
                try await http.ask("POST", path, "1", headers: ["Idempotency-Key: \(long)"]).status == 400)
        }
    }

    @Test("A63 A31: the time that is left, and how a message is delivered, reach the node")
    func options() async throws {
        try await RunningGateway.with { running in
            let http = try await running.connect()
            let path = "/actors/counter/a/queues/requests"
            let body = #"{"body":1,"delayMs":5,"priority":9,"dedupKey":"k"}"#
            let answer = try await http.ask("POST", path, body, headers: ["X-Time-Left-Ms: 2500"])
            #expect(answer.status == 200)
            let request = try #require(running.service.requests.last)
            #expect(request.timeLeftMillis == 2_500)
            guard case .send(_, _, let options) = request.operation else {
                Issue.record("it was no send")
                return
            }
            #expect(options == MessageOptions(delayMillis: 5, priority: 9, deduplicationKey: "k"))
            let bad = try await http.ask("POST", path, body, headers: ["X-Time-Left-Ms: soon"])
            #expect(bad.status == 400 && bad.body.contains("X-Time-Left-Ms"))
            for body in [#"{"body":1,"delayMs":-1}"#, #"{"body":1,"dedupKey":7}"#] {
                #expect(try await http.ask("POST", path, body).status == 400)
            }
        }
    }

    @Test("HEAD, 405 with Allow, request ids, upgrade required")
    func manners() async throws {
        try await RunningGateway.with { running in
            let http = try await running.connect()
            let head = try await http.ask("HEAD", "/healthz", headers: ["x-request-id: mine-7"])
            #expect(head.status == 200 && head.headers["content-length"] == "15")
            #expect(head.headers["x-request-id"] == "mine-7")
            let patched = try await http.ask("PATCH", "/actors/counter/a")
            #expect(patched.status == 405 && patched.headers["allow"] == "GET, HEAD, PUT, DELETE")
            let got = try await http.ask("GET", "/actors/counter/a/actions/x")
            #expect(got.status == 405 && got.headers["allow"] == "POST")
            #expect(try await http.ask("GET", "/connect").status == 426)
            #expect(try await http.ask("GET", "/").status == 404)
            let generated = try await http.ask("GET", "/healthz", headers: ["x-request-id: a b"])
            #expect(generated.headers["x-request-id"]?.count == 16)
        }
    }

    @Test("Pipelined requests are answered in order; HTTP/1.0 closes")
    func pipelining() async throws {
        try await RunningGateway.with { running in
            let http = try await running.connect()
            let one =
                "POST /actors/counter/a/actions/increment HTTP/1.1\r\nhost: t\r\ncontent-length: 1\r\n\r\n1"
            try await http.send(String(repeating: one, count: 50))
            for number in 1...50 { #expect(try await http.takeAnswer().body == "{\"output\":\(number)}") }
            let old = try await running.connect()
            try await old.send("GET /healthz HTTP/1.0\r\n\r\n")
            #expect(await old.takeAll().hasSuffix(#"{"status":"ok"}"#))
        }
    }
}
