import COpenSSL
import MeshProtocol
import TimeAndChance

/// What a node proves itself with: its key, its certificate, and the authorities that it believes. More than
/// one while an authority is being replaced.
public struct NodeCredentials: Sendable {
    public let certificate: Certificate
    public let authorities: [Certificate]
    public let identity: CertificateIdentity
    let key: PrivateKey

    public init(
        key: PrivateKey, certificate: Certificate, authorities: [Certificate]
    ) throws(CertificateError) {
        guard let identity = certificate.identity else { throw .noIdentity }
        try key.check(belongsTo: certificate)
        self.key = key
        self.certificate = certificate
        self.authorities = authorities
        self.identity = identity
    }

    /// When to ask for the next certificate: after two thirds of this one's time.
    public var renewAt: Timestamp {
        certificate.notBefore + certificate.notAfter.since(certificate.notBefore) * 2 / 3
    }

    /// What the operator is to know about the end of the certificate; nil as long as there is time.
    public func warning(at now: Timestamp) -> String? {
        guard now >= renewAt else { return nil }
        let days = certificate.notAfter.since(now).components.seconds / 86_400
        let state =
            certificate.notAfter < now
            ? "has expired: no other node lets this one in" : "expires in \(days) days"
        return "this node's certificate \(state); a new one comes with an empty data directory and `apus "
            + "cluster join`, one node after the other"
    }

    // MARK: Files

    /// Writes `node.pem` (key and certificate, mode 600) and `cluster.pem` into the directory.
    public func save(in directory: String) throws(CertificateError) {
        guard let secret = key.pem else { throw .last("writing the node's key") }
        var bundle: [UInt8] = []
        for authority in authorities { bundle += try authority.pem }
        try CredentialFile.replace(directory + "/cluster.pem", with: bundle, .open)
        // Key and certificate change together: one file.
        try CredentialFile.replace(directory + "/node.pem", with: secret + certificate.pem, .secret)
    }

    public init(directory: String) throws(CertificateError) {
        let own = try CredentialFile.read(directory + "/node.pem", .secret)
        let bundle = try CredentialFile.read(directory + "/cluster.pem", .open)
        var authorities: [Certificate] = []
        for pem in Self.certificates(in: bundle) { authorities.append(try Certificate(pem: pem)) }
        guard !authorities.isEmpty else { throw .unreadable(what: directory + "/cluster.pem") }
        try self.init(
            key: PrivateKey(pem: own), certificate: Certificate(pem: own), authorities: authorities)
    }

    /// The PEM blocks of a file of certificates.
    private static func certificates(in bundle: [UInt8]) -> [[UInt8]] {
        let end = "-----END CERTIFICATE-----"
        var blocks: [[UInt8]] = []
        var rest = String(decoding: bundle, as: UTF8.self)[...]
        while let range = rest.firstRange(of: end) {
            blocks.append(Array(rest[..<range.upperBound].utf8) + [UInt8(ascii: "\n")])
            rest = rest[range.upperBound...]
        }
        return blocks
    }
}

extension PrivateKey {
    func check(belongsTo certificate: Certificate) throws(CertificateError) {
        let isPair = certificate.withHandle { $0.map { X509_check_private_key($0, handle) == 1 } ?? false }
        ERR_clear_error()
        guard isPair else { throw .keyMismatch }
    }
}
