import COpenSSL

/// Bytes that OpenSSL reads or writes.
enum MemoryBIO {
    /// What `body` writes.
    static func collect(_ body: (OpaquePointer) -> Int32) -> [UInt8]? {
        guard let bio = BIO_new(BIO_s_mem()) else { return nil }
        defer { BIO_free(bio) }
        guard body(bio) == 1 else { return nil }
        var start: UnsafeMutablePointer<CChar>?
        let count = apus_bio_contents(bio, &start)
        return Array(UnsafeRawBufferPointer(start: start, count: max(0, count)))
    }

    /// Lets `body` read the bytes.
    static func read<Value>(_ bytes: [UInt8], _ body: (OpaquePointer) -> Value?) -> Value? {
        bytes.withUnsafeBytes { buffer in
            guard let bio = BIO_new_mem_buf(buffer.baseAddress, Int32(clamping: buffer.count)) else {
                return nil
            }
            defer { BIO_free(bio) }
            return body(bio)
        }
    }
}
