import Identifiers
import MeshProtocol
import Testing
import TimeAndChance

@testable import MeshTransport

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

@Suite("Keys, certificates and join tokens") struct CertificateTests {
    static let cluster = Lab.cluster
    static let node = NodeID(rawValue: 42)

    /// A directory of its own for each test.
    private func withDirectory(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/apus-mesh-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw CertificateError.unreadable(what: "the directory") }
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            for name in ["node.pem", "cluster.pem", "authority.key", "authority.pem"] {
                unlink(path + "/" + name)
            }
            rmdir(path)
        }
        try body(path)
    }

    private func mode(_ path: String) -> mode_t {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
    }

    @Test("A certificate names cluster and node, and is believed by its authority only")
    func issue() throws {
        let authority = try ClusterAuthority(cluster: Self.cluster, at: Lab.time)
        let credentials = try authority.credentials(for: Self.node, at: Lab.time, validFor: .seconds(3600))
        let certificate = credentials.certificate
        #expect(certificate.identity == CertificateIdentity(cluster: Self.cluster, node: Self.node))
        #expect(authority.certificate.identity == nil)
        #expect(certificate.isValid(at: Lab.time) && !certificate.isValid(at: Lab.time + .seconds(3700)))
        #expect(
            credentials.renewAt > Lab.time + .seconds(2000) && credentials.renewAt < Lab.time + .seconds(2600)
        )
        try certificate.check(issuedBy: authority.certificate, at: Lab.time)
        #expect(throws: CertificateError.outsideValidity) {
            try certificate.check(issuedBy: authority.certificate, at: Lab.time + .seconds(3700))
        }
        let other = try ClusterAuthority(cluster: Self.cluster, at: Lab.time)
        #expect(throws: CertificateError.wrongAuthority) {
            try certificate.check(issuedBy: other.certificate, at: Lab.time)
        }
        #expect(throws: CertificateError.keyMismatch) {
            _ = try NodeCredentials(key: PrivateKey(), certificate: certificate, authorities: [])
        }
        #expect(throws: CertificateError.noIdentity) {
            _ = try NodeCredentials(
                key: authority.key, certificate: authority.certificate, authorities: [])
        }
    }

    @Test("A member's certificate lasts as long as its authority, whenever it joined: nothing renews it")
    func lasting() throws {
        let authority = try ClusterAuthority(cluster: Self.cluster, at: Lab.time)
        let end = authority.certificate.notAfter
        for years in [0, 9] {
            let joined = Lab.time + .seconds(years * 365 * 86_400)
            let credentials = try authority.credentials(for: Self.node, at: joined)
            #expect(credentials.certificate.notAfter == end)
            #expect(credentials.warning(at: joined) == nil)
        }
        let credentials = try authority.credentials(for: Self.node, at: Lab.time)
        try credentials.certificate.check(issuedBy: authority.certificate, at: end)
        #expect(credentials.warning(at: credentials.renewAt)?.contains("expires") == true)
        #expect(credentials.warning(at: end + .seconds(1))?.contains("has expired") == true)
    }

    @Test("Identities have one form only")
    func identities() {
        let identity = CertificateIdentity(cluster: Self.cluster, node: Self.node)
        #expect(identity.uri == "apus://00000000-0000-000a-0000-00000000000b/42")
        #expect(CertificateIdentity(uri: identity.uri) == identity)
        for uri in [
            "apus://00000000-0000-000A-0000-00000000000b/42",
            "apus://00000000-0000-000a-0000-00000000000b/042",
            "apus://00000000-0000-000a-0000-00000000000b/0", "apus://00000000-0000-000a-0000-00000000000b",
            "apus://00000000-0000-000a-0000-00000000000b/42/",
            "http://00000000-0000-000a-0000-00000000000b/42",
            "apus:///42", "apus://00000000-0000-000a-0000-00000000000b/+42", "",
        ] { #expect(CertificateIdentity(uri: uri) == nil, "\(uri)") }
    }

    @Test("A70: keys are in files that only their owner reads, and what others could read is refused")
    func files() throws {
        try withDirectory { directory in
            let authority = try ClusterAuthority(cluster: Self.cluster, at: Lab.time)
            try authority.save(in: directory)
            let again = try ClusterAuthority(cluster: Self.cluster, directory: directory)
            #expect(again.certificate == authority.certificate)
            let credentials = try again.credentials(for: Self.node, at: Lab.time)
            let both = try NodeCredentials(
                key: credentials.key, certificate: credentials.certificate,
                authorities: [
                    authority.certificate,
                    try ClusterAuthority(cluster: Self.cluster, at: Lab.time).certificate,
                ])
            try both.save(in: directory)
            // A second time over the first.
            try both.save(in: directory)
            let read = try NodeCredentials(directory: directory)
            #expect(read.certificate == both.certificate && read.authorities == both.authorities)
            #expect(mode(directory + "/node.pem") == 0o600 && mode(directory + "/authority.key") == 0o600)
            #expect(mode(directory + "/cluster.pem") == 0o644)
            #expect(access(directory + "/node.pem.new", F_OK) != 0)
            chmod(directory + "/node.pem", 0o640)
            #expect(throws: CertificateError.openFile(path: directory + "/node.pem", mode: "640")) {
                _ = try NodeCredentials(directory: directory)
            }
        }
    }

    @Test("Damaged files are errors, not accidents")
    func damage() throws {
        let authority = try ClusterAuthority(cluster: Self.cluster, at: Lab.time)
        let pem = try authority.certificate.pem
        let der = authority.certificate.der
        #expect(try Certificate(pem: pem) == authority.certificate)
        for count in stride(from: 0, to: der.count, by: 7) {
            #expect(throws: CertificateError.self) { _ = try Certificate(der: Array(der[..<count])) }
        }
        #expect(throws: CertificateError.self) { _ = try Certificate(der: der + [0]) }
        #expect(throws: CertificateError.self) { _ = try Certificate(pem: [1, 2, 3]) }
        #expect(throws: CertificateError.self) { _ = try PrivateKey(pem: pem) }
        #expect(throws: CertificateError.self) { _ = try NodeCredentials(directory: "/nonexistent") }
    }

    @Test("A70: a node joins with a token; both sides prove that they know it")
    func join() throws {
        let authority = try ClusterAuthority(cluster: Self.cluster, at: Lab.time)
        let token = try JoinToken(text: try JoinToken(for: authority.certificate).text)
        let key = try PrivateKey()
        let sent = try JoinRequest(with: token, key: key)
        // The member knows the token's id and key only.
        let request = try JoinRequest(decoding: sent.encoded)
        #expect(request == sent && request.tokenID == token.id)
        try request.check(memberKey: token.memberKey)
        let issued = try authority.issue(to: Self.node, for: request.request, at: Lab.time)
        let answer = JoinAnswer(issued, from: authority.certificate, to: request, memberKey: token.memberKey)
        let credentials = try JoinAnswer(decoding: answer.encoded).credentials(
            for: key, request: sent, token: token)
        #expect(credentials.identity.node == Self.node)

        let otherToken = try JoinToken(for: authority.certificate)
        #expect(throws: CertificateError.badRequest) { try request.check(memberKey: otherToken.memberKey) }
        let forged = JoinAnswer(
            issued, from: authority.certificate, to: request, memberKey: otherToken.memberKey)
        #expect(throws: CertificateError.badAnswer) {
            _ = try forged.credentials(for: key, request: sent, token: token)
        }
        // An answer to another request, as if it were replayed.
        let second = try JoinRequest(with: token, key: key)
        #expect(throws: CertificateError.badAnswer) {
            _ = try answer.credentials(for: key, request: second, token: token)
        }
        // A member of another cluster that got hold of the token's key.
        let other = try ClusterAuthority(cluster: Self.cluster, at: Lab.time)
        let foreign = try other.issue(to: Self.node, for: request.request, at: Lab.time)
        let stolen = JoinAnswer(foreign, from: other.certificate, to: request, memberKey: token.memberKey)
        #expect(throws: CertificateError.badAnswer) {
            _ = try stolen.credentials(for: key, request: sent, token: token)
        }
    }

    @Test("A changed bit anywhere makes a join request or answer void")
    func tampering() throws {
        let authority = try ClusterAuthority(cluster: Self.cluster, at: Lab.time)
        let token = try JoinToken(for: authority.certificate)
        let key = try PrivateKey()
        let request = try JoinRequest(with: token, key: key, details: [1, 2, 3])
        for index in request.encoded.indices {
            var bytes = request.encoded
            bytes[index] ^= 0x10
            #expect(throws: (any Error).self, "byte \(index)") {
                try JoinRequest(decoding: bytes).check(memberKey: token.memberKey)
            }
        }
        let issued = try authority.issue(to: Self.node, for: request.request, at: Lab.time)
        let answer = JoinAnswer(
            issued, from: authority.certificate, to: request, details: [4, 5, 6], memberKey: token.memberKey)
        // The proof, the details before it, and every fifth byte.
        let count = answer.encoded.count
        for index in (0..<count).filter({ $0 % 5 == 0 || $0 > count - 40 }) {
            var bytes = answer.encoded
            bytes[index] ^= 0x01
            #expect(throws: (any Error).self, "byte \(index)") {
                _ = try JoinAnswer(decoding: bytes).credentials(for: key, request: request, token: token)
            }
        }
        for bytes in [[], [1], [UInt8](repeating: 0, count: 5000)] as [[UInt8]] {
            #expect(throws: CertificateError.badRequest) {
                _ = try authority.issue(to: Self.node, for: CertificateRequest(der: bytes), at: Lab.time)
            }
        }
    }

    @Test("A71: no secret in anything that can be printed")
    func secrets() throws {
        let authority = try ClusterAuthority(cluster: Self.cluster, at: Lab.time)
        let token = try JoinToken(for: authority.certificate)
        let credentials = try authority.credentials(for: Self.node, at: Lab.time)
        let pem = String(decoding: try #require(credentials.key.pem), as: UTF8.self)
        let secretLine = try #require(pem.split(separator: "\n").dropFirst().first)
        var dumped = ""
        dump(token, to: &dumped)
        dump(credentials, to: &dumped)
        dump(MeshConfiguration.Security.mutualTLS(credentials), to: &dumped)
        for text in [
            "\(token)", String(reflecting: token), "\(credentials)", String(reflecting: credentials), dumped,
        ] {
            #expect(!text.contains(token.text.dropFirst(80)) && !text.contains(secretLine))
            #expect(!text.contains("\(token.secret[0]), \(token.secret[1]), \(token.secret[2])"))
        }
        for text in ["", "apus-join-1-", token.text + "0", String(token.text.dropLast()), "x" + token.text] {
            do {
                _ = try JoinToken(text: text)
                Issue.record("\(text.count) characters were accepted")
            } catch { #expect(error == .badToken && !"\(error)".contains(text.isEmpty ? "§" : text)) }
        }
    }
}
