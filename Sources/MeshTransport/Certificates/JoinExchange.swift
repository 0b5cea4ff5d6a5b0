import ByteCoding
import Identifiers

/// What a new node sends to a member. It holds no secret; only who knows the token can make it.
public struct JoinRequest: Hashable, Sendable {
    public let tokenID: [UInt8]
    public let nonce: [UInt8]
    public let request: CertificateRequest
    /// What the node says about itself; the proof covers it.
    public let details: [UInt8]
    let proof: [UInt8]

    public init(
        with token: JoinToken, key: PrivateKey, details: [UInt8] = []
    ) throws(CertificateError) {
        tokenID = token.id
        nonce = try Digest.random(32)
        request = try CertificateRequest(for: key)
        self.details = details
        proof = Self.proof(tokenID, nonce, request, details, key: token.memberKey)
    }

    /// Whether whoever made this knows the token.
    public func check(memberKey: [UInt8]) throws(CertificateError) {
        guard Digest.isEqual(proof, Self.proof(tokenID, nonce, request, details, key: memberKey)) else {
            throw .badRequest
        }
    }

    private static func proof(
        _ tokenID: [UInt8], _ nonce: [UInt8], _ request: CertificateRequest, _ details: [UInt8],
        key: [UInt8]
    ) -> [UInt8] {
        var writer = ByteWriter()
        writer.string("apus join request 1")
        writer.blob(tokenID)
        writer.blob(nonce)
        writer.blob(request.der)
        writer.blob(details)
        return Digest.hmac(writer.bytes, key: key)
    }

    public var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.byte(1)
        writer.blob(tokenID)
        writer.blob(nonce)
        writer.blob(request.der)
        writer.blob(details)
        writer.blob(proof)
        return writer.bytes
    }

    public init(decoding bytes: [UInt8]) throws(WireError) {
        var reader = ByteReader(bytes)
        let version = try reader.byte()
        guard version == 1 else { throw .version(what: "a join request", found: UInt64(version), newest: 1) }
        tokenID = try reader.blob()
        nonce = try reader.blob()
        request = CertificateRequest(der: try reader.blob())
        details = try reader.blob()
        proof = try reader.blob()
        try reader.finish()
    }
}

/// What the member answers: the certificate, and a proof that it knows the token as well.
public struct JoinAnswer: Hashable, Sendable {
    public let certificate: [UInt8]
    public let authority: [UInt8]
    /// What the member says about the cluster; the proof covers it. Believed only after `credentials`.
    public let details: [UInt8]
    let proof: [UInt8]

    /// - Parameter request: one that was checked.
    public init(
        _ certificate: Certificate, from authority: Certificate, to request: JoinRequest,
        details: [UInt8] = [], memberKey: [UInt8]
    ) {
        self.certificate = certificate.der
        self.authority = authority.der
        self.details = details
        proof = Self.proof(certificate.der, authority.der, details, request.nonce, key: memberKey)
    }

    /// The credentials that the new node has got, if the answer is true.
    public func credentials(
        for key: PrivateKey, request: JoinRequest, token: JoinToken
    ) throws(CertificateError) -> NodeCredentials {
        let expected = Self.proof(certificate, authority, details, request.nonce, key: token.memberKey)
        guard Digest.isEqual(proof, expected) else { throw .badAnswer }
        let authority = try Certificate(der: authority)
        guard Digest.isEqual(authority.fingerprint, token.authority) else { throw .badAnswer }
        let issued = try Certificate(der: certificate)
        try issued.check(issuedBy: authority, at: issued.notBefore)
        return try NodeCredentials(key: key, certificate: issued, authorities: [authority])
    }

    private static func proof(
        _ certificate: [UInt8], _ authority: [UInt8], _ details: [UInt8], _ nonce: [UInt8], key: [UInt8]
    ) -> [UInt8] {
        var writer = ByteWriter()
        writer.string("apus join answer 1")
        writer.blob(nonce)
        writer.blob(certificate)
        writer.blob(authority)
        writer.blob(details)
        return Digest.hmac(writer.bytes, key: key)
    }

    public var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.byte(1)
        writer.blob(certificate)
        writer.blob(authority)
        writer.blob(details)
        writer.blob(proof)
        return writer.bytes
    }

    public init(decoding bytes: [UInt8]) throws(WireError) {
        var reader = ByteReader(bytes)
        let version = try reader.byte()
        guard version == 1 else { throw .version(what: "a join answer", found: UInt64(version), newest: 1) }
        certificate = try reader.blob()
        authority = try reader.blob()
        details = try reader.blob()
        proof = try reader.blob()
        try reader.finish()
    }
}
