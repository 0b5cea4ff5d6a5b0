import ClientGateway
import ClientProtocol
import FakeActors
import Identifiers
import SessionCore
import Testing

func counter(_ key: String...) -> ActorAddress {
    // The kind and the keys in these tests are within the limits.
    ActorAddress(kind: try! ActorKind("counter"), key: try! ActorKey(key))
}

@Suite("WebSocket") struct WebSocketTests {
    @Test("A61: the subprotocol is negotiated, hello answered; another subprotocol is refused")
    func greeting() async throws {
        try await RunningGateway.with { running in
            let connection = try await running.connect()
            try await connection.send(RawWebSocket.upgrade)
            let answer = try await connection.takeAnswer()
            #expect(answer.status == 101 && answer.headers["sec-websocket-protocol"] == "apus.v1.json")
            #expect(answer.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
            let socket = try await RawWebSocket(running, greets: false)
            try await socket.send(.hello(version: 9, session: SessionID(high: 1, low: 2)))
            #expect(try await socket.takeText() == #"{"type":"welcome","version":2,"node":"apus"}"#)
            let other = try await running.connect()
            try await other.send(RawWebSocket.upgrade.replacing("apus.v1.json", with: "chat"))
            #expect(try await other.takeAnswer().status == 426)
        }
    }

