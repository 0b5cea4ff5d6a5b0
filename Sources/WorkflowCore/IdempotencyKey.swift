import ByteCoding

/// Names that are the same in every life of a run (W8, W11).
public enum StableNames {
    /// The idempotency key of a step: 32 hexadecimal digits, the same for all attempts of the step in all
    /// lives.
    /// - Parameter run: bytes that name the run in all the world.
    public static func idempotencyKey(run: [UInt8], path: HistoryPath) -> String {
        var writer = ByteWriter(capacity: run.count + 64)
        writer.raw(run)
        path.write(to: &writer)
        let high = XXH64.hash(writer.bytes, seed: 0x6170_7573)
        let low = XXH64.hash(writer.bytes, seed: high)
        return hex(high) + hex(low)
    }

    /// The seed of the random numbers that one scope's code sees, from the `count`-th on.
    public static func seed(run: [UInt8], path: HistoryPath, count: UInt64) -> UInt64 {
        var writer = ByteWriter(capacity: run.count + 64)
        writer.raw(run)
        path.write(to: &writer)
        writer.varint(count)
        return XXH64.hash(writer.bytes, seed: 0x7365_6564)
    }

    private static func hex(_ word: UInt64) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
