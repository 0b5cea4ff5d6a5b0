import CLibUV
import MeshProtocol
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// One TCP connection with TLS around it: bytes in, bytes out, one end. Used on the loop's thread only.
///
/// libuv holds one reference from `uv_tcp_init` to the callback of `uv_close`, and each request one from its
/// start to its callback, so that nothing is freed under it.
final class Connection {
    enum State {
        case connecting, securing, open
        case closing
    }

    /// Known once the core has admitted the connection.
    var id = LinkID(rawValue: 0)
    /// Freed by `close`: a connection that ended does not keep its transport.
    private var transport: MeshTransport?
    private let handle: UnsafeMutablePointer<uv_tcp_t>
    private let buffers: SharedBuffers
    private(set) var state = State.connecting
    private let session: TLSSession?
    /// Bytes that the socket has not taken, and how many plain ones they stand for.
    private var unsent: WriteRequest?
    private var shutsDown = false
    private var isReading = false
    /// Whether the transport has it on its list of links to flush.
    var isListed = false

    /// - Parameter context: nil for a connection without TLS.
    init(
        of transport: MeshTransport, context: TLSContext?, isDialler: Bool, buffers: SharedBuffers
    ) throws(CertificateError) {
        self.transport = transport
        self.buffers = buffers
        session = if let context { try TLSSession(context, isDialler: isDialler) } else { nil }
        handle = .allocate(capacity: 1)
        uv_tcp_init(transport.loop.thread.loop, handle)
        handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
    }

    deinit { handle.deallocate() }

    private var stream: UnsafeMutablePointer<uv_stream_t>? { apus_stream(handle) }

    private static func of(_ handle: UnsafeMutablePointer<uv_stream_t>?) -> Connection? {
        handle?.pointee.data.map { Unmanaged<Connection>.fromOpaque($0).takeUnretainedValue() }
    }

    // MARK: Opening

    func dial(_ address: MeshAddress) {
        if let numeric = SocketAddress(numeric: address) { return dial(numeric) }
        NameLookUp.start(address, on: transport?.loop.thread) { [self] result in
            guard state == .connecting else { return }
            switch result {
            case .success(let found): dial(found)
            case .failure(let error): fail("the name \(address.host) cannot be resolved: \(error)")
            }
        }
    }

    private func dial(_ address: SocketAddress) {
        let request = UnsafeMutablePointer<uv_connect_t>.allocate(capacity: 1)
        request.pointee.data = Unmanaged.passRetained(self).toOpaque()
        let code = address.withPointer { pointer in
            uv_tcp_connect(request, handle, pointer) { request, status in
                guard let request, let data = request.pointee.data else { return }
                let connection = Unmanaged<Connection>.fromOpaque(data).takeRetainedValue()
                request.deallocate()
                connection.dialled(status)
            }
        }
        guard code < 0 else { return }
        // Its callback will not come.
        Unmanaged.passUnretained(self).release()
        request.deallocate()
        fail("the connection failed: \(UVError(code))")
    }

    private func dialled(_ status: CInt) {
        guard state == .connecting else { return }
        guard status == 0 else { return fail("the connection failed: \(UVError(status))") }
        transport?.linkConnected(id)
        if state == .connecting { begin() }
    }

    /// Takes the next connection of a listener.
    func accept(from listener: UnsafeMutablePointer<uv_stream_t>) -> Bool { uv_accept(listener, stream) == 0 }

    var peerAddress: String {
        SocketAddress { uv_tcp_getpeername(handle, $0, $1) }.map { "\($0.address)" } ?? "an unknown address"
    }

