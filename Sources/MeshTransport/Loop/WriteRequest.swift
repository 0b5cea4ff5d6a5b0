import CLibUV

/// Bytes on their way to a socket; owns them and the request until libuv calls back.
final class WriteRequest {
    private let request = UnsafeMutablePointer<uv_write_t>.allocate(capacity: 1)
    private let bytes: UnsafeMutableRawBufferPointer
    private var whenDone: ((CInt) -> Void)?

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = .allocate(byteCount: bytes.count, alignment: 1)
        self.bytes.copyMemory(from: bytes)
    }

    deinit {
        request.deallocate()
        bytes.deallocate()
    }

    func submit(on stream: UnsafeMutablePointer<uv_stream_t>?, _ whenDone: @escaping (CInt) -> Void) {
        self.whenDone = whenDone
        request.pointee.data = Unmanaged.passRetained(self).toOpaque()
        var buffer = uv_buf_init(bytes.baseAddress?.assumingMemoryBound(to: CChar.self), UInt32(bytes.count))
        let code = uv_write(request, stream, &buffer, 1) { request, status in
            guard let data = request?.pointee.data else { return }
            Unmanaged<WriteRequest>.fromOpaque(data).takeRetainedValue().done(status)
        }
        guard code < 0 else { return }
        // Its callback will not come.
        Unmanaged.passUnretained(self).release()
        done(code)
    }

    private func done(_ status: CInt) {
        let callback = whenDone
        whenDone = nil
        callback?(status)
    }
}
