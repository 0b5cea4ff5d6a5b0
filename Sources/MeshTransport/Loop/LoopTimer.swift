import CLibUV

/// A timer of the loop. Used on the loop's thread only; `close` ends it for good.
package final class LoopTimer {
    private let handle: UnsafeMutablePointer<uv_timer_t>
    private let body: @Sendable () -> Void

    package init(on thread: LoopThread, _ body: @escaping @Sendable () -> Void) {
        handle = .allocate(capacity: 1)
        self.body = body
        uv_timer_init(thread.loop, handle)
        // Balanced in the callback of uv_close.
        handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
    }

    deinit { handle.deallocate() }

    package func start(after delay: Duration, every period: Duration? = nil) {
        guard uv_is_closing(apus_handle(handle)) == 0 else { return }
        uv_timer_start(
            handle, { LoopTimer.of($0)?.body() }, Self.millis(delay),
            period.map { max(1, Self.millis($0)) } ?? 0)
    }

    package func close() {
        guard uv_is_closing(apus_handle(handle)) == 0 else { return }
        uv_close(apus_handle(handle)) { handle in
            guard let data = handle?.pointee.data else { return }
            Unmanaged<LoopTimer>.fromOpaque(data).release()
        }
    }

    private static func of(_ handle: UnsafeMutablePointer<uv_timer_t>?) -> LoopTimer? {
        handle?.pointee.data.map { Unmanaged<LoopTimer>.fromOpaque($0).takeUnretainedValue() }
    }

    /// Rounded up: a deadline must not be early.
    private static func millis(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let rest = (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
        return UInt64(clamping: min(seconds, 1 << 40)) * 1000 + UInt64(rest)
    }
}
