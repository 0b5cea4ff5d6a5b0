#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Files of keys and certificates: replaced as a whole or not at all (temporary file, fsync, rename, fsync of
/// the directory), and keys readable by their owner only.
package enum CredentialFile {
    package enum Access: UInt32 {
        case secret = 0o600
        case open = 0o644
    }

    package static func replace(
        _ path: String, with bytes: [UInt8], _ access: Access
    ) throws(CertificateError) {
        let temporary = path + ".new"
        // What an interrupted attempt left may have another mode.
        unlink(temporary)
        let descriptor = Self.open(
            temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode_t(access.rawValue))
        guard descriptor >= 0 else { throw failure("creating", temporary) }
        do throws(CertificateError) {
            defer { close(descriptor) }
            var done = 0
            while done < bytes.count {
                let count = bytes[done...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
                guard count > 0 else { throw failure("writing", temporary) }
                done += count
            }
            guard fsync(descriptor) == 0 else { throw failure("syncing", temporary) }
        } catch {
            unlink(temporary)
            throw error
        }
        guard rename(temporary, path) == 0 else { throw failure("renaming", temporary) }
        try syncDirectory(of: path)
    }

    private static func open(_ path: String, _ flags: Int32, _ mode: mode_t = 0) -> Int32 {
        #if canImport(Glibc)
        Glibc.open(path, flags, mode)
        #else
        Darwin.open(path, flags, mode)
        #endif
    }

    private static func syncDirectory(of path: String) throws(CertificateError) {
        let directory =
            path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let descriptor = open(directory, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("opening", directory) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("syncing", directory) }
    }

    /// Keys and certificates are small: more is not one.
    package static let bytesMax = 1 << 16

    package static func read(_ path: String, _ access: Access) throws(CertificateError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("opening", path) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("reading", path) }
        guard access == .open || status.st_mode & 0o077 == 0 else {
            throw .openFile(path: path, mode: String(status.st_mode & 0o777, radix: 8))
        }
        guard status.st_size <= bytesMax else { throw .unreadable(what: path) }
        var bytes: [UInt8] = []
        while bytes.count <= bytesMax {
            let part = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
                count = max(0, take(descriptor, buffer))
            }
            guard !part.isEmpty else { return bytes }
            bytes += part
        }
        throw .unreadable(what: path)
    }

    private static func take(_ descriptor: Int32, _ buffer: UnsafeMutableBufferPointer<UInt8>) -> Int {
        #if canImport(Glibc)
        Glibc.read(descriptor, buffer.baseAddress, buffer.count)
        #else
        Darwin.read(descriptor, buffer.baseAddress, buffer.count)
        #endif
    }

    private static func failure(_ operation: String, _ path: String) -> CertificateError {
        .file(operation: operation, path: path, reason: String(cString: strerror(errno)))
    }
}
