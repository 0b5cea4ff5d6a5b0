/// Which operations were placed.
struct BitSet: Hashable {
    private var words: [UInt64]

    init(count: Int) { words = [UInt64](repeating: 0, count: (count + 63) / 64) }

    mutating func insert(_ place: Int) { words[place / 64] |= 1 << UInt64(place % 64) }
    mutating func remove(_ place: Int) { words[place / 64] &= ~(1 << UInt64(place % 64)) }
}
