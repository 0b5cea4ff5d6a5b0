import Identifiers
import Synchronization

@testable import MeshProtocol

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A blocking TCP socket, for peers that behave badly.
final class RawSocket: Sendable {
    let descriptor: Int32

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// Connects to a port of this machine.
    convenience init(port: UInt16) throws {
        self.init(Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        var address = Self.loopback(port)
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if code != 0 { throw POSIXFailure(errno: errno) }
    }

    struct POSIXFailure: Error { let errno: Int32 }

    deinit { close(descriptor) }

    static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    /// - Returns: false when the connection is broken.
    @discardableResult
    func write(_ bytes: [UInt8]) -> Bool {
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            done += count
        }
        return true
    }

    /// What has come, at least one byte; empty at the end.
    func read() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
            count = max(0, Glibc.read(descriptor, buffer.baseAddress, buffer.count))
        }
    }

    /// Lets both sides know that nothing more will come.
    func shutDown() { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Does the handshake of a node without TLS.
    func greet(as identity: NodeIdentity, lane: MeshLane = .data) throws {
        write(Frame(.hello, Hello(identity, lane: lane).payload).encoded(on: .control))
        var decoder = FrameDecoder()
        var kinds: [FrameKind] = []
        while !kinds.contains(.accept) {
            let bytes = read()
            if bytes.isEmpty { throw POSIXFailure(errno: 0) }
            try bytes.withUnsafeBytes { bytes in
                var input = bytes
                while let frame = try decoder.next(&input) { kinds.append(frame.kind) }
            }
        }
        write(Frame(.accept, [1, 0, 0, 0]).encoded(on: .control))
    }
}

/// Stands between two nodes and can cut their connections or swallow what they send.
final class CuttingProxy: Sendable {
    private let listener: RawSocket
    private let target: UInt16
    let port: UInt16
    private let sockets = Mutex<[RawSocket]>([])
    private let isSwallowing = Atomic<Bool>(false)

    init(to target: UInt16) throws {
        self.target = target
        listener = RawSocket(Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        var address = RawSocket.loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = listener.descriptor
        let code = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) + listen(descriptor, 64)
                    + getsockname(descriptor, pointer, &length)
            }
        }
        if code != 0 { throw RawSocket.POSIXFailure(errno: errno) }
        port = UInt16(bigEndian: address.sin_port)
        inThread { [self] in
            while case let accepted = accept(listener.descriptor, nil, nil), accepted >= 0 {
                let near = RawSocket(accepted)
                guard let far = try? RawSocket(port: self.target) else { continue }
                sockets.withLock { $0 += [near, far] }
                inThread { self.pump(near, far) }
                inThread { self.pump(far, near) }
            }
        }
    }

    private func pump(_ from: RawSocket, _ to: RawSocket) {
        while case let bytes = from.read(), !bytes.isEmpty {
            if !isSwallowing.load(ordering: .relaxed), !to.write(bytes) { break }
        }
        // Swallowing, it hides the end as well.
        if !isSwallowing.load(ordering: .relaxed) { to.shutDown() }
    }

    /// Resets every connection.
    func cut() {
        let cut = sockets.withLock { sockets in
            defer { sockets = [] }
            return sockets
        }
        for socket in cut { socket.shutDown() }
    }

    /// From now on bytes vanish although the connections stay, or no longer.
    func swallow(_ isSwallowing: Bool) { self.isSwallowing.store(isSwallowing, ordering: .relaxed) }

    func stop() {
        listener.shutDown()
        cut()
    }
}

/// Blocking work does not belong on the pool that runs the tests.
func inThread(_ body: @escaping @Sendable () -> Void) {
    final class Work {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var thread = pthread_t()
    pthread_create(
        &thread, nil,
        { raw in
            if let raw { Unmanaged<Work>.fromOpaque(raw).takeRetainedValue().body() }
            return nil
        }, Unmanaged.passRetained(Work(body)).toOpaque())
    pthread_detach(thread)
}

/// The same, and what came out of it.
func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        inThread { continuation.resume(with: Result { try body() }) }
    }
}
