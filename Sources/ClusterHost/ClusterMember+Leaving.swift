import Identifiers
import PlacementCore

extension ClusterMember {
    /// How often it is looked whether what is waited for has come.
    private static let look = Duration.milliseconds(10)
    /// A handover during which the map does not change for so long has come to its end: nobody is left who
    /// could take more.
    private static let standstill = Duration.seconds(2)
    /// How long another leader is waited for, and then the word that this process has ended.
    private static let farewellTimeout = Duration.seconds(2)

    /// Gives the partitions that this process owns to others, while it goes on serving: whoever calls their
    /// actors waits for a moment, and nothing else. What has no second copy yet is copied first.
    /// - Parameter limit: after which it ends all the same; whoever is declared down loses what it owns at
    ///   once.
    /// - Returns: how many partitions it still owns.
    public func handOff(within limit: Duration) async -> Int {
        guard let life = await control.leave() else { return 0 }
        var owned = 0
        var seen: (version: MapVersion, at: ContinuousClock.Instant)?
        await wait(limit) { [control] map in
            owned = map.partitions.count { $0.owner == life }
            if seen?.version != map.version { seen = (map.version, .now) }
            let stands = seen.map { ContinuousClock.now - $0.at > Self.standstill } ?? false
            // Steps that run have their time.
            let isStuck = if stands { await !control.isHandingOver } else { false }
            let hasHeir = map.nodes.contains { $0.isUp && $0.id != life.node && $0.profile.weight > 0 }
            return owned == 0 || !hasHeir || isStuck
        }
        return owned
    }

    /// After the host has stopped: nobody needs to find out that this process is gone.
    func sayFarewell() async {
        // Without another voter nobody could hear it.
        guard await control.stopLeading() else { return }
        await wait(Self.farewellTimeout) { [control] _ in await !control.isLeader }
        await wait(Self.farewellTimeout) { [control] _ in await control.sayFarewell() }
    }

    private func wait(_ limit: Duration, until isDone: (ClusterMap) async -> Bool) async {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            if let map = control.maps.map, await isDone(map) { return }
            try? await Task.sleep(for: Self.look)
        }
    }
}
