import Identifiers

/// The owner's side of one snapshot on its way to one replica: a few chunks at a time, and from where the
/// replica is after a connection was lost. Reads and sends nothing itself.
public struct SnapshotSender: Hashable, Sendable {
    public enum Event: Hashable, Sendable {
        /// There is a new connection to the replica.
        case linkUp
        case linkDown
        case answer(SnapshotAnswer)
        /// What `read` asked for.
        case chunk(SnapshotChunk)
        /// The snapshot cannot be read any more.
        case broken
        case tick
    }

    /// What is to be done, in order.
    public enum Effect: Hashable, Sendable {
        case send(SnapshotMessage)
        /// `chunk` is to follow, in the order of these.
        case read(chunk: Int)
        /// There is nothing more to do here.
        case ended(Outcome)
    }

    public enum Outcome: Hashable, Sendable {
        case installed
        case refused(SnapshotAnswer.Refusal)
        /// The snapshot could not be read to its end.
        case broken
        /// The replica has not answered for too long.
        case gaveUp
    }

    private enum Phase: Hashable {
        case offering
        case streaming
        case ended
    }

    public let header: SnapshotHeader
    private let settings: SnapshotSettings
    private var phase = Phase.offering
    private var isLinked = false
    private var quietTicks = 0
    /// The replica has written everything before this chunk.
    public private(set) var acknowledged = 0
    /// The chunk that goes next over this connection.
    private var nextToSend = 0
    private var nextToRead = 0
    private var readsUnderWay = 0

    public init(_ header: SnapshotHeader, settings: SnapshotSettings = SnapshotSettings()) {
        self.header = header
        self.settings = settings
    }

    public var acknowledgedBytes: Int { min(header.byteCount, acknowledged * header.chunkBytes) }

    public mutating func handle(_ event: Event) -> [Effect] {
        guard phase != .ended else { return [] }
        switch event {
        case .linkUp:
            isLinked = true
            return offer()
        case .linkDown:
            isLinked = false
            phase = .offering
            return []
        case .answer(let answer):
            guard answer.partition == header.partition, answer.id == header.id, isLinked else { return [] }
            quietTicks = 0
            return take(answer.body)
        case .chunk(let chunk): return read(chunk)
        case .broken: return end(.broken)
        case .tick: return tick()
        }
    }

    private func offer() -> [Effect] { [.send(.offer(header))] }

    private mutating func take(_ answer: SnapshotAnswer.Body) -> [Effect] {
        switch answer {
        case .accepted(let next):
            guard next <= header.chunkCount else { return end(.refused(.failed)) }
            phase = .streaming
            (acknowledged, nextToSend, nextToRead) = (next, next, next)
            return fillWindow()
        case .received(let next):
            guard phase == .streaming, next > acknowledged, next <= nextToSend else { return [] }
            acknowledged = next
            return fillWindow()
        case .installed: return end(.installed)
        case .refused(.busy):
            phase = .offering
            return []
        case .refused(let reason): return end(.refused(reason))
        }
    }

    /// What was asked for before a connection was lost may still come; only the chunk whose turn it is goes.
    private mutating func read(_ chunk: SnapshotChunk) -> [Effect] {
        readsUnderWay = max(0, readsUnderWay - 1)
        guard phase == .streaming, chunk.index == nextToSend else { return fillWindow() }
        nextToSend += 1
        return [.send(.chunk(header.partition, id: header.id, chunk))] + fillWindow()
    }

    private mutating func fillWindow() -> [Effect] {
        guard phase == .streaming else { return [] }
        var effects: [Effect] = []
        while nextToRead < min(header.chunkCount, acknowledged + settings.windowChunks),
            readsUnderWay < settings.windowChunks
        {
            effects.append(.read(chunk: nextToRead))
            nextToRead += 1
            readsUnderWay += 1
        }
        return effects
    }

    private mutating func tick() -> [Effect] {
        quietTicks += 1
        if quietTicks >= settings.giveUpTicks { return end(.gaveUp) }
        guard isLinked, quietTicks % settings.offerAgainTicks == 0 else { return [] }
        return offer()
    }

    private mutating func end(_ outcome: Outcome) -> [Effect] {
        phase = .ended
        var effects: [Effect] = []
        switch outcome {
        case .installed, .refused: break
        case .broken, .gaveUp:
            if isLinked { effects.append(.send(.end(header.partition, id: header.id))) }
        }
        return effects + [.ended(outcome)]
    }
}
