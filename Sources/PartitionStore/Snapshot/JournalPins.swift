import Identifiers
import Synchronization

/// Which records the journal keeps although the tables have them, because a replica will need them: as long
/// as that does not take too much room.
final class JournalPins: Sendable {
    private struct Pin {
        var id: UInt64
        var partition: PartitionID
        var position: LogPosition
    }
    private struct State {
        var pins: [Pin] = []
        var nextID: UInt64 = 1
    }
    private let state = Mutex(State())

    func pin(_ partition: PartitionID, after position: LogPosition) -> JournalPin {
        let id = state.withLock { state in
            defer { state.nextID += 1 }
            state.pins.append(Pin(id: state.nextID, partition: partition, position: position))
            return state.nextID
        }
        return JournalPin(self, id: id)
    }

    func holds(_ id: UInt64) -> Bool { state.withLock { state in state.pins.contains { $0.id == id } } }

    func remove(_ id: UInt64) { state.withLock { $0.pins.removeAll { $0.id == id } } }

    /// Behind which record each pinned partition's log is kept.
    var floors: [PartitionID: LogPosition] {
        state.withLock { state in
            var floors: [PartitionID: LogPosition] = [:]
            for pin in state.pins {
                floors[pin.partition] = min(floors[pin.partition] ?? pin.position, pin.position)
            }
            return floors
        }
    }

    /// Gives up what keeps rows with these ends.
    func breakPins(keeping ends: [PartitionID: LogPosition]) {
        state.withLock { state in
            state.pins.removeAll { pin in ends[pin.partition].map { $0 > pin.position } ?? false }
        }
    }
}

/// Keeps the records of one partition behind a position in the journal, until it is released, forgotten or
/// broken.
public final class JournalPin: Sendable {
    private let pins: JournalPins
    private let id: UInt64

    init(_ pins: JournalPins, id: UInt64) {
        self.pins = pins
        self.id = id
    }

    deinit { release() }

    /// Whether the records are kept: not after `release`, and not after the journal would have grown above
    /// `StoreConfiguration.pinnedJournalBytesMax` for them.
    public var isHeld: Bool { pins.holds(id) }

    /// Lets the journal delete what nobody else needs.
    public func release() { pins.remove(id) }
}
