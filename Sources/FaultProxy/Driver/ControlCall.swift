import MeshProtocol
import MeshTransport
import Synchronization

/// Gives a running proxy commands, as its control port takes them.
package enum ControlCall {
    /// What a proxy may take to answer everything.
    package static let limit: Duration = .seconds(10)
    static let answerBytesMax = 1 << 20

    /// - Returns: the lines of all answers without the final ones.
    package static func send(
        _ commands: [String], to address: MeshAddress, on loop: EventLoop = EventLoop(name: "proxy-call")
    ) async throws(ControlError) -> [String] {
        let result: Result<[String], ControlError> = await withCheckedContinuation { continuation in
            loop.post { Call(commands, address, on: loop) { continuation.resume(returning: $0) }.begin() }
        }
        return try result.get()
    }
}

/// One connection to a control port. Used on the loop's thread only.
private final class Call: TCPSocketOwner {
    private let commands: [String]
    private let address: MeshAddress
    private let loop: EventLoop
    private var socket: TCPSocket?
    private var deadline: LoopTimer?
    private var answers = 0
    private var lines: [String] = []
    private var rest: [UInt8] = []
    private let buffer = ReadBuffer()
    private var result: Result<[String], ControlError>?
    private let whenDone: @Sendable (Result<[String], ControlError>) -> Void

    init(
        _ commands: [String], _ address: MeshAddress, on loop: EventLoop,
        whenDone: @escaping @Sendable (Result<[String], ControlError>) -> Void
    ) {
        self.commands = commands
        self.address = address
        self.loop = loop
        self.whenDone = whenDone
    }

    func begin() {
        socket = TCPSocket(on: loop.thread, for: self)
        // Used on the one thread of the loop, as this object is.
        nonisolated(unsafe) let call = self
        deadline = LoopTimer(on: loop.thread) {
            call.end(.failure(ControlError("\(call.address) did not answer within \(ControlCall.limit)")))
        }
        deadline?.start(after: ControlCall.limit)
        socket?.dial(address)
    }

    private func end(_ result: Result<[String], ControlError>) {
        if self.result == nil { self.result = result }
        socket?.close()
    }

    func socketConnected() {
        socket?.read(true)
        let bytes = Array(commands.map { $0 + "\n" }.joined().utf8)
        _ = bytes.withUnsafeBytes { socket?.write($0) }
    }

    func socketWrote() {}
    func socketEnded() { socketFailed("the proxy closed the connection") }
    func socketFailed(_ sentence: String) { end(.failure(ControlError("\(address): \(sentence)"))) }
    func socketSpace() -> UnsafeMutableRawBufferPointer { buffer.space }

    func socketReceived(_ bytes: UnsafeRawBufferPointer) {
        rest += bytes
        while let newline = rest.firstIndex(of: UInt8(ascii: "\n")) {
            let line = String(decoding: rest[..<newline], as: UTF8.self)
            rest.removeSubrange(...newline)
            if line.hasPrefix("error: ") { return end(.failure(ControlError(String(line.dropFirst(7))))) }
            guard line == "ok" else {
                lines.append(line)
                continue
            }
            answers += 1
            if answers == commands.count { return end(.success(lines)) }
        }
        if rest.count > ControlCall.answerBytesMax {
            end(.failure(ControlError("\(address) talks too much")))
        }
    }

    func socketClosed() {
        socket = nil
        deadline?.close()
        deadline = nil
        whenDone(result ?? .failure(ControlError("\(address): the connection was closed")))
    }
}
