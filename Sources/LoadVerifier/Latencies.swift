import TimeAndChance

/// Times in microseconds, of which so many are kept that ranks can be told: all of the first, then a sample
/// in which each has the same chance to be (Vitter, "Random sampling with a reservoir", 1985, algorithm R).
package struct Latencies: Sendable {
    static let samplesMax = 200_000

    private var samples: [UInt32] = []
    private var count = 0
    private var largest: UInt32 = 0
    private var random = SplitMix64(seed: 0)

    package init() {}

    package mutating func add(_ time: Duration) {
        let (seconds, attoseconds) = time.components
        add(micros: UInt32(clamping: seconds * 1_000_000 + attoseconds / 1_000_000_000_000))
    }

    package mutating func add(micros: UInt32) {
        count += 1
        largest = max(largest, micros)
        if samples.count < Self.samplesMax { return samples.append(micros) }
        let place = Int.random(in: 0..<count, using: &random)
        if place < samples.count { samples[place] = micros }
    }

    /// The times that the given shares do not exceed; the one of 100 is exact.
    package func ranks(_ percents: [Int]) -> [Int] {
        guard !samples.isEmpty else { return percents.map { _ in 0 } }
        let sorted = samples.sorted()
        return percents.map { percent in
            let rank = (sorted.count * percent + 99) / 100
            return Int(percent >= 100 ? largest : sorted[max(1, rank) - 1])
        }
    }
}
