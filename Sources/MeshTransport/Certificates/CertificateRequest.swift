import COpenSSL

/// A public key, signed with its private key (PKCS #10, RFC 2986). It names nobody: that is up to the
/// authority.
public struct CertificateRequest: Hashable, Sendable {
    public let der: [UInt8]

    static let bytesMax = 4096

    public init(for key: PrivateKey) throws(CertificateError) {
        guard let request = X509_REQ_new() else { throw .last("making a certificate request") }
        defer { X509_REQ_free(request) }
        var start: UnsafeMutablePointer<UInt8>?
        guard X509_REQ_set_version(request, 0) == 1, X509_REQ_set_pubkey(request, key.handle) == 1,
            X509_REQ_sign(request, key.handle, nil) > 0, case let count = i2d_X509_REQ(request, &start),
            count > 0
        else { throw .last("making a certificate request") }
        defer { CRYPTO_free(start, nil, 0) }
        der = Array(UnsafeBufferPointer(start: start, count: Int(count)))
    }

    /// Bytes that a stranger sent; looked at by `verifiedKey`.
    public init(der: [UInt8]) { self.der = der }

    /// The key of the request, to be freed by the caller, if the request was signed with it.
    func verifiedKey() throws(CertificateError) -> OpaquePointer {
        guard der.count <= Self.bytesMax else { throw .badRequest }
        let key = der.withUnsafeBufferPointer { buffer -> OpaquePointer? in
            var start = buffer.baseAddress
            guard let request = d2i_X509_REQ(nil, &start, buffer.count) else { return nil }
            defer { X509_REQ_free(request) }
            guard let key = X509_REQ_get_pubkey(request) else { return nil }
            if X509_REQ_verify(request, key) == 1 { return key }
            EVP_PKEY_free(key)
            return nil
        }
        ERR_clear_error()
        guard let key else { throw .badRequest }
        return key
    }
}
