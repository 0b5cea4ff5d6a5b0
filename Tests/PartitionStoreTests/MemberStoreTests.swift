import DurableFiles
import Foundation
import Identifiers
import Testing

@testable import PartitionStore

@Suite struct `Directories of members` {
    static func member(_ cluster: UInt64 = 1, node: UInt64 = 2, store: UInt64 = 3) throws -> StoreIdentity {
        StoreIdentity(
            .member, cluster: ClusterID(high: 0, low: cluster), node: NodeID(rawValue: node),
            store: StoreID(high: 0, low: store), incarnation: Incarnation(rawValue: 0),
            ring: try #require(HashRing(partitionCount: 4, seed: (5, 6))))
    }

    /// Formats a directory and lets go of it.
    static func format(_ path: String, as member: StoreIdentity) throws {
        try DurableFile.createDirectory(path)
        let lock = try DirectoryLock(directory: path)
        try PartitionStore.format(directory: path, as: member, holding: lock)
        lock.release()
    }

    static func open(_ path: String, as member: StoreIdentity) throws(StoreError) -> PartitionStore {
        try PartitionStore.open(StoreConfiguration(directory: path, member: member))
    }

    @Test func `R15: an incarnation is the one that was issued, durable before it is used, and never lower`()
        throws
    {
        let scratch = Scratch()
        let (path, member) = (scratch.sub("d"), try Self.member())
        try Self.format(path, as: member)
        var store = try Self.open(path, as: member)
        #expect(store.identity == member)
        try store.recordIncarnation(Incarnation(rawValue: 3))
        #expect(store.identity.incarnation.rawValue == 3)
        // A crash right after finds it.
        let copy = scratch.copy("d", to: "copy")
        #expect(try PartitionStore.storedIdentity(in: copy)?.incarnation.rawValue == 3)
        for lower in 0...3 as ClosedRange<UInt32> {
            #expect(throws: StoreError.self) {
                try store.recordIncarnation(Incarnation(rawValue: lower))
            }
        }
        try store.close()
        // Opening does not count it up.
        store = try Self.open(path, as: member)
        #expect(store.identity.incarnation.rawValue == 3)
        try store.recordIncarnation(Incarnation(rawValue: 7))
        try store.close()
        #expect(try PartitionStore.storedIdentity(in: path)?.incarnation.rawValue == 7)
    }

    @Test func `A node alone counts by itself, and is told so`() throws {
        let scratch = Scratch()
        let store = try PartitionStore.open(StoreConfiguration(directory: scratch.sub("d")))
        #expect(store.identity.role == .alone && store.identity.incarnation.rawValue == 1)
        #expect(throws: StoreError.self) { try store.recordIncarnation(Incarnation(rawValue: 2)) }
        try store.close()
    }

    @Test func `R12: a member's directory is laid out once; without its identity it is not laid out again`()
        throws
    {
        let scratch = Scratch()
        let (path, member) = (scratch.sub("d"), try Self.member())
        try Self.format(path, as: member)
        try Self.format(path, as: member)
        #expect(throws: StoreError.self) { try Self.format(path, as: try Self.member(store: 9)) }
        try FileManager.default.removeItem(atPath: path + "/identity")
        do throws(StoreError) {
            _ = try Self.open(path, as: member)
            Issue.record("opened without an identity")
        } catch { #expect("\(error)".contains("restore this node's data from a replica")) }
        // Nor is an empty one.
        try FileManager.default.createDirectory(
            atPath: scratch.sub("empty"), withIntermediateDirectories: true)
        #expect(throws: StoreError.self) { _ = try Self.open(scratch.sub("empty"), as: member) }
        #expect(try PartitionStore.storedIdentity(in: scratch.sub("empty")) == nil)
    }

    @Test func `Another's directory is refused with a sentence that says whose it is and what to do`() throws
    {
        let scratch = Scratch()
        try PartitionStore.open(StoreConfiguration(directory: scratch.sub("alone"))).close()
        let member = try Self.member()
        try Self.format(scratch.sub("member"), as: member)
        func sentence(_ open: () throws(StoreError) -> PartitionStore) -> String {
            do throws(StoreError) {
                _ = try open()
                return "opened"
            } catch { return "\(error)" }
        }
        let alone = sentence { () throws(StoreError) in try Self.open(scratch.sub("alone"), as: member) }
        #expect(alone.contains("a node alone") && alone.contains("empty directory"))
        let unasked = sentence { () throws(StoreError) in
            try PartitionStore.open(StoreConfiguration(directory: scratch.sub("member")))
        }
        #expect(unasked.contains("of node 2") && unasked.contains("--mesh"))
        for other in [try Self.member(8), try Self.member(node: 8), try Self.member(store: 8)] {
            let text = sentence { () throws(StoreError) in try Self.open(scratch.sub("member"), as: other) }
            #expect(text.contains("two directories were mixed"))
        }
        var ring = member
        ring.ring = try #require(HashRing(partitionCount: 4, seed: (5, 7)))
        let seed = sentence { () throws(StoreError) in try Self.open(scratch.sub("member"), as: ring) }
        #expect(seed.contains("R16"))
        // Nothing of that touched them.
        #expect(try PartitionStore.storedIdentity(in: scratch.sub("alone"))?.incarnation.rawValue == 1)
        try Self.open(scratch.sub("member"), as: member).close()
    }

    @Test func `D30: a lock that was held before goes over to the store, and away with it`() throws {
        let scratch = Scratch()
        let (path, member) = (scratch.sub("d"), try Self.member())
        try Self.format(path, as: member)
        let lock = try DirectoryLock(directory: path)
        let configuration = StoreConfiguration(directory: path, member: member)
        #expect(throws: StoreError.locked(directory: path)) { _ = try PartitionStore.open(configuration) }
        let store = try PartitionStore.open(configuration, holding: lock)
        #expect(throws: StoreError.locked(directory: path)) { _ = try DirectoryLock(directory: path) }
        try store.close()
        _ = try DirectoryLock(directory: path)
    }
}
