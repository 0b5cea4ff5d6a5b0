import ByteCoding
import ClientProtocol
import Identifiers
import MeshTransport
import PlacementCore
import TimeAndChance

/// Lets new nodes in, at the node that founded the cluster and has its authority.
struct Admission: Sendable {
    let directory: MemberDirectory
    let control: any ControlPlane

    /// Answers a join request: counts the use of its token, lets the control plane assign a number,
    /// and issues the certificate for that.
    ///
    /// Whoever repeats a request gets the same number again, for a key that only the first sender has. Once
    /// the node has started, the control plane refuses it (R15).
    func admit(_ bytes: [UInt8], at now: Timestamp) async throws(ActorError) -> [UInt8] {
        guard let authority = directory.authority else { throw await notFounder }
        let (request, details, memberKey) = try checked(bytes)
        guard let map = await control.currentMap() else { throw .noMap }
        guard details.formats.canRead(map.constants.formats) else {
            throw .notAdmitted("\(PlacementCore.Refusal.oldProgram)")
        }
        // Before the number is assigned: an attempt may cost a use, never a use too many.
        try changeTokens { book in
            _ = try book.use(request.tokenID, by: details.store, at: now)
        }
        let node = try await assign(details, map)
        let certificate: Certificate
        do throws(CertificateError) {
            certificate = try authority.issue(to: node, for: request.request, at: now)
        } catch { throw .notAdmitted("\(error)") }
        let peers = map.peers
        let answer = JoinAnswer(
            certificate, from: authority.certificate, to: request,
            details: AdmissionDetails(
                constants: map.constants, peers: peers.isEmpty ? directory.membership?.peers ?? [] : peers
            ).encoded(), memberKey: memberKey)
        return answer.encoded
    }

    /// The request and what it says, if its sender knows the token.
    private func checked(
        _ bytes: [UInt8]
    ) throws(ActorError) -> (JoinRequest, JoinDetails, memberKey: [UInt8]) {
        let request: JoinRequest
        do throws(WireError) { request = try JoinRequest(decoding: bytes) } catch {
            throw .notAdmitted(Self.sentence(error))
        }
        let memberKey: [UInt8]
        do throws(TokenBook.Refusal) {
            memberKey = try directory.tokens.memberKey(of: request.tokenID)
        } catch { throw .notAdmitted("\(error)") }
        do throws(CertificateError) { try request.check(memberKey: memberKey) } catch {
            throw .notAdmitted("\(error)")
        }
        do throws(WireError) {
            return (request, try JoinDetails.decode(request.details), memberKey)
        } catch { throw .notAdmitted(Self.sentence(error)) }
    }

    private static func sentence(_ error: WireError) -> String {
        guard case .version(_, let found, let newest) = error else {
            return "the join request cannot be read (\(error)): use the program's version of the cluster"
        }
        return found > newest
            ? "the new node's program is newer than this member's: start the version that the cluster runs, "
                + "or upgrade the cluster first"
            : "\(PlacementCore.Refusal.oldProgram)"
    }

    private func assign(
        _ details: JoinDetails, _ map: ClusterMap
    ) async throws(ActorError) -> NodeID {
        let registration = Registration(
            cluster: map.constants.cluster, node: nil, store: details.store,
            lastIncarnation: Incarnation(rawValue: 0), profile: details.profile, formats: details.formats)
        let outcome: Outcome?
        do { outcome = try await control.propose([.register(registration)]).first } catch {
            throw .unknownOutcome
        }
        switch outcome {
        case .registered(let life): return life.node
        case .refused(.full):
            throw .notAdmitted(
                "the cluster has \(ClusterMap.nodesMax) nodes, as many as it may have: remove one first")
        case .refused(let refusal): throw .notAdmitted("\(refusal)")
        case .accepted, nil: throw .unknownOutcome
        }
    }

    // MARK: Tokens

    func createToken(
        validFor: Duration, uses: Int, at now: Timestamp
    ) async throws(ActorError) -> (JoinToken, TokenBook.Entry) {
        guard let authority = directory.authority else { throw await notFounder }
        let token: JoinToken
        do throws(CertificateError) { token = try JoinToken(for: authority.certificate) } catch {
            throw .clusterInternal("\(error)")
        }
        let entry = TokenBook.Entry(
            id: token.id, memberKey: token.memberKey, expiresAt: now + validFor, usesMax: uses)
        try changeTokens { try $0.add(entry, at: now) }
        return (token, entry)
    }

    func revoke(_ id: [UInt8]) async throws(ActorError) -> Bool {
        guard directory.authority != nil else { throw await notFounder }
        return try changeTokens { $0.revoke(id) }
    }

    func changeTokens<Value: Sendable>(
        _ change: (inout TokenBook) throws -> Value
    ) throws(ActorError) -> Value {
        do { return try directory.changeTokens(change) } catch let refusal as TokenBook.Refusal {
            throw .notAdmitted("\(refusal)")
        } catch { throw .clusterInternal("\(error)") }
    }

    var notFounder: ActorError {
        get async {
            // Numbers are given from 1 on, so the first node is the one that founded the cluster.
            let first = await control.currentMap()?[NodeID(rawValue: 1)]
            let place = first.map { ", node 1 at \($0.profile.clientAddress)" } ?? ""
            return ActorError(
                "not_founder",
                "join tokens are kept by the node that founded the cluster\(place): ask that one",
                group: "cluster")
        }
    }
}
