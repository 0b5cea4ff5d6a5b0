import ClientGateway
import ClientProtocol
import FakeActors
import SessionCore
import Testing

@Suite("Bad WebSocket") struct BadWebSocketTests {
    struct BadFrame: CustomTestStringConvertible {
        var testDescription: String
        var bytes: [UInt8]
        var code: Int
        init(_ name: String, _ bytes: [UInt8], _ code: Int) {
            (testDescription, self.bytes, self.code) = (name, bytes, code)
        }
    }

    static let ping = RawWebSocket.frame(#"{"type":"ping","id":1}"#)
    static let badFrames = [
        BadFrame("not JSON", RawWebSocket.frame("hello"), 1002),
        BadFrame("cut off", RawWebSocket.frame(#"{"type":"ping","id":1"#), 1002),
        BadFrame("unknown type", RawWebSocket.frame(#"{"type":"dance","id":1}"#), 1002),
        BadFrame("no type", RawWebSocket.frame("{}"), 1002),
        BadFrame("a member twice", RawWebSocket.frame(#"{"type":"ping","id":1,"\u0069d":2}"#), 1002),
        BadFrame("a field of another form", RawWebSocket.frame(#"{"type":"ping","id":"1"}"#), 1002),
        BadFrame(
            "hello twice",
            RawWebSocket.frame(
                #"{"type":"hello","version":1,"session":"00000000-0000-0000-0000-000000000000"}"#), 1002),
        BadFrame(
            "a kind that is none",
            RawWebSocket.frame(
                #"{"type":"get","id":1,"kind":"a b","key":["a"]}"#), 1002),
        BadFrame("not UTF-8", RawWebSocket.frame(Array("{\"type\":\"".utf8) + [0xFF, 0x22, 0x7D]), 1007),
        BadFrame("too deep", RawWebSocket.frame(String(repeating: "[", count: 5000)), 1002),
        BadFrame("binary", RawWebSocket.frame([1, 2], opcode: 2), 1003),
        BadFrame("unknown opcode", RawWebSocket.frame([], opcode: 5), 1002),
        BadFrame("unknown control opcode", RawWebSocket.frame([], opcode: 11), 1002),
        BadFrame("unmasked", RawWebSocket.frame(Array("{}".utf8), isMasked: false), 1002),
        BadFrame("reserved bit", RawWebSocket.frame(Array("{}".utf8), reserved: 0x40), 1002),
        BadFrame("a continuation of nothing", RawWebSocket.frame([0x7B], opcode: 0), 1002),
        BadFrame("a message inside another", RawWebSocket.frame([0x7B], isFinal: false) + ping, 1002),
        BadFrame("a control frame in pieces", RawWebSocket.frame([], opcode: 9, isFinal: false), 1002),
        BadFrame(
            "a long control frame", RawWebSocket.frame([UInt8](repeating: 0, count: 126), opcode: 9), 1002),
        // Only the head comes: the length alone is enough to refuse.
        BadFrame(
            "too long", Array(RawWebSocket.frame([UInt8](repeating: 0x20, count: 1 << 20 + 1)).prefix(14)),
            1009),
        BadFrame("a length beyond all", [0x81, 0xFF] + [UInt8](repeating: 0xFF, count: 12), 1009),
    ]

    @Test(
        "A71: malformed frames end their connection with a code and a reason, and only that",
        arguments: badFrames)
    func badFrame(_ bad: BadFrame) async throws {
        var configuration = GatewayConfiguration()
        configuration.linger = .milliseconds(20)
        try await RunningGateway.with(configuration) { running in
            let other = try await RawWebSocket(running)
            let socket = try await RawWebSocket(running)
            socket.connection.sendWithoutWaiting(bad.bytes)
            let close = try await socket.takeClose()
            #expect(close.code == bad.code, "\(close)")
            #expect(!close.reason.isEmpty)
            try await other.send(.ping(id: 3))
            #expect(try await other.takeFrame() == .pong(id: 3))
        }
    }

    @Test("Fragments are joined up to the limit, with control frames between them")
    func fragments() async throws {
        var configuration = GatewayConfiguration()
        configuration.session.messageBytesMax = 100
        configuration.linger = .milliseconds(20)
        try await RunningGateway.with(configuration) { running in
            let socket = try await RawWebSocket(running)
            let text = Array(#"{"type":"ping","id":77}"#.utf8)
            try await socket.connection.send(
                RawWebSocket.frame(Array(text[..<5]), isFinal: false)
                    + RawWebSocket.frame([9], opcode: 9)
                    + RawWebSocket.frame(Array(text[5..<6]), opcode: 0, isFinal: false)
                    + RawWebSocket.frame(Array(text[6...]), opcode: 0))
            let pong = try await socket.take()
            #expect(pong.opcode == 10 && pong.payload == [9])
            #expect(try await socket.takeFrame() == .pong(id: 77))
            let piece = [UInt8](repeating: 0x20, count: 60)
            socket.connection.sendWithoutWaiting(
                RawWebSocket.frame(piece, isFinal: false) + RawWebSocket.frame(piece, opcode: 0))
            #expect(try await socket.takeClose().code == 1009)
        }
    }

    @Test("No hello: closed at the deadline")
    func silentGreeting() async throws {
        var configuration = GatewayConfiguration()
        configuration.deadlines.handshake = .seconds(1)
        configuration.linger = .milliseconds(10)
        try await RunningGateway.with(configuration) { running in
            let mute = try await RawWebSocket(running, greets: false)
            #expect(try await mute.takeClose().reason == CloseReason.helloTimedOut.text)
        }
    }

    @Test("Half a frame or half a message, then silence: closed at the deadline")
    func silence() async throws {
        var configuration = GatewayConfiguration()
        configuration.deadlines.halfMessage = .milliseconds(50)
        configuration.linger = .milliseconds(10)
        try await RunningGateway.with(configuration) { running in
            let half = try await RawWebSocket(running)
            // A whole frame before it must not hide the half one.
            try await half.connection.send(Self.ping + Self.ping.prefix(9))
            #expect(try await half.takeFrame() == .pong(id: 1))
            #expect(try await half.takeClose().reason == CloseReason.halfMessage.text)
            let fragment = try await RawWebSocket(running)
            try await fragment.connection.send(RawWebSocket.frame([0x7B], isFinal: false))
            #expect(try await fragment.takeClose().reason == CloseReason.halfMessage.text)
        }
    }

    @Test("An idle socket is pinged; one that does not answer is closed")
    func keepAlive() async throws {
        var configuration = GatewayConfiguration()
        configuration.deadlines.ping = .milliseconds(50)
        configuration.linger = .milliseconds(10)
        try await RunningGateway.with(configuration) { running in
            let socket = try await RawWebSocket(running)
            #expect(try await socket.take().opcode == 9)
            #expect(try await socket.takeClose().reason == CloseReason.noPong.text)
        }
    }

    @Test("The first frame must be hello")
    func noHello() async throws {
        try await RunningGateway.with { running in
            let socket = try await RawWebSocket(running, greets: false)
            try await socket.connection.send(Self.ping)
            #expect(try await socket.takeClose().code == 1002)
        }
    }

    @Test("A close frame is answered with one")
    func clientCloses() async throws {
        try await RunningGateway.with { running in
            let socket = try await RawWebSocket(running)
            try await socket.connection.send(RawWebSocket.frame([0x03, 0xE8], opcode: 8))
            #expect(try await socket.takeClose().code == 1000)
        }
    }
}
