import COpenSSL

/// How this node proves itself and whom it believes: TLS 1.3 only, both sides with certificates of the
/// cluster's authority, no other roots, no resumption.
final class TLSContext {
    let handle: OpaquePointer

    init(_ credentials: NodeCredentials) throws(CertificateError) {
        guard let made = SSL_CTX_new(TLS_method()) else { throw .last("preparing TLS") }
        handle = made
        apus_no_resumption(handle)
        apus_release_buffers(handle)
        // Both ends are ours, so the fastest suite comes first; all three are safe.
        let suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
        let isReady = credentials.certificate.withHandle { certificate in
            apus_only_tls13(handle) == 1 && SSL_CTX_set_ciphersuites(handle, suites) == 1
                && SSL_CTX_use_certificate(handle, certificate) == 1
                && SSL_CTX_use_PrivateKey(handle, credentials.key.handle) == 1
                && SSL_CTX_check_private_key(handle) == 1
        }
        guard isReady, let store = SSL_CTX_get_cert_store(handle) else { throw .last("preparing TLS") }
        for authority in credentials.authorities {
            let isAdded = authority.withHandle { X509_STORE_add_cert(store, $0) == 1 }
            guard isAdded else { throw .last("preparing TLS") }
        }
        SSL_CTX_set_verify(handle, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        // The authority issues directly.
        SSL_CTX_set_verify_depth(handle, 1)
    }

    deinit { SSL_CTX_free(handle) }
}
