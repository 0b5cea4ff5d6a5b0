import COpenSSL

/// A private key: Ed25519 (RFC 8410) when made here. Its bytes leave it only through `pem`.
///
/// Sound to share: OpenSSL never changes a key after it was made, and counts its users atomically.
public final class PrivateKey: @unchecked Sendable, CustomStringConvertible, CustomReflectable {
    let handle: OpaquePointer

    /// Generates a key.
    public init() throws(CertificateError) {
        guard let made = apus_generate_ed25519() else { throw .last("generating a key") }
        handle = made
    }

    /// Reads a key that is not encrypted.
    public init(pem: [UInt8]) throws(CertificateError) {
        guard let read = MemoryBIO.read(pem, { apus_read_private_key($0) }) else {
            ERR_clear_error()
            throw .unreadable(what: "the private key")
        }
        handle = read
    }

    deinit { EVP_PKEY_free(handle) }

    /// The secret itself, for its file only.
    var pem: [UInt8]? {
        MemoryBIO.collect { PEM_write_bio_PrivateKey($0, handle, nil, nil, 0, nil, nil) }
    }

    public var description: String { "PrivateKey(hidden)" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
