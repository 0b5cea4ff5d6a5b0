import ClientGateway
import ClientProtocol
import FakeActors
import SessionCore
import Testing

@Suite("Bad HTTP") struct BadHTTPTests {
    static let path = "/actors/counter/a/actions/echo"

    @Test("A15: a body over the limit is refused from its length, before it comes")
    func tooLargeDeclared() async throws {
        try await RunningGateway.with { running in
            let http = try await running.connect()
            try await http.send("POST \(Self.path) HTTP/1.1\r\nhost: t\r\ncontent-length: 4194305\r\n\r\n")
            let answer = try await http.takeAnswer()
            #expect(answer.status == 413 && answer.body.contains("too_large"))
            #expect(answer.headers["connection"] == "close")
            #expect(running.service.requests.isEmpty)
        }
    }

    @Test("A15: a chunked body over the limit is refused when it passes it; one within it is taken")
    func chunked() async throws {
        var configuration = GatewayConfiguration()
        configuration.inputBytesMax = 64
        try await RunningGateway.with(configuration) { running in
            let http = try await running.connect()
            let head = "POST \(Self.path) HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n"
            try await http.send(head + "3\r\n\"ab\r\n2\r\nc\"\r\n0\r\n\r\n")
            #expect(try await http.takeAnswer().body == #"{"output":"abc"}"#)
            try await http.send(head + "41\r\n" + String(repeating: "1", count: 65) + "\r\n")
            #expect(try await http.takeAnswer().status == 413)
        }
    }

    @Test("Expect: 100-continue is answered before the body, a refusal instead of it")
    func expectContinue() async throws {
        try await RunningGateway.with { running in
            let http = try await running.connect()
            let expect = "host: t\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\n"
            try await http.send("POST \(Self.path) HTTP/1.1\r\n" + expect)
            #expect(try await http.takeAnswer().status == 100)
            try await http.send("123")
            #expect(try await http.takeAnswer().body == #"{"output":123}"#)
            try await http.send("POST /nowhere HTTP/1.1\r\n" + expect)
            #expect(try await http.takeAnswer().status == 404)
        }
    }

    struct BrokenHead: CustomTestStringConvertible {
        var testDescription: String
        var text: String
        var status: String
        init(_ name: String, _ text: String, _ status: String) {
            (testDescription, self.text, self.status) = (name, text, status)
        }
    }

    static let brokenHeads = [
        BrokenHead("no version", "GET\r\n\r\n", "400"),
        BrokenHead("noise", "\u{0}\u{1}\u{2}\r\n\r\n", "400"),
        BrokenHead("space in a name", "GET / HTTP/1.1\r\nbad header\r\n\r\n", "400"),
        BrokenHead(
            "long field", "GET / HTTP/1.1\r\nx: \(String(repeating: "y", count: 40_000))\r\n\r\n", "431"),
        BrokenHead(
            "many fields", "GET / HTTP/1.1\r\n" + String(repeating: "a: b\r\n", count: 200) + "\r\n", "431"),
        BrokenHead(
            "two lengths", "POST /healthz HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", "400"),
        BrokenHead("negative length", "GET /healthz HTTP/1.1\r\ncontent-length: -1\r\n\r\n", "400"),
    ]

    @Test("Broken heads get 400 or 431 and only their connection closes", arguments: brokenHeads)
    func brokenHead(_ head: BrokenHead) async throws {
        try await RunningGateway.with { running in
            let other = try await running.connect()
            let http = try await running.connect()
            http.sendWithoutWaiting(Array(head.text.utf8))
            let all = await http.takeAll()
            #expect(all.hasPrefix("HTTP/1.1 \(head.status) "), "\(all.prefix(80))")
            #expect(try await other.ask("GET", "/healthz").status == 200)
        }
    }

    @Test("Silence in the middle of a body: 408 and closed")
    func halfBody() async throws {
        var configuration = GatewayConfiguration()
        configuration.deadlines.halfMessage = .milliseconds(50)
        configuration.linger = .milliseconds(10)
        try await RunningGateway.with(configuration) { running in
            let http = try await running.connect()
            try await http.send("POST \(Self.path) HTTP/1.1\r\nhost: t\r\ncontent-length: 10\r\n\r\n123")
            #expect(await http.takeAll().hasPrefix("HTTP/1.1 408 "))
            #expect(running.service.requests.isEmpty)
        }
    }

