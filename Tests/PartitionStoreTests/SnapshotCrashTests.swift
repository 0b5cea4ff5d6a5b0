import Dispatch
import DurableFiles
import Foundation
import Identifiers
import ReplicationCore
import Synchronization
import Testing

@testable import PartitionStore

/// A crash leaves the old replica or the new one, never a mix (D21, D22).
@Suite struct SnapshotCrashTests {
    private let scratch = Scratch()
    private let owner: TestReplica
    private let reader: SnapshotReader
    private let partition: PartitionID
    /// What the replica has before the snapshot; the last few are not in its tables' file yet.
    private static let known = 9

    init() throws {
        owner = try TestReplica(.snapshots(scratch.sub("owner")))
        owner.fill(60)
        reader = try owner.export()
        partition = owner.partition
    }

    /// The directory at each step of an import, and the file names under `incoming` to tell them by.
    private func crashes() throws -> (half: String, whole: String, decided: String, done: String) {
        let isDecided = DispatchSemaphore(value: 0)
        let mark = reader.header.mark.position
        let replica = try TestReplica(.snapshots(scratch.sub("data"))) { commit in
            if commit.marks.contains(where: { $0.position == mark }) { isDecided.signal() }
        }
        // Another log than the owner's, so that a mix would show.
        replica.fill(Self.known, bytes: 3_000)
        let writer = try replica.store.importSnapshot(reader.header)
        let chunks = try reader.chunks()
        try writer.write(Array(chunks.prefix(3)))
        let half = scratch.copy("data", to: "half")
        try writer.write(Array(chunks.dropFirst(3)))
        let whole = scratch.copy("data", to: "whole")
        // Whoever reads the tables keeps them from being replaced, so that the copy is of this moment.
        let isReading = DispatchSemaphore(value: 0)
        let mayGoOn = DispatchSemaphore(value: 0)
        let tables = replica.store.applier.tables[Int(partition.rawValue)]
        let thread = Thread {
            _ = try? tables.read { (_) -> Bool? in
                isReading.signal()
                mayGoOn.wait()
                return nil
            }
        }
        thread.start()
        isReading.wait()
        let isInstalled = DispatchSemaphore(value: 0)
        writer.install { _ in isInstalled.signal() }
        isDecided.wait()
        let decided = scratch.copy("data", to: "decided")
        mayGoOn.signal()
        isInstalled.wait()
        let done = scratch.copy("data", to: "done")
        try replica.store.close()
        return (half, whole, decided, done)
    }

    private func expectOld(_ path: String, _ comment: Comment) throws {
        let store = try PartitionStore.open(.snapshots(path))
        let found = store.recoveredLog(of: partition)
        #expect(found.tail.end.position.rawValue == UInt64(Self.known), comment)
        // Nothing says that all of it is committed.
        let applied = found.applied.rawValue
        #expect(applied <= UInt64(Self.known), comment)
        for id in 1...UInt64(Self.known) where id <= applied {
            let actor = try store.actor(ActorID(rawValue: id), in: partition)
            #expect(actor?.state?.count == 3_000, comment)
        }
        #expect(try DurableFile.names(in: path + "/incoming").isEmpty, comment)
        try store.close()
    }

    private func expectNew(_ path: String, _ comment: Comment) throws {
        for _ in 0..<2 {
            let store = try PartitionStore.open(.snapshots(path))
            let header = reader.header
            let found = store.recoveredLog(of: partition)
            #expect(found.tail.base == header.mark, comment)
            #expect(found.tail.end == header.mark, comment)
            #expect(try store.hasTables(owner.states, in: partition, through: header.mark.position), comment)
            #expect(try DurableFile.names(in: path + "/incoming").isEmpty, comment)
            try store.close()
        }
    }

