import COpenSSL

/// Why a key, a certificate or a token cannot be used; each case is a sentence that says what to do. None
/// holds a secret (A71).
public enum CertificateError: Error, Hashable, Sendable, CustomStringConvertible {
    case unreadable(what: String)
    case keyMismatch
    case noIdentity
    case wrongAuthority
    case outsideValidity
    case badToken
    case badRequest
    case badAnswer
    case file(operation: String, path: String, reason: String)
    case openFile(path: String, mode: String)
    case crypto(operation: String, reason: String)

    public var description: String {
        switch self {
        case .unreadable(let what): "\(what) cannot be read: it is damaged, or something else"
        case .keyMismatch:
            "the private key does not belong to the certificate: restore both files from the same issue, or "
                + "ask for a new certificate"
        case .noIdentity:
            "the certificate names no cluster and node: use one that the cluster's authority has issued"
        case .wrongAuthority:
            "the certificate was issued by another authority: use the one of this cluster, or join anew"
        case .outsideValidity: "the certificate is expired or not valid yet: renew it, and check the clock"
        case .badToken: "this is no join token: copy all of it, as the cluster's member printed it"
        case .badRequest:
            "the join request was not made with this token, or it was changed on its way: use a fresh token"
        case .badAnswer:
            "the answer to the join request does not come from a member that knows the token: check the "
                + "seed's address, and use a fresh token"
        case .file(let operation, let path, let reason): "\(operation) \(path) failed: \(reason)"
        case .openFile(let path, let mode):
            "the key file \(path) can be read by others (mode \(mode)): set it to 600, and renew the "
                + "certificate if others had access"
        case .crypto(let operation, let reason): "\(operation) failed: \(reason)"
        }
    }

    /// Reads the newest error of the thread's queue, and empties it.
    static func last(_ operation: String) -> CertificateError {
        let code = ERR_peek_last_error()
        ERR_clear_error()
        let reason = ERR_reason_error_string(code).map { String(cString: $0) } ?? "no reason given"
        return .crypto(operation: operation, reason: reason)
    }
}
