import CLibUV
import MeshProtocol

/// A listening socket. Used on the loop's thread only.
final class Listener {
    private let handle: UnsafeMutablePointer<uv_tcp_t>
    private var transport: MeshTransport?
    private static let backlog: CInt = 512

    init(_ address: SocketAddress, of transport: MeshTransport) throws(UVError) {
        self.transport = transport
        handle = .allocate(capacity: 1)
        uv_tcp_init(transport.loop.thread.loop, handle)
        // Balanced in the callback of uv_close.
        handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
        do throws(UVError) {
            try UVError.check(address.withPointer { uv_tcp_bind(handle, $0, 0) })
            let code = uv_listen(apus_stream(handle), Self.backlog) { stream, status in
                guard status == 0, let stream, let data = stream.pointee.data else { return }
                Unmanaged<Listener>.fromOpaque(data).takeUnretainedValue().transport?.linkArrived(on: stream)
            }
            try UVError.check(code)
        } catch {
            self.transport = nil
            close()
            throw error
        }
    }

    deinit { handle.deallocate() }

    /// Where it listens, with the port that the system chose.
    var address: MeshAddress? { SocketAddress { uv_tcp_getsockname(handle, $0, $1) }?.address }

    func close() {
        guard uv_is_closing(apus_handle(handle)) == 0 else { return }
        uv_close(apus_handle(handle)) { handle in
            guard let data = handle?.pointee.data else { return }
            let listener = Unmanaged<Listener>.fromOpaque(data).takeRetainedValue()
            let transport = listener.transport
            listener.transport = nil
            transport?.handleClosed()
        }
    }
}