    private func expectDamage(_ path: String, _ comment: Comment) {
        #expect(comment) {
            try PartitionStore.open(.snapshots(path))
        } throws: {
            guard case .damaged = $0 as? StoreError else { return false }
            return true
        }
    }

    private func move(_ part: String, from: String, to: String) throws {
        try? FileManager.default.removeItem(atPath: to + part)
        try FileManager.default.copyItem(atPath: from + part, toPath: to + part)
    }

    @Test func `A crash at any step leaves the old replica or the new one`() throws {
        let crashes = try crashes()
        try expectOld(crashes.half, "half of the chunks")
        try expectOld(crashes.whole, "all of the chunks, and nothing decided")
        try expectNew(scratch.copy("decided", to: "a"), "decided, and nothing in place")
        let path = scratch.copy("decided", to: "b")
        try DurableFile.remove(path + "/parts/0001/state.db-wal")
        try expectNew(path, "decided, and the old tables' log gone")
        try expectNew(crashes.done, "in place")
        try owner.store.close()
    }

    @Test func `The log goes on after a start that has put the tables in place`() throws {
        let crashes = try crashes()
        owner.fill(2)
        let replica = try TestReplica(.snapshots(crashes.decided))
        replica.follow(owner)
        replica.append(try owner.log(after: reader.header.mark.position))
        #expect(try replica.hasTables(of: owner, through: owner.mark.position))
        try replica.store.close()
        let again = try PartitionStore.open(.snapshots(crashes.decided))
        #expect(again.recoveredLog(of: partition).tail.end == owner.mark)
        try again.close()
        try owner.store.close()
    }

    @Test func `New tables without their decision, or a decision without its tables, are damage (R13)`()
        throws
    {
        let crashes = try crashes()
        let renamed = scratch.copy("whole", to: "renamed")
        try move("/parts", from: crashes.done, to: renamed)
        expectDamage(renamed, "in place, and nothing decided")
        let missing = scratch.copy("decided", to: "missing")
        try FileManager.default.removeItem(atPath: missing + "/incoming")
        expectDamage(missing, "decided, and the file gone")
        // The old log over the new tables is what must never be read.
        let mixed = scratch.copy("done", to: "mixed")
        try move("/parts", from: crashes.whole, to: mixed)
        expectDamage(mixed, "the old tables under the new log")
        try owner.store.close()
    }

    @Test func `A second snapshot that was not decided does not take the place of the first`() throws {
        let crashes = try crashes()
        let replica = try TestReplica(.snapshots(crashes.done))
        let writer = try replica.store.importSnapshot(reader.header, replacingDamaged: true)
        // The same bytes, but another import.
        replica.follow(owner)
        owner.fill(5)
        let records = try owner.log(after: reader.header.mark.position)
        replica.append(records)
        try writer.write(try reader.chunks())
        let path = scratch.copy("done", to: "second")
        try replica.store.close()
        let again = try PartitionStore.open(.snapshots(path))
        #expect(again.recoveredLog(of: partition).tail.end == owner.mark)
        #expect(again.appliedPosition(of: partition) == owner.mark.position)
        try again.close()
        try owner.store.close()
    }

    @Test func `When a snapshot is reported as in place, the files have it (R6)`() throws {
        let header = reader.header
        let path = scratch.sub("empty")
        let replica = try TestReplica(.snapshots(path))
        let writer = try replica.store.importSnapshot(header)
        try writer.write(try reader.chunks())
        try outcome { (reply: @escaping @Sendable (Result<Void, SnapshotError>) -> Void) in
            writer.install { [scratch] result in
                scratch.copy("empty", to: "reported")
                reply(result)
            }
        }
        try expectNew(scratch.sub("reported"), "as reported")
        try replica.store.close()
        try owner.store.close()
    }

    @Test(arguments: [Damage.flipped, .truncated, .longer, .reordered, .repeated, .missing, .foreign])
    fileprivate func `A chunk that is not what was sent ends the import, and nothing is left of it`(
        damage: Damage
    ) throws {
        let replica = try TestReplica(.snapshots(scratch.sub("data")))
        replica.fill(Self.known, bytes: 3_000)
        let writer = try replica.store.importSnapshot(reader.header)
        var chunks = try reader.chunks()
        let last = chunks.count - 1
        switch damage {
        case .flipped: chunks[last].bytes[100] ^= 4
        case .truncated: chunks[last].bytes.removeLast()
        case .longer: chunks[last].bytes.append(0)
        case .reordered: chunks.swapAt(last, last - 1)
        case .repeated: chunks.insert(chunks[1], at: 2)
        case .missing: chunks.remove(at: 2)
        case .foreign:
            let other = try TestReplica(.snapshots(scratch.sub("other")))
            other.fill(60, bytes: 300)
            chunks[3] = try other.export().chunks()[3]
            try other.store.close()
        }
        #expect(throws: SnapshotError.self) { try writer.write(chunks) }
        #expect(throws: SnapshotError.ended) { try writer.write(chunks[0]) }
        #expect(throws: SnapshotError.ended) { try writer.install() }
        #expect(try DurableFile.names(in: scratch.sub("data/incoming")).isEmpty)
        let again = try replica.store.importSnapshot(reader.header)
        try again.write(try reader.chunks())
        try again.install()
        #expect(try replica.hasTables(of: owner, through: reader.header.mark.position))
        try replica.store.close()
        try owner.store.close()
    }

    fileprivate enum Damage: Sendable {
        case flipped, truncated, longer, reordered, repeated, missing, foreign
    }

    @Test func `Tables that are sent wrong are not taken, although every chunk proves itself`() throws {
        let replica = try TestReplica(.snapshots(scratch.sub("data")))
        let honest = try reader.chunks()
        func forge(_ header: SnapshotHeader, _ change: (inout [UInt8]) -> Void) -> [SnapshotChunk] {
            var bytes = honest.flatMap(\.bytes)
            change(&bytes)
            var hash = SnapshotHash(header)
            return (0..<header.chunkCount).map { index in
                let piece = Array(bytes[header.range(of: index)])
                hash.add(piece)
                return SnapshotChunk(index: index, hash: hash.value, bytes: piece)
            }
        }
        var later = reader.header
        later.mark.position = later.mark.position.next
        let forged: [(SnapshotHeader, [SnapshotChunk])] = [
            (later, forge(later) { _ in }),
            (reader.header, forge(reader.header) { $0[0] = 0 }),
            // A page of a table that points nowhere.
            (
                reader.header,
                forge(reader.header) { bytes in
                    for index in bytes.count - 4_096..<bytes.count { bytes[index] = 0xFF }
                }
            ),
        ]
        for (header, chunks) in forged {
            let writer = try replica.store.importSnapshot(header)
            #expect {
                try writer.write(chunks)
            } throws: {
                guard case .notAsAnnounced = $0 as? SnapshotError else { return false }
                return true
            }
            #expect(throws: SnapshotError.ended) { try writer.write(chunks[0]) }
            #expect(try DurableFile.names(in: scratch.sub("data/incoming")).isEmpty)
        }
        #expect(replica.replica.listener.failures.isEmpty, "the store goes on")
        replica.fill(1)
        try replica.store.close()
        try owner.store.close()
    }
}
