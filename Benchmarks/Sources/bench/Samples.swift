import Synchronization

/// Durations that many tasks add to.
final class Samples: Sendable {
    static let steps = Samples()
    static let replays = Samples()

    private let nanos = Mutex<[Int64]>([])

    func add(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        nanos.withLock { $0.append(seconds * 1_000_000_000 + attoseconds / 1_000_000_000) }
    }

    func reset() { nanos.withLock { $0 = [] } }

    /// In microseconds, in no order.
    var all: [Double] { nanos.withLock { $0.map { Double($0) / 1_000 } } }

    var count: Int { nanos.withLock { $0.count } }

    /// In microseconds; `share` 0.5 is the median.
    func percentile(_ share: Double) -> Double {
        let sorted = nanos.withLock { $0.sorted() }
        guard !sorted.isEmpty else { return .nan }
        return Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]) / 1_000
    }
}

extension Duration {
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
