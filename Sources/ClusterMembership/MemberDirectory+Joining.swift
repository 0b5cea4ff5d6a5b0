import ByteCoding
import ClientProtocol
import ConsensusCore
import Foundation
import Identifiers
import MeshProtocol
import MeshTransport
import PlacementCore

/// How a new node reaches a member before it has a certificate: over HTTP, at the member's port for clients.
public protocol SeedCaller: Sendable {
    /// - Parameter seed: host and port.
    /// - Throws: if there is no answer; the reason is told to the operator.
    func post(_ body: [UInt8], to path: String, at seed: String) async throws -> SeedReply
}

/// What a seed answered.
public struct SeedReply: Sendable {
    public var status: Int
    public var body: [UInt8]

    public init(status: Int, body: [UInt8]) {
        self.status = status
        self.body = body
    }
}

/// The body of an answer that is an error.
private struct ErrorDocument: Decodable {
    var error: ActorError
}

extension MemberDirectory {
    /// Asks a member to be let in, and becomes one.
    ///
    /// May be called again after any failure: the disk keeps its name, so a member that had let the node in
    /// and whose answer was lost does so again under the same number.
    public func join(
        with token: JoinToken, at seed: String, profile: NodeProfile, over caller: some SeedCaller
    ) async throws(MembershipError) -> Membership {
        _ = try Self.checked(profile)
        try occupy()
        defer { vacate() }
        let store = try MemberFiles(path).beginDraft()
        let details = JoinDetails(store: store, profile: profile, formats: .ofThisProgram)
        let (key, request) = try certified { () throws(CertificateError) in
            let key = try PrivateKey()
            return (key, try JoinRequest(with: token, key: key, details: details.encoded()))
        }
        let answer = try await Self.ask(seed, request, over: caller)
        let (credentials, admission) = try Self.believe(answer, to: request, key: key, token: token)
        guard FormatVersions.ofThisProgram.canRead(admission.constants.formats) else {
            throw .refused("\(PlacementCore.Refusal.oldProgram)")
        }
        let membership = Membership(
            record: MembershipRecord(
                origin: .joined, constants: admission.constants, node: credentials.identity.node, store: store
            ),
            peers: admission.peers, credentials: credentials)
        // No votes and no log: the controller makes it a voter if it wants one more.
        try layOut(membership.record, consensus: Raft.PersistentState())
        try certified { () throws(CertificateError) in
            try credentials.save(in: MemberFiles(path).cluster)
        }
        try finish(membership, nil)
        return membership
    }

    private static func ask(
        _ seed: String, _ request: JoinRequest, over caller: some SeedCaller
    ) async throws(MembershipError) -> JoinAnswer {
        let reply: SeedReply
        do {
            let body = ClusterRequest.Admission(data: Data(request.encoded).base64EncodedString())
            reply = try await caller.post(
                Array(try JSONEncoder().encode(body)), to: "/cluster/admit", at: seed)
        } catch { throw .seed(seed, reason: Self.printable("\(error)")) }
        guard reply.status == 200 else {
            guard let failure = try? JSONDecoder().decode(ErrorDocument.self, from: Data(reply.body)) else {
                throw .seed(seed, reason: "it answered with status \(reply.status), like no Apus node")
            }
            let sentence = Self.printable(failure.error.message)
            guard reply.status < 500, reply.status != 429 else { throw .unavailable(seed, reason: sentence) }
            throw .refused(sentence)
        }
        guard let body = try? JSONDecoder().decode(ClusterRequest.Admission.self, from: Data(reply.body)),
            let data = Data(base64Encoded: body.data)
        else { throw .seed(seed, reason: "its answer cannot be read") }
        do throws(WireError) { return try JoinAnswer(decoding: Array(data)) } catch {
            throw .seed(seed, reason: "its answer cannot be read: \(error)")
        }
    }

    /// Nothing of the answer is looked at before its proof was.
    private static func believe(
        _ answer: JoinAnswer, to request: JoinRequest, key: PrivateKey, token: JoinToken
    ) throws(MembershipError) -> (NodeCredentials, AdmissionDetails) {
        let credentials = try certified { () throws(CertificateError) in
            try answer.credentials(for: key, request: request, token: token)
        }
        let admission: AdmissionDetails
        do throws(WireError) { admission = try AdmissionDetails.decode(answer.details) } catch {
            throw .refused("the member's answer cannot be read: \(error)")
        }
        guard admission.constants.cluster == credentials.identity.cluster, !admission.peers.isEmpty else {
            throw .refused("the member's answer contradicts itself: use a member of the same version")
        }
        return (credentials, admission)
    }

    /// What a stranger says goes into logs and to terminals: no control characters, and not endless.
    private static func printable(_ text: String) -> String {
        String(
            text.prefix(600).map {
                $0.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F } ? " " : $0
            })
    }
}
