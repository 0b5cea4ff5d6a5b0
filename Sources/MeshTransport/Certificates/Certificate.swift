import COpenSSL
import Identifiers
import MeshProtocol
import TimeAndChance

/// A certificate of the cluster's authority or of one node.
public struct Certificate: Hashable, Sendable {
    /// As X.509 encodes it.
    public let der: [UInt8]
    /// The SHA-256 of `der`.
    public let fingerprint: [UInt8]
    /// Whom the alternative name `apus://<cluster>/<node>` means; nil for an authority.
    public let identity: CertificateIdentity?
    public let notBefore: Timestamp
    public let notAfter: Timestamp

    public init(der: [UInt8]) throws(CertificateError) {
        guard let handle = Self.parse(der) else { throw .unreadable(what: "the certificate") }
        defer { X509_free(handle) }
        self.der = der
        fingerprint = Digest.sha256(der)
        identity = Self.identity(of: handle)
        notBefore = Self.time(X509_get0_notBefore(handle))
        notAfter = Self.time(X509_get0_notAfter(handle))
    }

    public init(pem: [UInt8]) throws(CertificateError) {
        let handle = MemoryBIO.read(pem) { PEM_read_bio_X509($0, nil, nil, nil) }
        guard let handle else {
            ERR_clear_error()
            throw .unreadable(what: "the certificate")
        }
        defer { X509_free(handle) }
        try self.init(der: Self.bytes(of: handle))
    }

    public var pem: [UInt8] {
        get throws(CertificateError) {
            let text = withHandle { handle in MemoryBIO.collect { PEM_write_bio_X509($0, handle) } }
            guard let text else { throw .last("writing a certificate") }
            return text
        }
    }

    public func isValid(at time: Timestamp) -> Bool { notBefore <= time && time <= notAfter }

    /// Whether this is signed by `authority` and valid at that time.
    public func check(issuedBy authority: Certificate, at time: Timestamp) throws(CertificateError) {
        guard isValid(at: time) else { throw .outsideValidity }
        let isSigned = withHandle { handle in
            authority.withHandle { issuer in
                X509_check_issued(issuer, handle) == X509_V_OK
                    && X509_verify(handle, X509_get0_pubkey(issuer)) == 1
            }
        }
        ERR_clear_error()
        guard isSigned else { throw .wrongAuthority }
    }

    /// `der` was parsed once, so it parses again; an allocation that fails gives what `body` gives for
    /// nothing.
    func withHandle<Value>(_ body: (OpaquePointer?) -> Value) -> Value {
        let handle = Self.parse(der)
        defer { X509_free(handle) }
        return body(handle)
    }

    private static func parse(_ der: [UInt8]) -> OpaquePointer? {
        der.withUnsafeBufferPointer { buffer in
            var start = buffer.baseAddress
            let end = start.map { $0 + buffer.count }
            guard let handle = d2i_X509(nil, &start, buffer.count) else {
                ERR_clear_error()
                return nil
            }
            if start == end { return handle }
            X509_free(handle)
            return nil
        }
    }

    static func bytes(of handle: OpaquePointer) -> [UInt8] {
        var start: UnsafeMutablePointer<UInt8>?
        let count = i2d_X509(handle, &start)
        defer { CRYPTO_free(start, nil, 0) }
        return Array(UnsafeBufferPointer(start: start, count: max(0, Int(count))))
    }

    static func identity(of handle: OpaquePointer) -> CertificateIdentity? {
        var text = [CChar](repeating: 0, count: 128)
        let length = apus_only_uri(handle, &text, Int32(text.count))
        guard length > 0 else { return nil }
        return CertificateIdentity(
            uri: String(decoding: text[..<Int(length)].map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }

    private static func time(_ time: UnsafePointer<ASN1_TIME>?) -> Timestamp {
        var parts = tm()
        guard let time, ASN1_TIME_to_tm(time, &parts) == 1 else { return Timestamp(rawValue: 0) }
        return Timestamp(rawValue: UInt64(clamping: timegm(&parts)) * 1_000_000)
    }
}

extension CertificateIdentity {
    static let scheme = "apus://"

    /// The form in certificates: `apus://<cluster>/<node>`.
    var uri: String { "\(Self.scheme)\(cluster)/\(node.rawValue)" }

    init?(uri: String) {
        guard uri.hasPrefix(Self.scheme) else { return nil }
        let parts = uri.dropFirst(Self.scheme.count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let cluster = ClusterID(String(parts[0])), let node = UInt64(parts[1]),
            node != 0
        else { return nil }
        self.init(cluster: cluster, node: NodeID(rawValue: node))
        // One node has one name: no upper case, no leading zeros.
        guard self.uri == uri else { return nil }
    }
}
