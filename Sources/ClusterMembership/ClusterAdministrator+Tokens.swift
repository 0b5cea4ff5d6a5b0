import ClientProtocol
import Foundation
import MeshTransport
import TimeAndChance

/// Join tokens, and JSON.
extension ClusterAdministrator {
    static let tokenSecondsStandard = 24 * 3600
    static let tokenSecondsMax = 30 * 24 * 3600
    static let tokenUsesStandard = 1

    func createToken(
        _ wanted: ClusterRequest.CreateToken, _ admission: Admission
    ) async throws(ActorError) -> TokensDocument.Token {
        let seconds = wanted.validSeconds ?? Self.tokenSecondsStandard
        let uses = wanted.uses ?? Self.tokenUsesStandard
        guard 1...Self.tokenSecondsMax ~= seconds, 1...TokenBook.usesMax ~= uses else {
            throw .invalidCommand(
                "a join token is good for 1 to \(Self.tokenSecondsMax) seconds, and for 1 to "
                    + "\(TokenBook.usesMax) nodes")
        }
        let (token, entry) = try await admission.createToken(
            validFor: .seconds(seconds), uses: uses, at: now)
        var document = Self.document(entry)
        document.token = token.text
        return document
    }

    func tokens(_ admission: Admission) async throws(ActorError) -> TokensDocument {
        guard directory.isFounder else { throw await admission.notFounder }
        return TokensDocument(tokens: directory.tokens.entries.map(Self.document))
    }

    func revoke(
        _ id: String, _ admission: Admission
    ) async throws(ActorError) -> DoneDocument {
        guard let bytes = Self.bytes(hex: id), try await admission.revoke(bytes) else {
            throw ActorError(
                "unknown_token", "there is no such join token: see `apus cluster token list`",
                group: "cluster")
        }
        return DoneDocument(message: "the join token lets nobody in any more")
    }

    private static func document(_ entry: TokenBook.Entry) -> TokensDocument.Token {
        TokensDocument.Token(
            id: entry.id.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(), token: nil,
            expiresAt: text(entry.expiresAt), uses: entry.usesMax, used: entry.stores.count)
    }

    private static func bytes(hex: String) -> [UInt8]? {
        let digits = hex.utf8.map { Character(UnicodeScalar($0)).hexDigitValue.map { UInt8($0) } }
        guard digits.count == 64, !digits.contains(nil) else { return nil }
        return stride(from: 0, to: 64, by: 2).map { (digits[$0] ?? 0) << 4 | (digits[$0 + 1] ?? 0) }
    }

    /// ISO 8601 with milliseconds, UTC.
    static func text(_ time: Timestamp) -> String {
        Date(timeIntervalSince1970: Double(time.rawValue) / 1e6)
            .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }

    // MARK: JSON

    static func json(_ document: some Encodable) throws(ActorError) -> Payload {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do { return Payload(Array(try encoder.encode(document))) } catch { throw .internalError }
    }

    /// A command's body; an empty one is a command without wishes.
    static func read<Document: Decodable>(_ body: Payload) throws(ActorError) -> Document {
        let bytes = body == .null ? Array("{}".utf8) : body.bytes
        do { return try JSONDecoder().decode(Document.self, from: Data(bytes)) } catch {
            let field: String? =
                switch error as? DecodingError {
                case .keyNotFound(let key, _): key.stringValue
                case .typeMismatch(_, let context), .valueNotFound(_, let context):
                    context.codingPath.first?.stringValue
                default: nil
                }
            throw .invalidCommand(
                field.map { "the member \"\($0)\" of the request is absent or has another form" }
                    ?? "the request is not the JSON that this command takes")
        }
    }
}
