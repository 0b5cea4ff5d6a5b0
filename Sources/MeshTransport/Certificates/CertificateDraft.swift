import COpenSSL
import TimeAndChance

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A certificate while it is being made.
final class CertificateDraft {
    let handle: OpaquePointer

    init(
        commonName: String, issuerName: String, publicKey: OpaquePointer, from start: Timestamp,
        validFor: Duration
    ) throws(CertificateError) {
        var serial = try Digest.random(16)
        guard let made = X509_new() else { throw .last("making a certificate") }
        handle = made
        // A positive number of full length.
        serial[0] = serial[0] & 0x7F | 0x40
        let number = BN_bin2bn(serial, Int32(serial.count), nil)
        defer { BN_free(number) }
        // Clocks of two nodes may differ a little.
        let begin = time_t(start.rawValue / 1_000_000) - 300
        let end = time_t((start + validFor).rawValue / 1_000_000)
        guard X509_set_version(handle, 2) == 1,
            BN_to_ASN1_INTEGER(number, X509_get_serialNumber(handle)) != nil,
            ASN1_TIME_set(X509_getm_notBefore(handle), min(begin, end)) != nil,
            ASN1_TIME_set(X509_getm_notAfter(handle), end) != nil,
            Self.name(X509_get_subject_name(handle), commonName),
            Self.name(X509_get_issuer_name(handle), issuerName),
            X509_set_pubkey(handle, publicKey) == 1
        else { throw .last("making a certificate") }
    }

    deinit { X509_free(handle) }

    private static func name(_ name: OpaquePointer?, _ text: String) -> Bool {
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0) == 1
    }

    func extend(_ nid: Int32, _ value: String, issuer: OpaquePointer?) throws(CertificateError) {
        guard apus_add_extension(handle, issuer, nid, value) == 1 else {
            throw .last("extending a certificate")
        }
    }

    func sign(with key: PrivateKey) throws(CertificateError) -> Certificate {
        // Ed25519 hashes by itself (RFC 8032), so no digest is named.
        guard X509_sign(handle, key.handle, nil) > 0 else { throw .last("signing a certificate") }
        return try Certificate(der: Certificate.bytes(of: handle))
    }
}
