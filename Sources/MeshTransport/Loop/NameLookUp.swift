import CLibUV
import MeshProtocol

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Asks the system for the address of a name, on libuv's own threads.
final class NameLookUp {
    private let request = UnsafeMutablePointer<uv_getaddrinfo_t>.allocate(capacity: 1)
    private let whenDone: (Result<SocketAddress, UVError>) -> Void

    private init(_ whenDone: @escaping (Result<SocketAddress, UVError>) -> Void) { self.whenDone = whenDone }

    deinit { request.deallocate() }

    static func start(
        _ address: MeshAddress, on thread: LoopThread?,
        _ whenDone: @escaping (Result<SocketAddress, UVError>) -> Void
    ) {
        guard let thread else { return }
        let lookUp = NameLookUp(whenDone)
        lookUp.request.pointee.data = Unmanaged.passRetained(lookUp).toOpaque()
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        #if os(Linux)
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        #else
        hints.ai_socktype = SOCK_STREAM
        #endif
        let code = uv_getaddrinfo(
            thread.loop, lookUp.request,
            { request, status, found in
                defer { uv_freeaddrinfo(found) }
                guard let data = request?.pointee.data else { return }
                let lookUp = Unmanaged<NameLookUp>.fromOpaque(data).takeRetainedValue()
                guard status == 0, let info = found?.pointee, let raw = info.ai_addr else {
                    return lookUp.whenDone(.failure(UVError(status)))
                }
                lookUp.whenDone(.success(SocketAddress(copying: raw, bytes: Int(info.ai_addrlen))))
            }, address.host, String(address.port), &hints)
        guard code < 0 else { return }
        // Its callback will not come.
        Unmanaged.passUnretained(lookUp).release()
        whenDone(.failure(UVError(code)))
    }
}
