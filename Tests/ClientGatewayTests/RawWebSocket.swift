import ClientProtocol
import Identifiers

/// A WebSocket whose frames a test writes bit by bit.
struct RawWebSocket {
    let connection: RawConnection

    static let upgrade =
        "GET /connect HTTP/1.1\r\nhost: t\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        + "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n"
        + "sec-websocket-protocol: apus.v1.json\r\n\r\n"

    /// Upgrades, and says hello unless told not to.
    init(
        _ running: RunningGateway, greets: Bool = true, subprotocol: String = "apus.v1.json"
    ) async throws {
        connection = try await running.connect()
        try await connection.send(Self.upgrade.replacing("apus.v1.json", with: subprotocol))
        _ = try await connection.takeAnswer()
        guard greets else { return }
        try await send(.hello(version: 1, session: SessionID(high: 1, low: 2)))
        _ = try await takeText()
    }

    /// One frame with a masked payload, as clients must send them.
    static func frame(
        _ payload: [UInt8], opcode: UInt8 = 1, isFinal: Bool = true, isMasked: Bool = true,
        reserved: UInt8 = 0
    ) -> [UInt8] {
        var bytes = [(isFinal ? 0x80 : 0) | reserved | opcode]
        let maskBit: UInt8 = isMasked ? 0x80 : 0
        switch payload.count {
        case 0..<126: bytes.append(maskBit | UInt8(payload.count))
        case 126..<65536: bytes += [maskBit | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        default: bytes += [maskBit | 127] + (0..<8).map { UInt8(payload.count >> (56 - $0 * 8) & 0xFF) }
        }
        guard isMasked else { return bytes + payload }
        let mask: [UInt8] = [0x12, 0x34, 0x56, 0x78]
        return bytes + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] }
    }

    static func frame(_ text: String) -> [UInt8] { frame(Array(text.utf8)) }

    func send(_ frames: ClientFrame...) async throws {
        var all: [UInt8] = []
        for frame in frames {
            var bytes: [UInt8] = []
            frame.encode(into: &bytes)
            all += Self.frame(bytes)
        }
        try await connection.send(all)
    }

    /// The next frame's opcode and payload.
    func take() async throws -> (opcode: UInt8, payload: [UInt8]) {
        let head = try await connection.take(2)
        var count = Int(head[1] & 0x7F)
        if count == 126 { count = try await connection.take(2).reduce(0) { $0 << 8 | Int($1) } }
        if count == 127 { count = try await connection.take(8).reduce(0) { $0 << 8 | Int($1) } }
        return (head[0] & 0x0F, try await connection.take(count))
    }

    func takeText() async throws -> String {
        let (opcode, payload) = try await take()
        guard opcode == 1 else { throw ConnectionEnded(received: "opcode \(opcode): \(payload)") }
        return String(decoding: payload, as: UTF8.self)
    }

    func takeFrame() async throws -> ServerFrame { try ServerFrame.decode(Array(try await takeText().utf8)) }

    /// Skips to the close frame; then the connection must end.
    func takeClose() async throws -> (code: Int, reason: String) {
        while true {
            let (opcode, payload) = try await take()
            guard opcode == 8 else { continue }
            _ = await connection.takeAll()
            let code = payload.prefix(2).reduce(0) { $0 << 8 | Int($1) }
            return (code, String(decoding: payload.dropFirst(2), as: UTF8.self))
        }
    }
}
