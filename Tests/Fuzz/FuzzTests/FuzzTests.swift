import FuzzTargets
import Testing
import TimeAndChance

@Suite("Every decoder withstands seeded mutations")
struct FuzzTests {
    static let mutations = 4000

    @Test(arguments: FuzzTarget.all.map(\.name))
    func mutatedInputs(name: String) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        var random = SplitMix64(seed: name.utf8.reduce(0) { $0 &* 31 &+ UInt64($1) })
        for input in target.corpus { #expect(target.body(input) == nil, "\(name): \(input)") }
        for _ in 0..<Self.mutations {
            let input = mutated(target.corpus, using: &random)
            if let complaint = target.body(input) { Issue.record("\(name): \(complaint), for \(input)") }
        }
    }

    @Test func namesAreUnique() {
        #expect(Set(FuzzTarget.all.map(\.name)).count == FuzzTarget.all.count)
        #expect(FuzzTarget.all.allSatisfy { !$0.corpus.isEmpty })
    }

    private func mutated(_ corpus: [[UInt8]], using random: inout SplitMix64) -> [UInt8] {
        var bytes = corpus.randomElement(using: &random) ?? []
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let place = Int.random(in: 0...bytes.count, using: &random)
            switch random.next() % 7 {
            case 0 where place < bytes.count: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1 where place < bytes.count: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 2 where place < bytes.count:
                bytes[place] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &random)!
            case 3: bytes.removeLast(bytes.count - place)
            case 4 where place < bytes.count: bytes.remove(at: place)
            case 5: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
            default:
                let other = corpus.randomElement(using: &random) ?? []
                bytes = Array(bytes[..<place] + other[min(place, other.count)...])
            }
        }
        return bytes
    }
}
