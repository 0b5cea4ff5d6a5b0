import Foundation
import Identifiers
import MeshTransport

/// Joins a cluster without a person: waits for a file with a token, then asks a seed until it answers.
public struct UnattendedJoin: Sendable {
    public static let attemptsMax = 60
    static let pause = Duration.seconds(2)
    /// Progress while the file is awaited is told this often.
    static let looksPerLine = 15

    public var seed: String
    public var tokenFile: String

    public init(seed: String, tokenFile: String) {
        self.seed = seed
        self.tokenFile = tokenFile
    }

    /// - Parameters:
    ///   - say: takes a line of progress.
    ///   - sleep: waits; throws if the node stops in the meantime.
    /// - Returns: once the node is a member, by this or because an operator was faster.
    /// - Throws: what no further attempt can mend, or the last failure of as many as there may be.
    public func run(
        _ administrator: ClusterAdministrator, say: @Sendable (String) -> Void,
        sleep: @Sendable (Duration) async throws -> Void
    ) async throws {
        let token = try await token(administrator, say, sleep)
        guard let token else { return }
        for attempt in 1...Self.attemptsMax {
            if administrator.directory.membership != nil { return }
            do throws(MembershipError) {
                let membership = try await administrator.join(seed, with: token)
                say("joined cluster \(membership.cluster) as node \(membership.record.node.rawValue)")
                return
            } catch {
                if case .member = error { return }
                guard error.isTemporary, attempt < Self.attemptsMax else { throw error }
                say("not joined yet, attempt \(attempt) of \(Self.attemptsMax): \(error)")
            }
            try await sleep(Self.pause)
        }
    }

    /// What the file holds once it is there; nil if the node became a member in the meantime.
    private func token(
        _ administrator: ClusterAdministrator, _ say: @Sendable (String) -> Void,
        _ sleep: @Sendable (Duration) async throws -> Void
    ) async throws -> JoinToken? {
        for look in 0... {
            if administrator.directory.membership != nil { return nil }
            if let text = try? String(contentsOfFile: tokenFile, encoding: .utf8) {
                let word = text.trimmingCharacters(in: .whitespacesAndNewlines)
                // A file that is being written is empty at first.
                if !word.isEmpty {
                    do throws(CertificateError) { return try JoinToken(text: word) } catch {
                        throw MembershipError.invalid("\(tokenFile): \(error)")
                    }
                }
            }
            if look % Self.looksPerLine == 0 {
                say("waiting for the join token in \(tokenFile): `apus cluster token` makes one")
            }
            try await sleep(Self.pause)
        }
        return nil
    }
}
