import COpenSSL
import Identifiers
import MeshProtocol
import TimeAndChance

/// The certificate authority of one cluster: made by `apus init`, held by members that may admit others.
public struct ClusterAuthority: Sendable {
    public let cluster: ClusterID
    public let certificate: Certificate
    let key: PrivateKey

    public static let validity = Duration.seconds(10 * 365 * 86_400)

    /// Makes a new authority with a key of its own.
    public init(cluster: ClusterID, at now: Timestamp, validFor: Duration = validity) throws(CertificateError)
    {
        self.cluster = cluster
        key = try PrivateKey()
        let draft = try CertificateDraft(
            commonName: "apus cluster \(cluster)", issuerName: "apus cluster \(cluster)",
            publicKey: key.handle,
            from: now, validFor: validFor)
        // Members are issued directly: no authority below this one.
        try draft.extend(NID_basic_constraints, "critical,CA:TRUE,pathlen:0", issuer: draft.handle)
        try draft.extend(NID_key_usage, "critical,keyCertSign,cRLSign", issuer: draft.handle)
        try draft.extend(NID_subject_key_identifier, "hash", issuer: draft.handle)
        certificate = try draft.sign(with: key)
    }

    /// Issues a certificate for the key of a request. The request proves that its sender has the key; whom
    /// the certificate names is decided here.
    /// - Parameter validFor: nil for as long as the authority itself. Nothing renews certificates of members
    ///   by itself, and a cluster whose nodes cannot connect any more is lost although all of it is there.
    public func issue(
        to node: NodeID, for request: CertificateRequest, at now: Timestamp, validFor: Duration? = nil
    ) throws(CertificateError) -> Certificate {
        let publicKey = try request.verifiedKey()
        defer { EVP_PKEY_free(publicKey) }
        let draft = try CertificateDraft(
            commonName: "apus node \(node.rawValue)", issuerName: "apus cluster \(cluster)",
            publicKey: publicKey, from: now, validFor: validFor ?? certificate.notAfter.since(now))
        let identity = CertificateIdentity(cluster: cluster, node: node)
        let issuer = certificate.withHandle { handle in
            handle.flatMap { X509_dup($0) }
        }
        defer { X509_free(issuer) }
        try draft.extend(NID_basic_constraints, "critical,CA:FALSE", issuer: issuer)
        try draft.extend(NID_key_usage, "critical,digitalSignature", issuer: issuer)
        try draft.extend(NID_ext_key_usage, "serverAuth,clientAuth", issuer: issuer)
        try draft.extend(NID_subject_alt_name, "critical,URI:\(identity.uri)", issuer: issuer)
        try draft.extend(NID_authority_key_identifier, "keyid:always", issuer: issuer)
        return try draft.sign(with: key)
    }

    /// A fresh key and its certificate, for a member that needs no request.
    public func credentials(
        for node: NodeID, at now: Timestamp, validFor: Duration? = nil
    ) throws(CertificateError) -> NodeCredentials {
        let key = try PrivateKey()
        let issued = try issue(to: node, for: CertificateRequest(for: key), at: now, validFor: validFor)
        return try NodeCredentials(key: key, certificate: issued, authorities: [certificate])
    }

    // MARK: Files

    /// Writes `authority.key` (mode 600) and `authority.pem` into the directory.
    public func save(in directory: String) throws(CertificateError) {
        guard let secret = key.pem else { throw .last("writing the authority's key") }
        try CredentialFile.replace(directory + "/authority.key", with: secret, .secret)
        try CredentialFile.replace(directory + "/authority.pem", with: certificate.pem, .open)
    }

    public init(cluster: ClusterID, directory: String) throws(CertificateError) {
        self.cluster = cluster
        key = try PrivateKey(pem: CredentialFile.read(directory + "/authority.key", .secret))
        certificate = try Certificate(pem: CredentialFile.read(directory + "/authority.pem", .open))
        try key.check(belongsTo: certificate)
    }
}
