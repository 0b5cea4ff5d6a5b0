import Identifiers

/// The replica's side of one snapshot on its way: takes chunks in order, says how far they are written, and
/// has the whole put in place. Writes and sends nothing itself.
public struct SnapshotReceiver: Hashable, Sendable {
    public enum Event: Hashable, Sendable {
        /// The owner's message about this snapshot.
        case message(SnapshotMessage)
        /// Chunks before this one are written; the last of them when the whole is proven and synced.
        case written(next: Int)
        /// It cannot be written, or is not what its header says.
        case failed
        /// The snapshot is in place and durable.
        case installed
        /// The log here does not need it any more.
        case notWanted
        case linkDown
        case tick
    }

    /// What is to be done, in order.
    public enum Effect: Hashable, Sendable {
        case answer(SnapshotAnswer)
        /// `written` or `failed` is to follow, in the order of these.
        case write(SnapshotChunk)
        /// `installed`, `notWanted` or `failed` is to follow.
        case install
        /// There is nothing more to do here, and unless it was installed nothing of it is to stay.
        case ended(Outcome)
    }

    public enum Outcome: Hashable, Sendable {
        case installed
        case notWanted
        case failed
        /// The owner has ended it, or was not heard of for too long.
        case abandoned
    }

    public let header: SnapshotHeader
    private let settings: SnapshotSettings
    private var quietTicks = 0
    /// The chunk that is taken next.
    private var expected = 0
    public private(set) var written = 0
    private var isInstalling = false
    private var hasEnded = false

    public init(_ header: SnapshotHeader, settings: SnapshotSettings = SnapshotSettings()) {
        self.header = header
        self.settings = settings
    }

    public var writtenBytes: Int { min(header.byteCount, written * header.chunkBytes) }

    public mutating func handle(_ event: Event) -> [Effect] {
        guard !hasEnded else { return [] }
        switch event {
        case .message(let message):
            guard message.partition == header.partition, message.id == header.id else { return [] }
            quietTicks = 0
            return take(message)
        case .written(let next):
            guard next > written, next <= expected else { return [] }
            written = next
            let answer = [answer(.received(next: next))]
            guard written == header.chunkCount else { return answer }
            isInstalling = true
            return answer + [.install]
        case .failed: return end(.failed, telling: .refused(.failed))
        case .installed: return end(.installed, telling: .installed)
        case .notWanted: return end(.notWanted, telling: .refused(.notWanted))
        case .linkDown: return []
        case .tick:
            quietTicks += 1
            // What is being put in place ends by itself.
            guard quietTicks >= settings.giveUpTicks, !isInstalling else { return [] }
            return end(.abandoned, telling: nil)
        }
    }

    private mutating func take(_ message: SnapshotMessage) -> [Effect] {
        switch message {
        case .offer: return [answer(.accepted(next: expected))]
        case .chunk(_, _, let chunk):
            // Others were on their way before a connection was lost, and come again.
            guard chunk.index == expected, !isInstalling else { return [] }
            expected += 1
            return [.write(chunk)]
        case .end: return isInstalling ? [] : end(.abandoned, telling: nil)
        }
    }

    private func answer(_ body: SnapshotAnswer.Body) -> Effect {
        .answer(SnapshotAnswer(header.partition, id: header.id, body))
    }

    private mutating func end(_ outcome: Outcome, telling body: SnapshotAnswer.Body?) -> [Effect] {
        hasEnded = true
        return (body.map { [answer($0)] } ?? []) + [.ended(outcome)]
    }
}
