import Synchronization

/// One state of a partition's tables that stays in their file while it is read.
///
/// SQLite changes the file of a database in WAL mode only when the log is copied into it. So the file is a
/// snapshot from one checkpoint to the next, while records go on being applied to the log beside it.
final class TableImage: Sendable {
    /// What the tables had.
    let end: LogEnd
    let byteCount: Int
    private let pin: JournalPin
    private struct State {
        var users = 1
        var isBroken = false
    }
    private let state = Mutex(State())

    init(end: LogEnd, byteCount: Int, pin: JournalPin) {
        self.end = end
        self.byteCount = byteCount
        self.pin = pin
    }

    /// Whether the file must stay as it is.
    var isHeld: Bool { pin.isHeld && state.withLock { $0.users > 0 && !$0.isBroken } }

    /// - Returns: false if it is too late.
    func addUser() -> Bool {
        guard pin.isHeld else { return false }
        return state.withLock { state in
            guard state.users > 0, !state.isBroken else { return false }
            state.users += 1
            return true
        }
    }

    func removeUser() {
        let isLast = state.withLock { state in
            state.users -= 1
            return state.users == 0
        }
        if isLast { pin.release() }
    }

    func giveUp() {
        state.withLock { $0.isBroken = true }
        pin.release()
    }
}
