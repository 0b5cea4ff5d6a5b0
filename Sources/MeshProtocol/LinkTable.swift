/// The links by their number: a slot of an array and how often the slot was used, so that looking one up
/// costs no hash and no copy, and a number is never used twice.
struct LinkTable: Sendable {
    private struct Slot {
        var generation: UInt32
        var link: Link?
    }

    private var slots: [Slot] = []
    private var free: [Int] = []
    private(set) var count = 0

    /// In the order of their numbers.
    var ids: [LinkID] {
        slots.indices.filter { slots[$0].link != nil }.map { id($0) }.sorted()
    }

    func reduce<Value>(_ start: Value, _ step: (Value, Link) -> Value) -> Value {
        slots.reduce(start) { value, slot in slot.link.map { step(value, $0) } ?? value }
    }

    private func id(_ slot: Int) -> LinkID {
        LinkID(rawValue: UInt64(slots[slot].generation) << 32 | UInt64(slot))
    }

    private func slot(_ id: LinkID) -> Int? {
        let slot = Int(id.rawValue & 0xFFFF_FFFF)
        return slot < slots.count && UInt64(slots[slot].generation) == id.rawValue >> 32 ? slot : nil
    }

    mutating func insert(_ link: Link) -> LinkID {
        count += 1
        guard let slot = free.popLast() else {
            slots.append(Slot(generation: 1, link: link))
            return id(slots.count - 1)
        }
        slots[slot].generation &+= 1
        slots[slot].link = link
        return id(slot)
    }

    mutating func remove(_ id: LinkID) {
        guard let slot = slot(id), slots[slot].link != nil else { return }
        slots[slot].link = nil
        free.append(slot)
        count -= 1
    }

    /// The link, in place; it comes and goes by `insert` and `remove` only.
    subscript(id: LinkID) -> Link? {
        _read {
            if let slot = slot(id) { yield slots[slot].link } else { yield nil }
        }
        _modify {
            if let slot = slot(id) {
                yield &slots[slot].link
            } else {
                var none: Link?
                yield &none
            }
        }
    }
}
