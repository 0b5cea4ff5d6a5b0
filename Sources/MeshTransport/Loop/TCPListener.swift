import CLibUV
import MeshProtocol

/// Who is told of a `TCPListener`'s connections, on the loop's thread.
package protocol TCPListenerOwner: AnyObject {
    /// A connection waits to be accepted.
    func connectionArrived(at listener: TCPListener, on stream: UnsafeMutablePointer<uv_stream_t>)
    /// libuv has let go of it after `close`.
    func listenerClosed()
}

/// A listening socket. Used on the loop's thread only.
package final class TCPListener {
    private let handle: UnsafeMutablePointer<uv_tcp_t>
    /// Freed by `close`: a listener that ended keeps nobody.
    private var owner: (any TCPListenerOwner)?
    private static let backlog: CInt = 512

    /// - Parameter owner: not told of the end if this throws.
    package init(
        _ address: SocketAddress, on thread: LoopThread, for owner: any TCPListenerOwner
    ) throws(UVError) {
        self.owner = owner
        handle = .allocate(capacity: 1)
        uv_tcp_init(thread.loop, handle)
        // Balanced in the callback of uv_close.
        handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
        do throws(UVError) {
            try UVError.check(address.withPointer { uv_tcp_bind(handle, $0, 0) })
            let code = uv_listen(apus_stream(handle), Self.backlog) { stream, status in
                guard status == 0, let stream, let data = stream.pointee.data else { return }
                let listener = Unmanaged<TCPListener>.fromOpaque(data).takeUnretainedValue()
                listener.owner?.connectionArrived(at: listener, on: stream)
            }
            try UVError.check(code)
        } catch {
            self.owner = nil
            close()
            throw error
        }
    }

    deinit { handle.deallocate() }

    /// Where it listens, with the port that the system chose.
    package var address: MeshAddress? { SocketAddress { uv_tcp_getsockname(handle, $0, $1) }?.address }

    package func close() {
        guard uv_is_closing(apus_handle(handle)) == 0 else { return }
        uv_close(apus_handle(handle)) { handle in
            guard let data = handle?.pointee.data else { return }
            let listener = Unmanaged<TCPListener>.fromOpaque(data).takeRetainedValue()
            let owner = listener.owner
            listener.owner = nil
            owner?.listenerClosed()
        }
    }
}