    @Test("A61: with apus.v1.cbor the same frames travel in CBOR, in binary messages")
    func binaryEncoding() async throws {
        func cbor(_ frame: ClientFrame) throws -> [UInt8] {
            var json: [UInt8] = []
            frame.encode(into: &json)
            var bytes: [UInt8] = []
            try CBORWriter.append(json: json.span, to: &bytes)
            return RawWebSocket.frame(bytes, opcode: 2)
        }
        func connect(_ running: RunningGateway) async throws -> RawWebSocket {
            let socket = try await RawWebSocket(running, greets: false, subprotocol: "apus.v1.cbor")
            try await socket.connection.send(
                try cbor(.hello(version: 1, session: SessionID(high: 1, low: 2))))
            #expect(try await take(socket) == #"{"type":"welcome","version":1,"node":"apus"}"#)
            return socket
        }
        func take(_ socket: RawWebSocket) async throws -> String {
            let (opcode, payload) = try await socket.take()
            #expect(opcode == 2)
            let json = try CBORReader.json(from: payload, jsonBytesMax: 1 << 20)
            return String(decoding: json, as: UTF8.self)
        }
        try await RunningGateway.with { running in
            let socket = try await connect(running)
            let call = RequestFrame(
                target: counter("a"),
                operation: .call(action: "echo", input: Payload(#"{"a":[1,-2,0.5,"é"],"b":null}"#)))
            try await socket.connection.send(try cbor(.request(id: 1, call)))
            let reply = try ServerFrame.decode(Array(try await take(socket).utf8))
            #expect(reply == .reply(id: 1, .output(Payload(#"{"a":[1,-2,0.5,"é"],"b":null}"#))))
            try await socket.connection.send(RawWebSocket.frame("{}"))
            #expect(try await socket.takeClose().code == 1003)
            let broken = try await connect(running)
            try await broken.connection.send(RawWebSocket.frame([0x81], opcode: 2))
            #expect(try await broken.takeClose() == (1002, "CBOR cut off at byte 1"))
            // Short as CBOR, but more than a message may be as what it stands for.
            let long = try await connect(running)
            let text = [0x7A, 0x00, 0x0C, 0x00, 0x00] + [UInt8](repeating: 0x01, count: 0xC0000)
            try await long.connection.send(RawWebSocket.frame(text, opcode: 2))
            #expect(try await long.takeClose().code == 1009)
        }
    }

    @Test("A61: one connection carries calls, sends, requests and descriptions of many actors")
    func requests() async throws {
        try await RunningGateway.with { running in
            let socket = try await RawWebSocket(running)
            let body = Payload(#"{"a" : [1, "\u00e9"]}"#)
            try await socket.send(
                .request(
                    id: 1, RequestFrame(target: counter("a"), operation: .call(action: "echo", input: body))),
                .request(
                    id: 2, RequestFrame(target: counter("b"), operation: .send(queue: "requests", body: body))
                ),
                .request(
                    id: 3,
                    RequestFrame(
                        target: counter("c"),
                        operation: .request(queue: "requests", body: Payload("\"now\""), timeoutMillis: 9))),
                .request(
                    id: 4,
                    RequestFrame(target: counter("d", ""), operation: .create(input: nil, ifAbsent: true))),
                .request(id: 5, RequestFrame(target: counter("d", ""), operation: .get)),
                .request(
                    id: 6,
                    RequestFrame(target: counter("d", ""), operation: .create(input: nil, ifAbsent: false))),
                .ping(id: 7))
            // The pong does not wait for the host, so it may come first.
            var frames: [ServerFrame] = []
            for _ in 0..<7 { frames.append(try await socket.takeFrame()) }
            #expect(frames.contains(.pong(id: 7)))
            #expect(frames.contains(.reply(id: 1, .output(body))))
            #expect(frames.contains(.reply(id: 2, .accepted(2))))
            #expect(frames.contains(.reply(id: 3, .completed(Payload("\"now\"")))))
            #expect(frames.contains(.reply(id: 4, .created(true, Payload(#"{"state":{"count":0}}"#)))))
            #expect(frames.contains(.reply(id: 5, .document(Payload(#"{"state":{"count":0}}"#)))))
            #expect(
                frames.contains {
                    if case .error(6, let error) = $0 { error.code == "duplicate_key" } else { false }
                })
        }
    }

    @Test(
        "A13: session and sequence reach the host; a repeated sequence is executed once"
    )
    func deduplication() async throws {
        try await RunningGateway.with { running in
            let call = RequestFrame(
                target: counter("a"), operation: .call(action: "increment", input: Payload("5")),
                sequence: 1, acknowledged: 0)
            for id in [10, 20] as [UInt64] {
                let socket = try await RawWebSocket(running)
                try await socket.send(.request(id: id, call))
                #expect(try await socket.takeFrame() == .reply(id: id, .output(Payload("5"))))
            }
            #expect(running.service.executions == 1)
            let session = SessionID(high: 1, low: 2)
            let identity = RequestIdentity.session(session, sequence: 1, acknowledged: 0)
            #expect(running.service.requests.map(\.identity) == [identity, identity])
        }
    }

    @Test("A40: events come to subscribers only, in order, until they unsubscribe")
    func events() async throws {
        try await RunningGateway.with { running in
            let socket = try await RawWebSocket(running)
            try await socket.send(.subscribe(id: 1, counter("a"), event: "changed"))
            #expect(try await socket.takeFrame() == .subscribed(id: 1))
            try await socket.send(.subscribe(id: 2, counter("a"), event: "nope"))
            guard case .error(2, let error) = try await socket.takeFrame() else {
                throw ConnectionEnded(received: "")
            }
            #expect(error.group == "event")
            for number in 1...3 {
                running.service.broadcast("changed", of: counter("a"), Payload("\(number)"))
            }
            running.service.broadcast("changed", of: counter("b"), Payload("0"))
            for number in 1...3 {
                let event = ServerFrame.event(id: 1, name: "changed", payload: Payload("\(number)"))
                #expect(try await socket.takeFrame() == event)
            }
            try await socket.send(.unsubscribe(id: 1))
            await running.service.waitUntil {
                $0.contains { if case .unsubscribed = $0 { true } else { false } }
            }
            #expect(running.service.subscriptionCount == 0)
        }
    }

    @Test("A40: a subscription that the node ends tells why, and may be made again under its id")
    func endedSubscription() async throws {
        try await RunningGateway.with { running in
            let socket = try await RawWebSocket(running)
            for _ in 0..<2 {
                try await socket.send(.subscribe(id: 1, counter("a"), event: "changed"))
                #expect(try await socket.takeFrame() == .subscribed(id: 1))
                running.service.end("changed", of: counter("a"), .moved)
                #expect(try await socket.takeFrame() == .error(id: 1, .moved))
                #expect(running.service.subscriptionCount == 0)
            }
        }
    }

    @Test("A42: a subscriber that never reads is closed; another one gets every event")
    func slowReader() async throws {
        var configuration = GatewayConfiguration()
        configuration.session.pendingBytesMax = 256 << 10
        configuration.linger = .milliseconds(10)
        try await RunningGateway.with(configuration) { running in
            let slow = try await RawWebSocket(running), quick = try await RawWebSocket(running)
            for socket in [slow, quick] {
                try await socket.send(.subscribe(id: 1, counter("a"), event: "changed"))
                #expect(try await socket.takeFrame() == .subscribed(id: 1))
            }
            try await slow.connection.stopReading()
            let payload = Payload("\"" + String(repeating: "x", count: 64 << 10) + "\"")
            // Each event is read by the quick one before the next, until the slow one was let go.
            while running.service.subscriptionCount == 2 {
                running.service.broadcast("changed", of: counter("a"), payload)
                #expect(try await quick.takeFrame() == .event(id: 1, name: "changed", payload: payload))
            }
            #expect(running.service.subscriptionCount == 1)
        }
    }

    @Test("A client that goes away leaves no request and no subscription behind")
    func leaving() async throws {
        try await RunningGateway.with { running in
            let socket = try await RawWebSocket(running)
            let hold = RequestFrame(target: counter("a"), operation: .call(action: "hold", input: .null))
            try await socket.send(.subscribe(id: 1, counter("a"), event: "changed"), .request(id: 2, hold))
            await running.service.waitForRequests(1)
            try await socket.connection.close()
            await running.service.waitUntil { happenings in
                happenings.contains { if case .abandoned = $0 { true } else { false } }
                    && happenings.contains { if case .unsubscribed = $0 { true } else { false } }
            }
            #expect(running.service.subscriptionCount == 0)
        }
    }

    @Test("At the limit of requests under way the connection is not read; it goes on when replies came")
    func backPressure() async throws {
        var configuration = GatewayConfiguration()
        configuration.session.inFlightMax = 4
        try await RunningGateway.with(configuration) { running in
            let socket = try await RawWebSocket(running)
            let hold = RequestFrame(target: counter("a"), operation: .call(action: "hold", input: .null))
            for id in 1...4 { try await socket.send(.request(id: UInt64(id), hold)) }
            await running.service.waitForRequests(4)
            try await socket.send(.request(id: 5, RequestFrame(target: counter("a"), operation: .get)))
            running.service.release(.success(.output(.null)))
            var ids: Set<UInt64> = []
            for _ in 1...5 {
                switch try await socket.takeFrame() {
                case .reply(let id, _), .error(let id, _): ids.insert(id)
                default: break
                }
            }
            #expect(ids == [1, 2, 3, 4, 5])
        }
    }

    @Test("Stopping answers what is under way, then closes with 1001")
    func stopping() async throws {
        try await RunningGateway.with { running in
            let idle = try await RawWebSocket(running), busy = try await RawWebSocket(running)
            let hold = RequestFrame(target: counter("a"), operation: .call(action: "hold", input: .null))
            try await busy.send(.request(id: 1, hold))
            await running.service.waitForRequests(1)
            async let stopped: Void = running.gateway.stop(within: .seconds(30))
            #expect(try await idle.takeClose().code == 1001)
            running.service.release(.success(.output(Payload("1"))))
            #expect(try await busy.takeFrame() == .reply(id: 1, .output(Payload("1"))))
            #expect(try await busy.takeClose().code == 1001)
            await stopped
        }
    }
}
