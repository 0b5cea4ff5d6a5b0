import Identifiers

/// Rumours that ride on messages until enough of them have left: one for each node, the newest, and those
/// that were sent least go first (SWIM, 4.1).
struct RumourQueue: Sendable {
    private struct Entry: Comparable {
        var rumour: Rumour
        var transmissions: Int
        /// Among those that were sent equally often the newest goes first.
        var order: UInt64

        static func < (a: Self, b: Self) -> Bool { (a.transmissions, b.order) < (b.transmissions, a.order) }
        static func == (a: Self, b: Self) -> Bool { a.order == b.order }
    }

    private var entries: [NodeID: Entry] = [:]
    private var nextOrder: UInt64 = 0

    var isEmpty: Bool { entries.isEmpty }
    var count: Int { entries.count }

    /// Replaces what is said about the same node.
    mutating func add(_ rumour: Rumour) {
        entries[rumour.node] = Entry(rumour: rumour, transmissions: 0, order: nextOrder)
        nextOrder += 1
    }

    mutating func remove(_ node: NodeID) { entries[node] = nil }

    /// Takes rumours for one message; each leaves the queue after its last transmission.
    mutating func take(_ count: Int, transmissionsMax: Int, besides node: NodeID) -> [Rumour] {
        guard !entries.isEmpty, count > 0 else { return [] }
        // The first few in order, without sorting what may be as many as there are nodes.
        var chosen: [Entry] = []
        for entry in entries.values where entry.rumour.node != node {
            if chosen.count >= count {
                guard let last = chosen.last, entry < last else { continue }
                chosen.removeLast()
            }
            let place = chosen.lastIndex { $0 < entry }.map { $0 + 1 } ?? 0
            chosen.insert(entry, at: place)
        }
        for entry in chosen {
            let sent = entry.transmissions + 1
            entries[entry.rumour.node]?.transmissions = sent
            if sent >= transmissionsMax { entries[entry.rumour.node] = nil }
        }
        return chosen.map(\.rumour)
    }
}
