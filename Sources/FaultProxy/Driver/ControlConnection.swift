import CLibUV
import MeshTransport

/// A connection over which commands come, one a line. Each is answered by lines, of which the last begins
/// with `ok` or `error`. Used on the loop's thread only.
final class ControlConnection: TCPSocketOwner {
    static let lineBytesMax = 4_096
    /// Nobody says anything for so long: the connection is closed.
    static let idleMax: Duration = .seconds(300)

    private let id: Int
    private let server: ProxyServer
    private var socket: TCPSocket?
    private var timer: LoopTimer?
    private var line: [UInt8] = []
    private let buffer: ReadBuffer

    init(_ id: Int, of server: ProxyServer, buffer: ReadBuffer) {
        self.id = id
        self.server = server
        self.buffer = buffer
        socket = TCPSocket(on: server.loop.thread, for: self)
        timer = LoopTimer(on: server.loop.thread) { [server, id] in
            server.assumeIsolated { $0.closeControl(id) }
        }
    }

    func accept(from stream: UnsafeMutablePointer<uv_stream_t>) -> Bool {
        guard let socket, socket.accept(from: stream) else { return false }
        socket.tune()
        timer?.start(after: Self.idleMax)
        socket.read(true)
        return true
    }

    func close() { socket?.close() }

    // MARK: What the socket says

    func socketConnected() {}
    func socketWrote() {}
    func socketEnded() { close() }
    func socketFailed(_: String) { close() }
    func socketSpace() -> UnsafeMutableRawBufferPointer { buffer.space }

    func socketReceived(_ bytes: UnsafeRawBufferPointer) {
        timer?.start(after: Self.idleMax)
        for byte in bytes {
            if byte != UInt8(ascii: "\n") {
                guard line.count < Self.lineBytesMax else {
                    answer("error: a command has at most \(Self.lineBytesMax) bytes\n")
                    return close()
                }
                line.append(byte)
                continue
            }
            let command = String(decoding: line, as: UTF8.self)
            line = []
            answer(server.assumeIsolated { $0.answer(command) })
            if socket?.isClosing != false { return }
        }
    }

    private func answer(_ text: String) {
        // Who does not read the answers gets no more of them.
        guard let socket, socket.canWrite else { return close() }
        _ = Array(text.utf8).withUnsafeBytes { socket.write($0) }
    }

    func socketClosed() {
        socket = nil
        timer?.close()
        timer = nil
        server.assumeIsolated { [id] in $0.controlClosed(id) }
    }
}