    /// The TCP connection is there: says hello in TLS, or is open at once without it.
    func begin() {
        uv_tcp_nodelay(handle, 1)
        uv_tcp_keepalive(handle, 1, 10)
        _ = apus_tcp_user_timeout(handle, 15_000)
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

    // MARK: Reading

    /// Starts or stops reading; a peer that is not read from is held back by its socket.
    func read(_ isReading: Bool) {
        guard state != .closing, isReading != self.isReading else { return }
        self.isReading = isReading
        guard isReading else {
            uv_read_stop(stream)
            return
        }
        uv_read_start(
            stream,
            { handle, _, buffer in
                guard let buffer, let connection = Connection.of(UnsafeMutableRawPointer(handle)) else {
                    return
                }
                let space = connection.buffers.incoming
                buffer.pointee = uv_buf_init(
                    space.baseAddress?.assumingMemoryBound(to: CChar.self), UInt32(space.count))
            },
            { stream, count, buffer in
                guard let connection = Connection.of(stream), let buffer, count != 0 else { return }
                guard count > 0 else { return connection.ended(CInt(count)) }
                connection.received(UnsafeRawBufferPointer(start: buffer.pointee.base, count: count))
            })
    }

    private static func of(_ handle: UnsafeMutableRawPointer?) -> Connection? {
        of(handle?.assumingMemoryBound(to: uv_stream_t.self))
    }

    private func ended(_ code: CInt) {
        fail(code == UV_EOF.rawValue ? nil : "the connection broke: \(UVError(code))")
    }

    private func received(_ bytes: UnsafeRawBufferPointer) {
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

    // MARK: Writing

    /// Whether the socket takes bytes now.
    var canWrite: Bool { state == .open && unsent == nil && !shutsDown }

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
        guard !output.isEmpty, unsent == nil, state != .closing else {
            if output.count > SharedBuffers.unsentBytesMax { fail("the peer does not read what TLS answers") }
            return output.isEmpty
        }
        defer { session.clearOutput() }
        return send(output, plainBytes: plainBytes)
    }

    private func send(_ bytes: UnsafeRawBufferPointer, plainBytes: Int) -> Bool {
        transport?.writtenCount.add(UInt64(bytes.count), ordering: .relaxed)
        var buffer = uv_buf_init(
            UnsafeMutablePointer(mutating: bytes.baseAddress?.assumingMemoryBound(to: CChar.self)),
            UInt32(bytes.count))
        let taken = uv_try_write(stream, &buffer, 1)
        if taken == bytes.count { return true }
        guard taken >= 0 || taken == UV_EAGAIN.rawValue else {
            fail("the connection broke: \(UVError(taken))")
            return false
        }
        let rest = UnsafeRawBufferPointer(rebasing: bytes[max(0, Int(taken))...])
        let request = WriteRequest(rest, plainBytes: plainBytes)
        unsent = request
        request.submit(on: stream) { [self] status in wrote(request, status) }
        return false
    }

    private func wrote(_ request: WriteRequest, _ status: CInt) {
        unsent = nil
        guard state != .closing else { return }
        guard status == 0 else { return fail("the connection broke: \(UVError(status))") }
        if let session { sendOutput(of: session, plainBytes: 0) }
        // Also after bytes of TLS itself: frames may have waited behind them.
        transport?.linkWrote(id, request.plainBytes)
        if shutsDown { shutDownWhenSent() }
    }

    /// Closes the sending half when everything is sent. The rest is read until the peer closes.
    func finish() {
        guard state == .open, !shutsDown else { return }
        shutsDown = true
        if let session {
            session.shutdown()
            sendOutput(of: session, plainBytes: 0)
        }
        shutDownWhenSent()
    }

    private func shutDownWhenSent() {
        guard unsent == nil, state != .closing else { return }
        let request = UnsafeMutablePointer<uv_shutdown_t>.allocate(capacity: 1)
        let code = uv_shutdown(request, stream) { request, _ in request?.deallocate() }
        if code < 0 { request.deallocate() }
    }

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
        uv_close(apus_handle(handle)) { handle in
            guard let data = handle?.pointee.data else { return }
            let connection = Unmanaged<Connection>.fromOpaque(data).takeRetainedValue()
            let transport = connection.transport
            connection.transport = nil
            transport?.handleClosed()
        }
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
