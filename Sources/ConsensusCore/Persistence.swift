/// What is on its way to the disk, and the messages that wait for it.
struct Persistence: Sendable {
    private struct InFlight: Sendable {
        var number: UInt64
        /// The end of the log once the write is durable, unless it is cut off meanwhile.
        var last: Raft.Index
    }

    private struct Held: Sendable {
        var after: UInt64
        var message: Raft.Message
    }

    /// The end of the log on disk.
    private(set) var durable: Raft.Index
    private var issued: UInt64 = 0
    private var completed: UInt64 = 0
    private var inFlight: [InFlight] = []
    private var held: [Held] = []
    /// Held messages of the event that is being handled; its write has no number yet.
    private var fresh: [Raft.Message] = []

    private var hardStateChanged = false
    private var snapshotChanged = false
    private var removeFrom: Raft.Index?
    private var removeThrough: Raft.Index?
    private var unwrittenFrom: Raft.Index?

    init(durable: Raft.Index) { self.durable = durable }

    /// The number that the write of this event gets, if there is one.
    var nextNumber: UInt64 { issued + 1 }

    mutating func changeHardState() { hardStateChanged = true }

    mutating func append(at index: Raft.Index) { unwrittenFrom = min(unwrittenFrom ?? index, index) }

    /// The entries from an index on are gone: what was written there before is no longer the log.
    mutating func truncate(from index: Raft.Index) {
        removeFrom = min(removeFrom ?? index, index)
        if let from = unwrittenFrom, from >= index { unwrittenFrom = nil }
        durable = min(durable, index - 1)
        for place in inFlight.indices { inFlight[place].last = min(inFlight[place].last, index - 1) }
    }

    mutating func compact(through base: Raft.Index) {
        snapshotChanged = true
        removeThrough = base
    }

    /// A snapshot takes the place of the whole log.
    mutating func install() {
        truncate(from: 1)
        snapshotChanged = true
        removeThrough = nil
    }

    mutating func takeWrite(hardState: Raft.HardState, snapshot: Raft.Snapshot, log: Log) -> Raft.Write? {
        guard hardStateChanged || snapshotChanged || removeFrom != nil || unwrittenFrom != nil else {
            return nil
        }
        issued += 1
        var write = Raft.Write(number: issued)
        if hardStateChanged { write.hardState = hardState }
        if snapshotChanged { write.snapshot = snapshot }
        write.removeFrom = removeFrom
        write.removeThrough = removeThrough
        if let from = unwrittenFrom { write.entries = Array(log.entries(from...log.last.index)) }
        inFlight.append(InFlight(number: issued, last: log.last.index))
        (hardStateChanged, snapshotChanged) = (false, false)
        (removeFrom, removeThrough, unwrittenFrom) = (nil, nil, nil)
        return write
    }

    mutating func complete(_ number: UInt64) {
        // A driver that reports a write which was never asked for has mixed up its replicas.
        precondition(number <= issued, "write \(number) was reported, \(issued) were asked for")
        completed = max(completed, number)
        while let first = inFlight.first, first.number <= number {
            durable = first.last
            inFlight.removeFirst()
        }
    }

    mutating func hold(_ message: Raft.Message) { fresh.append(message) }

    /// The messages for which nothing needs to be waited any more. Too many that wait are dropped.
    mutating func releaseMessages(heldMax: Int) -> [Raft.Message] {
        for message in fresh where held.count < heldMax || completed == issued {
            held.append(Held(after: issued, message: message))
        }
        fresh = []
        let count = held.firstIndex { $0.after > completed } ?? held.count
        defer { held.removeFirst(count) }
        return held[..<count].map(\.message)
    }
}
