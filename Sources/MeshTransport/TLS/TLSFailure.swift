import COpenSSL

/// Says in a sentence what went wrong in TLS and what to do about it.
enum TLSFailure {
    /// Reads and empties the thread's queue of errors.
    static func sentence(_ session: OpaquePointer) -> String {
        let code = ERR_peek_error()
        defer { ERR_clear_error() }
        let verification = SSL_get_verify_result(session)
        if verification != Int(X509_V_OK) { return ofPeersCertificate(verification) }
        let reason = apus_error_reason(code)
        if let known = ofReason(reason) { return known }
        let text = ERR_reason_error_string(code).map { String(cString: $0) } ?? "no reason given"
        return "TLS failed: \(text)"
    }

    private static func ofPeersCertificate(_ code: Int) -> String {
        switch Int32(truncatingIfNeeded: code) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            "the peer's certificate has expired: renew it there, and check both clocks"
        case X509_V_ERR_CERT_NOT_YET_VALID: "the peer's certificate is not valid yet: check both clocks"
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
            X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
            X509_V_ERR_CERT_SIGNATURE_FAILURE:
            "the peer's certificate was not issued by this cluster's authority: it belongs to another "
                + "cluster, or the authority was replaced; let the peer join this one"
        default:
            "the peer's certificate is not acceptable: "
                + (X509_verify_cert_error_string(code).map { String(cString: $0) } ?? "error \(code)")
        }
    }

    /// Alerts by which the peer says what is wrong with this side (RFC 8446, section 6), and a peer without
    /// TLS.
    private static func ofReason(_ reason: Int32) -> String? {
        switch reason {
        case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
            "the peer does not believe the authority of this node's certificate: the two belong to different "
                + "clusters, or the authority was replaced; join that cluster"
        case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
            "the peer says that this node's certificate has expired: renew it, and check both clocks"
        case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN,
            SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
            "the peer does not accept this node's certificate: ask the cluster's authority for a new one"
        case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            "a side has shown no certificate: every node of the cluster needs one; let it join"
        case SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST, SSL_R_BAD_RECORD_TYPE, SSL_R_UNEXPECTED_MESSAGE:
            "the peer does not speak TLS: check that the address is a node's mesh port, and that no side was "
                + "told to do without TLS"
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
            "the peer does not speak TLS 1.3, which the mesh requires"
        default: nil
        }
    }
}