    @Test("A71: silence before the first byte closes the connection")
    func silentStart() async throws {
        var configuration = GatewayConfiguration()
        configuration.deadlines.handshake = .milliseconds(50)
        try await RunningGateway.with(configuration) { running in
            let silent = try await running.connect()
            #expect(await silent.takeAll() == "")
        }
    }

    @Test("A71: silence in a head and between requests closes the connection")
    func silence() async throws {
        var configuration = GatewayConfiguration()
        configuration.deadlines.halfMessage = .milliseconds(50)
        configuration.deadlines.keepAlive = .milliseconds(50)
        try await RunningGateway.with(configuration) { running in
            let half = try await running.connect()
            try await half.send("GET /heal")
            #expect(await half.takeAll() == "")
            let idle = try await running.connect()
            #expect(try await idle.ask("GET", "/healthz").status == 200)
            #expect(await idle.takeAll() == "")
        }
    }

    @Test("A71: one connection more than the limit gets 503; the others go on")
    func connectionLimit() async throws {
        var configuration = GatewayConfiguration()
        configuration.connectionsMax = 2
        try await RunningGateway.with(configuration) { running in
            let first = try await running.connect()
            let second = try await running.connect()
            #expect(try await first.ask("GET", "/healthz").status == 200)
            #expect(try await second.ask("GET", "/healthz").status == 200)
            let third = try await running.connect()
            #expect(try await third.takeAnswer().status == 503)
            #expect(try await first.ask("GET", "/healthz").status == 200)
        }
    }

    @Test("A client that pipelines and never reads: its requests wait, then it is closed")
    func neverReads() async throws {
        var configuration = GatewayConfiguration()
        configuration.deadlines.stalledWrite = .seconds(3)
        try await RunningGateway.with(configuration) { running in
            let deaf = try await running.connect()
            try await deaf.stopReading()
            let request = "POST /actors/counter/a/actions/large HTTP/1.1\r\nhost: t\r\n\r\n"
            // The answers, 128 MiB, are many times what the sockets' buffers hold.
            deaf.sendWithoutWaiting(Array(String(repeating: request, count: 2000).utf8))
            await deaf.ended()
            #expect(running.service.executions < 2000)
            let other = try await running.connect()
            #expect(try await other.ask("GET", "/healthz").status == 200)
        }
    }

    @Test("A large answer to a slow reader comes whole, and the next one after it")
    func slowReader() async throws {
        try await RunningGateway.with { running in
            let slow = try await running.connect()
            try await slow.stopReading()
            let body = "\"" + String(repeating: "x", count: 3 << 20) + "\""
            let request =
                "POST \(Self.path) HTTP/1.1\r\nhost: t\r\ncontent-length: \(body.utf8.count)\r\n\r\n"
            slow.sendWithoutWaiting(Array((request + body + "GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n").utf8))
            await running.service.waitForRequests(1)
            try await slow.resumeReading()
            #expect(try await slow.takeAnswer().body.utf8.count == body.utf8.count + 11)
            #expect(try await slow.takeAnswer().status == 200)
        }
    }

    @Test("Stopping answers what is under way and closes the rest")
    func stopping() async throws {
        try await RunningGateway.with { running in
            let idle = try await running.connect()
            #expect(try await idle.ask("GET", "/healthz").status == 200)
            let busy = try await running.connect()
            try await busy.send("POST /actors/counter/a/actions/hold HTTP/1.1\r\nhost: t\r\n\r\n")
            await running.service.waitForRequests(1)
            async let stopped: Void = running.gateway.stop(within: .seconds(30))
            #expect(await idle.takeAll() == "")
            running.service.release(.success(.output(Payload("7"))))
            let answer = try await busy.takeAnswer()
            #expect(answer.body == #"{"output":7}"# && answer.headers["connection"] == "close")
            await stopped
        }
    }
}
