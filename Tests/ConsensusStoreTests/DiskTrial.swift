import FaultyDisk
import Identifiers
import TimeAndChance

@testable import ConsensusCore
@testable import ConsensusStore

/// A promise of the store that it did not keep.
struct BrokenPromise: Error, CustomStringConvertible {
    var description: String
}

/// Several lives of one voter's files on a disk that fails, from a seed. After each, what is found must be
/// what was last reported as written, or that and the write which was under way.
final class DiskTrial {
    let disk = FaultyDisk()
    let replica: ReplicaID
    var random: SplitMix64
    /// Nil before the first opening that succeeded.
    var state: Raft.PersistentState?
    var attempted: Raft.PersistentState?
    let founding: Raft.PersistentState
    private var store: ConsensusStore?
    private let directory: String
    private var limits = ConsensusStore.Limits()
    var isLying = false

    var writes = 0
    var crashes = 0
    var faults = 0
    var rots = 0
    var damagesFound = 0
    var trace: [String] = []

    init(seed: UInt64, replica: ReplicaID, founding: Raft.PersistentState) {
        random = SplitMix64(seed: seed)
        self.replica = replica
        self.founding = founding
        directory = disk.root + "/control"
        limits.logBytesMax = [1, 30_000, 4 << 20][Int.random(in: 0..<3, using: &random)]
    }

    func broken(_ sentence: String) -> BrokenPromise {
        BrokenPromise(description: sentence + "\n  " + trace.suffix(20).joined(separator: "\n  "))
    }

    func end() { store = nil }

    func run(lives: Int) throws {
        for life in 0..<lives {
            if isLying { disk.setLying(life > 0) }
            try live()
        }
        disk.setLying(false)
        guard Bool.random(using: &random) else { return }
        try rot()
    }

    private func live() throws {
        let kind = Int.random(in: 0..<4, using: &random)
        let after = Int.random(in: 0..<40, using: &random)
        trace.append("life of kind \(kind), \(after)")
        if kind == 0 { disk.die(after: after) }
        if kind == 1 {
            let faults = FaultyDisk.Fault.allCases
            disk.fail(faults[Int.random(in: 0..<faults.count, using: &random)], after: after / 4)
        }
        if try open() {
            for _ in 0..<Int.random(in: 0..<12, using: &random) {
                guard try write() else { break }
            }
        }
        if kind == 1, disk.hasFailed { faults += 1 }
        store = nil
        crashes += 1
        // Otherwise only the process is gone.
        if kind != 3 { disk.crash(seed: random.next()) }
        disk.heal()
    }

    /// - Returns: false if the disk failed.
    private func open() throws -> Bool {
        let found: Raft.PersistentState
        do throws(ConsensusStoreError) {
            (store, found) = try ConsensusStore.open(
                directory: directory, replica: replica, creating: state == nil ? founding : nil,
                limits: limits)
        } catch {
            trace.append("cannot open: \(error)".replacing(disk.root, with: ""))
            guard disk.hasFailed else { throw broken("a sound disk cannot be opened: \(error)") }
            if case .damaged = error { throw broken("a disk that fails is taken for damaged") }
            return false
        }
        guard found == state ?? founding || found == attempted else {
            throw broken("what was reported as written is not there")
        }
        trace.append("found \(found.entries.count) entries, term \(found.hardState.term)")
        (state, attempted) = (found, nil)
        return true
    }

    private func write() throws -> Bool {
        guard let store, let state else { return false }
        let write = makeWrite(after: state)
        var next = state
        next.apply(write)
        attempted = next
        do throws(ConsensusStoreError) {
            try store.apply(write)
        } catch {
            trace.append("stopped: \(error)".replacing(disk.root, with: ""))
            guard disk.hasFailed else { throw broken("stopped on a sound disk: \(error)") }
            // After an error, nothing is acknowledged (R14).
            if (try? store.apply(write)) != nil { throw broken("goes on after an error") }
            return false
        }
        writes += 1
        self.state = next
        attempted = nil
        return true
    }

    private func makeWrite(after state: Raft.PersistentState) -> Raft.Write {
        var write = Raft.Write(number: 1)
        var hard = state.hardState
        if Bool.random(using: &random) { hard.term += 1 }
        write.hardState = hard
        let last = state.entries.last?.position ?? state.snapshot.position
        var next = last.index + 1
        if !state.entries.isEmpty, Int.random(in: 0..<4, using: &random) == 0 {
            let from = max(state.entries[0].index, state.snapshot.position.index + 1)
            if from <= last.index {
                next = UInt64.random(in: from...last.index, using: &random)
                write.removeFrom = next
            }
        } else if let middle = state.entries.randomElement(using: &random),
            middle.index > state.snapshot.position.index, Int.random(in: 0..<4, using: &random) == 0
        {
            write.snapshot = Raft.Snapshot(
                position: middle.position, configuration: state.snapshot.configuration,
                state: [UInt8](repeating: 7, count: Int.random(in: 0..<9_000, using: &random)))
            write.removeThrough = middle.index
        }
        for index in next..<next + UInt64.random(in: 1..<5, using: &random) {
            let bytes = [UInt8](
                repeating: UInt8(truncatingIfNeeded: index), count: [2, 700, 5_000][Int(index % 3)])
            write.entries.append(
                Raft.Entry(
                    position: Raft.Position(term: hard.term, index: index), payload: .command(bytes)))
        }
        return write
    }

    /// A bit flips while nobody looks: that is found, or it does no harm.
    private func rot() throws {
        guard try open() else { return }
        for _ in 0..<4 { _ = try write() }
        store = nil
        rots += 1
        let files = ["control.db", "control.db-wal", "witness"]
        let file = files[Int.random(in: 0..<files.count, using: &random)]
        guard let place = disk.rot(directory + "/" + file, seed: random.next()) else { return }
        trace.append("byte \(place) of \(file) rots")
        let found: Raft.PersistentState
        do throws(ConsensusStoreError) {
            (store, found) = try ConsensusStore.open(directory: directory, replica: replica, limits: limits)
        } catch {
            damagesFound += 1
            return
        }
        guard found == state else { throw broken("a flipped bit changed what is read") }
    }
}
