import CLibUV
import MeshProtocol

/// Who is told what happens to a `TCPSocket`, on the loop's thread.
package protocol TCPSocketOwner: AnyObject {
    /// The connection that was dialled is there.
    func socketConnected()
    /// The bytes are lent for the call.
    func socketReceived(_ bytes: UnsafeRawBufferPointer)
    /// The peer sends no more.
    func socketEnded()
    /// The connection broke, or did not come about.
    func socketFailed(_ sentence: String)
    /// All that `write` could not send at once is sent.
    func socketWrote()
    /// libuv has let go of it after `close`: nothing is called any more.
    func socketClosed()
    /// Where the next bytes are read into; nothing else is in there until `socketReceived` returns.
    func socketSpace() -> UnsafeMutableRawBufferPointer
}

/// One TCP connection: dials or is accepted, reads, writes, ends. Used on the loop's thread only.
///
/// libuv holds one reference from `uv_tcp_init` to the callback of `uv_close`, and each request one from its
/// start to its callback, so that nothing is freed under it.
package final class TCPSocket {
    private let handle: UnsafeMutablePointer<uv_tcp_t>
    private let thread: LoopThread
    /// Freed by `close`: a socket that ended keeps nobody.
    private var owner: (any TCPSocketOwner)?
    private var unsent: WriteRequest?
    private var shutsDown = false
    private var isReading = false
    package private(set) var isClosing = false

    package init(on thread: LoopThread, for owner: any TCPSocketOwner) {
        self.thread = thread
        self.owner = owner
        handle = .allocate(capacity: 1)
        uv_tcp_init(thread.loop, handle)
        handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
    }

    deinit { handle.deallocate() }

    private var stream: UnsafeMutablePointer<uv_stream_t>? { apus_stream(handle) }

    private static func of(_ data: UnsafeMutableRawPointer?) -> TCPSocket? {
        data.map { Unmanaged<TCPSocket>.fromOpaque($0).takeUnretainedValue() }
    }

    // MARK: Opening

    /// Dials; `socketConnected` or `socketFailed` follows.
    /// - Parameter source: the address of this machine to dial from; nil lets the system choose.
    package func dial(_ address: MeshAddress, from source: SocketAddress? = nil) {
        if let source {
            let code = source.withPointer { uv_tcp_bind(handle, $0, 0) }
            guard code == 0 else { return fail("dialling from \(source.address) failed: \(UVError(code))") }
        }
        if let numeric = SocketAddress(numeric: address) { return dial(numeric) }
        NameLookUp.start(address, on: thread) { [self] result in
            guard !isClosing else { return }
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
                let socket = Unmanaged<TCPSocket>.fromOpaque(data).takeRetainedValue()
                request.deallocate()
                socket.dialled(status)
            }
        }
        guard code < 0 else { return }
        // Its callback will not come.
        Unmanaged.passUnretained(self).release()
        request.deallocate()
        fail("the connection failed: \(UVError(code))")
    }

    private func dialled(_ status: CInt) {
        guard !isClosing else { return }
        guard status == 0 else { return fail("the connection failed: \(UVError(status))") }
        owner?.socketConnected()
    }

    /// Takes the next connection of a listener.
    package func accept(from listener: UnsafeMutablePointer<uv_stream_t>) -> Bool {
        uv_accept(listener, stream) == 0
    }

    package var peerAddress: MeshAddress? {
        SocketAddress { uv_tcp_getpeername(handle, $0, $1) }?.address
    }

    /// Sends small pieces at once, and gives up on a peer whose kernel is silent.
    package func tune() {
        uv_tcp_nodelay(handle, 1)
        uv_tcp_keepalive(handle, 1, 10)
        _ = apus_tcp_user_timeout(handle, 15_000)
    }

    // MARK: Reading

    /// Starts or stops reading; a peer that is not read from is held back by its socket.
    package func read(_ isReading: Bool) {
        guard !isClosing, isReading != self.isReading else { return }
        self.isReading = isReading
        guard isReading else {
            uv_read_stop(stream)
            return
        }
        uv_read_start(
            stream,
            { handle, _, buffer in
                guard let buffer, let space = TCPSocket.of(handle?.pointee.data)?.owner?.socketSpace() else {
                    return
                }
                buffer.pointee = uv_buf_init(
                    space.baseAddress?.assumingMemoryBound(to: CChar.self), UInt32(space.count))
            },
            { stream, count, buffer in
                guard let socket = TCPSocket.of(stream?.pointee.data), let buffer, count != 0 else { return }
                guard count > 0 else { return socket.ended(CInt(count)) }
                socket.owner?.socketReceived(
                    UnsafeRawBufferPointer(start: buffer.pointee.base, count: count))
            })
    }

    private func ended(_ code: CInt) {
        guard code == UV_EOF.rawValue else { return fail("the connection broke: \(UVError(code))") }
        // libuv reads no more after the end by itself.
        isReading = false
        uv_read_stop(stream)
        owner?.socketEnded()
    }

    // MARK: Writing

    /// Whether the socket takes bytes now.
    package var canWrite: Bool { unsent == nil && !shutsDown && !isClosing }

    /// Whether `finish` was called.
    package var isFinishing: Bool { shutsDown }

    /// Whether bytes are left that `socketWrote` will follow.
    package var isWriting: Bool { unsent != nil }

    /// Writes the bytes. If the socket does not take all of them the rest is kept, and `socketWrote` follows
    /// later.
    /// - Returns: whether all of them were taken.
    package func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var buffer = uv_buf_init(
            UnsafeMutablePointer(mutating: bytes.baseAddress?.assumingMemoryBound(to: CChar.self)),
            UInt32(bytes.count))
        let taken = uv_try_write(stream, &buffer, 1)
        if taken == bytes.count { return true }
        guard taken >= 0 || taken == UV_EAGAIN.rawValue else {
            fail("the connection broke: \(UVError(taken))")
            return false
        }
        let request = WriteRequest(UnsafeRawBufferPointer(rebasing: bytes[max(0, Int(taken))...]))
        unsent = request
        request.submit(on: stream) { [self] status in wrote(status) }
        return false
    }

    private func wrote(_ status: CInt) {
        unsent = nil
        guard !isClosing else { return }
        guard status == 0 else { return fail("the connection broke: \(UVError(status))") }
        owner?.socketWrote()
        if shutsDown { shutDownWhenSent() }
    }

    /// Closes the sending half when everything is sent. The rest is read until the peer closes.
    package func finish() {
        guard !shutsDown, !isClosing else { return }
        shutsDown = true
        shutDownWhenSent()
    }

    private func shutDownWhenSent() {
        guard unsent == nil, !isClosing else { return }
        let request = UnsafeMutablePointer<uv_shutdown_t>.allocate(capacity: 1)
        let code = uv_shutdown(request, stream) { request, _ in request?.deallocate() }
        if code < 0 { request.deallocate() }
    }

    // MARK: The end

    private func fail(_ sentence: String) {
        guard !isClosing else { return }
        owner?.socketFailed(sentence)
    }

    package func close() {
        guard !isClosing else { return }
        isClosing = true
        uv_close(apus_handle(handle)) { TCPSocket.letGo($0?.pointee.data) }
    }

    /// Closes so that the peer reads a reset in place of an end (RST); what is unsent is thrown away.
    package func reset() {
        guard !isClosing else { return }
        // libuv refuses this after a shutdown, whose end the peer has seen already.
        guard uv_tcp_close_reset(handle, { TCPSocket.letGo($0?.pointee.data) }) == 0 else { return close() }
        isClosing = true
    }

    private static func letGo(_ data: UnsafeMutableRawPointer?) {
        guard let data else { return }
        let socket = Unmanaged<TCPSocket>.fromOpaque(data).takeRetainedValue()
        let owner = socket.owner
        socket.owner = nil
        owner?.socketClosed()
    }
}
