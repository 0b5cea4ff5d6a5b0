import ByteCoding
import Identifiers

/// Reduces the turns of many records to the least that must be written: the last value of each field, no item
/// that is deleted later, nothing of an actor that ends.
struct TurnCoalescer {
    struct ItemKey: Hashable, Comparable {
        var space: UInt8
        var id: [UInt8]

        static func < (a: Self, b: Self) -> Bool {
            a.space == b.space ? a.id.lexicographicallyPrecedes(b.id) : a.space < b.space
        }
    }

    struct ItemRange: Hashable {
        var space: UInt8
        var from: [UInt8]
        var through: [UInt8]

        func contains(_ key: ItemKey) -> Bool {
            key.space == space && !key.id.lexicographicallyPrecedes(from)
                && !through.lexicographicallyPrecedes(key.id)
        }
    }

    /// What becomes of one actor. To be written in this order: ranges, then items.
    struct Change {
        var id: ActorID
        /// Set if the actor comes into being here: then the tables have nothing of it.
        var created: (address: ActorAddress, time: UInt64)?
        var isDestroyed = false
        var state: [UInt8]?
        var run: [UInt8]?
        var input: [UInt8]?
        /// Outer nil: unchanged.
        var wake: UInt64??
        var ranges: [ItemRange] = []
        /// Inner nil: delete.
        var items: [ItemKey: [UInt8]?] = [:]

        init(id: ActorID) { self.id = id }
    }

    private(set) var changes: [Change] = []
    private var indexOf: [ActorID: Int] = [:]

    /// Adds the turn of the record at `position`.
    mutating func add(position: LogPosition, body: [UInt8]) throws(WireError) {
        let (actor, operations) = try TurnBody.decode(body)
        var index = actor.map { self.index(of: $0) }
        for operation in operations {
            if case .create(let address, let time) = operation {
                let id = ActorID(rawValue: position.rawValue)
                let made = self.index(of: id)
                changes[made].created = (address, time)
                index = made
            } else if case .ofPartition(let own) = operation {
                changes[self.index(of: .partition)].add(own)
            } else if let index {
                changes[index].add(operation)
            } else {
                throw .invalid("the turn at position \(position.rawValue) names no actor")
            }
        }
    }

    private mutating func index(of id: ActorID) -> Int {
        if let known = indexOf[id] { return known }
        indexOf[id] = changes.count
        changes.append(Change(id: id))
        return changes.count - 1
    }
}

extension TurnCoalescer.Change {
    /// - Precondition: `operation` is neither a creation nor the partition's, which are the coalescer's
    ///   business.
    fileprivate mutating func add(_ operation: TurnOperation) {
        guard !isDestroyed else { return }
        switch operation {
        case .create, .ofPartition:
            break
        case .set(.state, let value):
            state = value
        case .set(.run, let value):
            run = value
        case .set(.input, let value):
            input = value
        case .wake(let time):
            wake = .some(time)
        case .put(let space, let id, let body):
            items[TurnCoalescer.ItemKey(space: space.rawValue, id: id)] = body
        case .delete(let space, let id):
            let key = TurnCoalescer.ItemKey(space: space.rawValue, id: id)
            if created == nil { items.updateValue(nil, forKey: key) } else { items[key] = nil }
        case .deleteRange(let space, let from, let through):
            let range = TurnCoalescer.ItemRange(space: space.rawValue, from: from, through: through)
            let covered = items.keys.filter { range.contains($0) }
            for key in covered { items[key] = nil }
            if created == nil { ranges.append(range) }
        case .destroy:
            let end = (id: id, created: created)
            self = TurnCoalescer.Change(id: end.id)
            created = end.created
            isDestroyed = true
        }
    }
}
