import COpenSSL

/// SHA-256 (FIPS 180-4), and HMAC with it (RFC 2104).
enum Digest {
    static let bytes = 32

    static func sha256(_ data: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: bytes) { digest, count in
            count = SHA256(data, data.count, digest.baseAddress) == nil ? 0 : bytes
        }
    }

    static func hmac(_ data: [UInt8], key: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: bytes) { digest, count in
            let made = HMAC(EVP_sha256(), key, Int32(key.count), data, data.count, digest.baseAddress, nil)
            count = made == nil ? 0 : bytes
        }
    }

    /// Compares in a time that does not depend on where the bytes differ.
    static func isEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.count == b.count && a.count == bytes && CRYPTO_memcmp(a, b, a.count) == 0
    }

    /// Bytes that nobody can guess.
    static func random(_ count: Int) throws(CertificateError) -> [UInt8] {
        var made = [UInt8](repeating: 0, count: count)
        guard RAND_bytes(&made, Int32(count)) == 1 else { throw .last("drawing random bytes") }
        return made
    }
}
