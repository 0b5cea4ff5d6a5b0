import CLibUV
import MeshProtocol

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// An address of the system, IPv4 or IPv6.
package struct SocketAddress {
    private var storage = sockaddr_storage()

    /// Reads a numeric address; nil for a name.
    package init?(numeric address: MeshAddress) {
        let isRead = withUnsafeMutablePointer(to: &storage) { storage in
            let raw = UnsafeMutableRawPointer(storage)
            return uv_ip4_addr(
                address.host, CInt(address.port), raw.assumingMemoryBound(to: sockaddr_in.self)) == 0
                || uv_ip6_addr(
                    address.host, CInt(address.port), raw.assumingMemoryBound(to: sockaddr_in6.self)) == 0
        }
        if !isRead { return nil }
    }

    init(copying address: UnsafePointer<sockaddr>, bytes: Int) {
        withUnsafeMutableBytes(of: &storage) { target in
            target.copyMemory(
                from: UnsafeRawBufferPointer(start: address, count: min(bytes, target.count)))
        }
    }

    /// Lets `read` fill in the address, as `uv_tcp_getsockname` does.
    init?(reading read: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<CInt>) -> CInt) {
        var length = CInt(MemoryLayout<sockaddr_storage>.size)
        let code = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { read($0, &length) }
        }
        if code != 0 { return nil }
    }

    func withPointer<Value>(_ body: (UnsafePointer<sockaddr>) -> Value) -> Value {
        withUnsafePointer(to: storage) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0) } }
    }

    var address: MeshAddress {
        var text = [CChar](repeating: 0, count: 64)
        withPointer { _ = uv_ip_name($0, &text, text.count) }
        let host = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let port = withUnsafePointer(to: storage) { storage in
            let raw = UnsafeRawPointer(storage)
            return storage.pointee.ss_family == sa_family_t(AF_INET6)
                ? raw.loadUnaligned(as: sockaddr_in6.self).sin6_port
                : raw.loadUnaligned(as: sockaddr_in.self).sin_port
        }
        return MeshAddress(host: host, port: UInt16(bigEndian: port))
    }
}
