import Dispatch

/// What snapshots of one store share: the thread that reads and writes them, one piece after the other.
struct SnapshotWork: Sendable {
    let queue = DispatchQueue(label: "apus.snapshots")
    let pins: JournalPins
    let incoming: IncomingTables
    let chunkBytes: Int

    /// Answers whoever still waits, once the tables are closed.
    func end() {
        queue.sync {}
        incoming.endAll()
    }
}
