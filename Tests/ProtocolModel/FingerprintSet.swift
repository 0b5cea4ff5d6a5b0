/// A set of hashes with open addressing; a `Set` would hash the hashes.
struct FingerprintSet {
    private var slots: [UInt64]
    private var mask: Int
    private(set) var count = 0

    init() {
        slots = [UInt64](repeating: 0, count: 1 << 12)
        mask = slots.count - 1
    }

    /// Whether it was new.
    mutating func insert(_ fingerprint: UInt64) -> Bool {
        if count * 2 > slots.count { grow() }
        // Zero marks a free slot.
        let fingerprint = max(fingerprint, 1)
        var place = Int(truncatingIfNeeded: fingerprint) & mask
        while slots[place] != 0 {
            if slots[place] == fingerprint { return false }
            place = (place + 1) & mask
        }
        slots[place] = fingerprint
        count += 1
        return true
    }

    private mutating func grow() {
        let old = slots
        slots = [UInt64](repeating: 0, count: old.count * 2)
        mask = slots.count - 1
        count = 0
        for fingerprint in old where fingerprint != 0 { _ = insert(fingerprint) }
    }
}
