import Identifiers
import TimeAndChance

/// What this node thinks of another one, for those who decide and those who look on.
public struct Opinion: Hashable, Sendable {
    public var state: MemberState
    /// The process that is meant.
    public var incarnation: Incarnation
    /// Since when the state holds, by the wall clock: for display.
    public var since: Timestamp
    /// How long it has held, by a clock that does not jump.
    public var age: Duration
    /// What the node said of itself last.
    public var meta: NodeMeta
    /// Whether the map that this node has knows the other one.
    public var isListed: Bool
    /// Nodes that found it silent themselves; some of them, if many did. Empty while it is alive.
    public var accusers: [NodeID]
}

extension Swim {
    /// Whether this node suspects that process, or takes it for unreachable.
    public func doubts(_ node: NodeID, _ incarnation: Incarnation) -> Bool {
        members[node].map { $0.incarnation == incarnation && $0.state != .alive } ?? false
    }

    /// What this node thinks of all others that it knows of.
    /// - Parameters:
    ///   - now: by the clock of `handle`.
    ///   - wall: the same moment by the wall clock.
    public func opinions(now: Duration, wall: Timestamp) -> [NodeID: Opinion] {
        members.mapValues { member in
            let age = max(.zero, now - member.since)
            let micros = UInt64(age.wholeMicroseconds)
            return Opinion(
                state: member.state, incarnation: member.incarnation,
                since: Timestamp(rawValue: wall.rawValue > micros ? wall.rawValue - micros : 0), age: age,
                meta: member.meta, isListed: member.isListed, accusers: member.accusers)
        }
    }
}
