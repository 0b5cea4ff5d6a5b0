import COpenSSL

/// A secret that lets a new node ask any member for its certificate, and recognise a true member by its
/// answer: the fingerprint of the cluster's authority and 32 random bytes. Good for as long as the members
/// that keep it say so.
public struct JoinToken: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    static let prefix = "apus-join-1-"

    let authority: [UInt8]
    let secret: [UInt8]

    /// Makes a token for the cluster of that authority.
    public init(for authority: Certificate) throws(CertificateError) {
        self.authority = authority.fingerprint
        secret = try Digest.random(32)
    }

    /// The secret in a form to hand over, for the person who adds the node.
    public var text: String {
        let hex = Array("0123456789abcdef".utf8)
        let digits = (authority + secret).flatMap { [hex[Int($0 >> 4)], hex[Int($0 & 15)]] }
        return Self.prefix + String(decoding: digits, as: UTF8.self)
    }

    public init(text: String) throws(CertificateError) {
        guard text.hasPrefix(Self.prefix) else { throw .badToken }
        let digits = text.utf8.dropFirst(Self.prefix.utf8.count).map {
            Character(UnicodeScalar($0)).hexDigitValue.map { UInt8($0) }
        }
        guard digits.count == 128, !digits.contains(nil) else { throw .badToken }
        let bytes = stride(from: 0, to: 128, by: 2).map { (digits[$0] ?? 0) << 4 | (digits[$0 + 1] ?? 0) }
        authority = Array(bytes[..<32])
        secret = Array(bytes[32...])
    }

    /// Names the token without giving it away, for the member that looks it up.
    public var id: [UInt8] { Digest.sha256(Array("apus join id".utf8) + secret) }
    /// What members keep: it signs and checks, and is not the token.
    public var memberKey: [UInt8] { Digest.hmac(Array("apus join key".utf8), key: secret) }

    public var description: String { "JoinToken(hidden)" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
