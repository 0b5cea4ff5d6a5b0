import CLibUV
import MeshProtocol
import Synchronization

/// One TCP connection with TLS around it: bytes in, bytes out, one end. Used on the loop's thread only.
final class Connection {
    enum State {
        case connecting, securing, open
        case closing
    }

    /// Known once the core has admitted the connection.
    var id = LinkID(rawValue: 0)
    /// Freed by `close`, with the socket: a connection that ended does not keep its transport.
    private var transport: MeshTransport?
    private var socket: TCPSocket?
    private let buffers: SharedBuffers
    private(set) var state = State.connecting
    private let session: TLSSession?
    /// How many plain bytes those stand for that the socket has not taken.
    private var unsentPlainBytes = 0
    /// Whether the transport has it on its list of links to flush.
    var isListed = false

    /// - Parameter context: nil for a connection without TLS.
    init(
        of transport: MeshTransport, context: TLSContext?, isDialler: Bool, buffers: SharedBuffers
    ) throws(CertificateError) {
        self.transport = transport
        self.buffers = buffers
        session = if let context { try TLSSession(context, isDialler: isDialler) } else { nil }
        socket = TCPSocket(on: transport.loop.thread, for: self)
    }

    // MARK: Opening

    func dial(_ address: MeshAddress, from source: SocketAddress?) {
        socket?.dial(address, from: source)
    }

    /// Takes the next connection of a listener.
    func accept(from listener: UnsafeMutablePointer<uv_stream_t>) -> Bool {
        socket?.accept(from: listener) ?? false
    }

    var peerAddress: String { socket?.peerAddress.map { "\($0)" } ?? "an unknown address" }

    /// The TCP connection is there: says hello in TLS, or is open at once without it.
    func begin() {
        socket?.tune()
        state = .securing
        read(true)
        guard session != nil else {
            state = .open
            transport?.linkSecured(id, nil)
            return
        }
        goOnSecuring()
    }

    private func goOnSecuring() {
        guard let session else { return }
        let progress = session.handshake()
        sendOutput(of: session, plainBytes: 0)
        switch progress {
        case .waiting: break
        case .failed(let sentence): fail(sentence, isOfTLS: true)
        case .done(let identity):
            guard state == .securing else { return }
            guard let identity else {
                return fail(
                    "the peer's certificate names no cluster and node: it needs one of this cluster",
                    isOfTLS: true)
            }
            state = .open
            transport?.linkSecured(id, identity)
        }
    }

    /// Starts or stops reading; a peer that is not read from is held back by its socket.
    func read(_ isReading: Bool) { socket?.read(isReading) }

    // MARK: Writing

    /// Whether the socket takes bytes now.
    var canWrite: Bool { state == .open && socket?.canWrite == true }

    /// Writes the bytes. If the socket does not take all of them the rest is kept, and `linkWrote` follows
    /// later.
    /// - Returns: whether all of them were taken.
    func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let session else { return send(bytes, plainBytes: bytes.count) }
        guard session.write(bytes) else {
            fail("TLS failed to encrypt")
            return false
        }
        return sendOutput(of: session, plainBytes: bytes.count)
    }

    @discardableResult
    private func sendOutput(of session: TLSSession, plainBytes: Int) -> Bool {
        let output = session.output
        // What waits behind an unfinished write goes out after it.
        guard !output.isEmpty, socket?.isWriting == false, state != .closing else {
            if output.count > SharedBuffers.unsentBytesMax { fail("the peer does not read what TLS answers") }
            return output.isEmpty
        }
        defer { session.clearOutput() }
        return send(output, plainBytes: plainBytes)
    }

    private func send(_ bytes: UnsafeRawBufferPointer, plainBytes: Int) -> Bool {
        transport?.writtenCount.add(UInt64(bytes.count), ordering: .relaxed)
        guard let socket, !socket.write(bytes) else { return true }
        unsentPlainBytes = plainBytes
        return false
    }

    /// Closes the sending half when everything is sent. The rest is read until the peer closes.
    func finish() {
        guard canFinish else { return }
        if let session {
            session.shutdown()
            sendOutput(of: session, plainBytes: 0)
        }
        socket?.finish()
    }

    private var canFinish: Bool { state == .open && socket?.isFinishing == false }

    // MARK: The end

    /// - Parameter sentence: nil if the peer closed.
    private func fail(_ sentence: String?, isOfTLS: Bool = false) {
        guard state != .closing, let transport else { return }
        close()
        if isOfTLS, let sentence {
            transport.linkNotSecured(id, sentence)
        } else {
            transport.linkEnded(id, sentence)
        }
    }

    func close() {
        guard state != .closing else { return }
        state = .closing
        socket?.close()
    }
}

extension Connection: TCPSocketOwner {
    func socketConnected() {
        guard state == .connecting else { return }
        transport?.linkConnected(id)
        if state == .connecting { begin() }
    }

    func socketSpace() -> UnsafeMutableRawBufferPointer { buffers.incoming }

    func socketEnded() { fail(nil) }

    func socketFailed(_ sentence: String) { fail(sentence) }

    func socketReceived(_ bytes: UnsafeRawBufferPointer) {
        guard let session else {
            transport?.linkReceived(id, bytes)
            return
        }
        guard session.receive(bytes) else { return fail("TLS takes no more bytes") }
        if state == .securing { goOnSecuring() }
        while state == .open {
            switch session.read(into: buffers.decrypted) {
            case .bytes(let count):
                transport?.linkReceived(id, UnsafeRawBufferPointer(rebasing: buffers.decrypted[..<count]))
            case .nothing:
                // A renewed key is answered.
                sendOutput(of: session, plainBytes: 0)
                return
            case .closed: return fail(nil)
            case .failed(let sentence):
                sendOutput(of: session, plainBytes: 0)
                return fail(sentence, isOfTLS: true)
            }
        }
    }

    func socketWrote() {
        let plainBytes = unsentPlainBytes
        unsentPlainBytes = 0
        if let session { sendOutput(of: session, plainBytes: 0) }
        // Also after bytes of TLS itself: frames may have waited behind them.
        transport?.linkWrote(id, plainBytes)
    }

    func socketClosed() {
        let transport = transport
        self.transport = nil
        socket = nil
        transport?.handleClosed()
    }
}

/// Memory that all connections of a transport use in turn; nothing stays in it between two callbacks.
final class SharedBuffers {
    /// What a connection may hold back for a socket that does not take it.
    static let unsentBytesMax = 256 << 10
    /// Four TLS records: more at once does not pay, and each connection's TLS keeps a buffer of that size.
    static let encryptedAtOnce = 64 << 10

    let incoming = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
    let decrypted = UnsafeMutableRawBufferPointer.allocate(byteCount: 32 << 10, alignment: 64)
    let outgoing = UnsafeMutableRawBufferPointer.allocate(byteCount: unsentBytesMax, alignment: 64)

    deinit {
        incoming.deallocate()
        decrypted.deallocate()
        outgoing.deallocate()
    }
}
