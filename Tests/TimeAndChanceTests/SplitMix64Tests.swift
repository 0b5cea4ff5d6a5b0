import Testing
import TimeAndChance

@Suite("SplitMix64")
struct SplitMix64Tests {
    /// Vigna's reference implementation (prng.di.unimi.it/splitmix64.c) with this seed.
    @Test func yieldsTheReferenceNumbers() {
        var random = SplitMix64(seed: 1_234_567)
        #expect(
            (0..<5).map { _ in random.next() } == [
                6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
                4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
            ])
        var zero = SplitMix64(seed: 0)
        #expect(
            (0..<3).map { _ in zero.next() } == [
                0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F,
            ])
    }

    @Test func aCopyGoesItsOwnWay() {
        var random = SplitMix64(seed: 7)
        var copy = random
        let fromRandom = (0..<3).map { _ in random.next() }
        let fromCopy = (0..<3).map { _ in copy.next() }
        #expect(fromRandom == fromCopy)
    }
}
