import Identifiers
import Testing
import TimeAndChance

@testable import PlacementCore

@Suite("Nodes follow the map")
struct MapFollowingTests {
    /// A control plane with some history, and the updates that a follower at each version would get.
    private func plane() -> ControlPlane {
        var plane = ControlPlane(nodes: 3)
        plane.promote(0, to: 1)
        plane.replicate(0, to: 2)
        plane.down(1)
        plane.promote(0, to: 2)
        return plane
    }

    @Test("I9: from every version there is a way to the newest, by deltas where they are kept")
    func fromEveryVersion() {
        let plane = plane()
        #expect(plane.log.updates(after: plane.map.version, of: plane.map) == [])
        let nothing = plane.log.updates(after: MapVersion(rawValue: 0), of: plane.map)
        #expect(nothing == [.snapshot(plane.map)])
        var follower = MapFollower()
        #expect(follower.follow(nothing[0]) == .followed && follower.map == plane.map)
        for version in 1..<plane.map.version.rawValue {
            let updates = plane.log.updates(after: MapVersion(rawValue: version), of: plane.map)
            #expect(updates.count == Int(plane.map.version.rawValue - version))
            #expect(updates.last?.version == plane.map.version)
        }
    }

    @Test("A follower that is too far behind gets the whole map")
    func bounded() {
        var plane = plane()
        var log = MapLog(changesMax: 3)
        var versions: [MapVersion] = []
        for node in 0..<8 {
            versions.append(plane.map.version)
            var state = plane.state
            let entry = ClusterEntry(
                time: .distantFuture,
                commands: [.register(ControlPlane.registration(store: 10 + node))])
            if let update = state.apply(entry, at: plane.index + 1).update { log.append(update) }
            plane.register(store: 10 + node)
        }
        #expect(log.updates(after: versions[7], of: plane.map).count == 1)
        #expect(log.updates(after: versions[5], of: plane.map).count == 3)
        #expect(log.updates(after: versions[4], of: plane.map) == [.snapshot(plane.map)])
    }

    @Test("I9: old updates, gaps and contradictions change nothing")
    func refusals() {
        let plane = plane()
        let all = plane.log.updates(after: MapVersion(rawValue: 1), of: plane.map)
        var behind = MapFollower()
        #expect(behind.follow(all[0]) == .gap)
        var follower = MapFollower()
        #expect(follower.follow(.snapshot(plane.map)) == .followed)
        for update in all + [.snapshot(plane.map)] { #expect(follower.follow(update) == .old) }
        #expect(follower.map == plane.map)

        let next = MapVersion(rawValue: plane.map.version.rawValue + 1)
        let older = ControlPlane(nodes: 2).partition(0)
        let contradictions: [(MapChange, String)] = [
            (.partition(PartitionID(0), older), "partition 0 went back"),
            (.partition(PartitionID(4), older), "partition 4 does not exist"),
            (.left(NodeID(rawValue: 9)), "node 9 left before it came"),
        ]
        for (change, sentence) in contradictions {
            let update = Self.delta(from: plane.map.version, to: next, change)
            #expect(follower.follow(update) == .contradiction(sentence))
            #expect(follower.map == plane.map)
        }
        let gap = Self.delta(from: next, to: MapVersion(rawValue: next.rawValue + 1), contradictions[2].0)
        #expect(follower.follow(gap) == .gap)
    }

    @Test("D29: a map of another cluster is not followed")
    func otherCluster() {
        var follower = MapFollower()
        #expect(follower.follow(.snapshot(ControlPlane(nodes: 1).map)) == .followed)
        let other = ControlPlane(nodes: 3, partitions: 8)
        #expect(follower.follow(.snapshot(other.map)) == .contradiction("another cluster"))
    }

    /// An update that no control plane sends.
    private static func delta(from: MapVersion, to: MapVersion, _ change: MapChange) -> MapUpdate {
        MapUpdate.delta(MapDelta(from: from, to: to, changes: [change]))
    }
}
