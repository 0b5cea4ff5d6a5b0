import Identifiers
import Testing
import TimeAndChance

@Suite("Identifiers of 128 bits")
struct Identifier128Tests {
    @Test func hasTheFormOfAUUID() throws {
        let id = SessionID(high: 0x0123_4567_89ab_cdef, low: 0xfedc_ba98_7654_3210)
        #expect(id.description == "01234567-89ab-cdef-fedc-ba9876543210")
        #expect(SessionID(id.description) == id)
        #expect(SessionID(id.description.uppercased()) == id)
        #expect(SessionID("00000000-0000-0000-0000-000000000000") == SessionID(high: 0, low: 0))
        #expect(SessionID("ffffffff-ffff-ffff-ffff-ffffffffffff") == SessionID(high: .max, low: .max))
    }

    @Test(arguments: [
        "", "0", "01234567-89ab-cdef-fedc-ba987654321", "01234567-89ab-cdef-fedc-ba98765432100",
        "01234567089ab-cdef-fedc-ba9876543210", "0123456-789ab-cdef-fedc-ba9876543210",
        "0123456789abcdeffedcba9876543210", "g1234567-89ab-cdef-fedc-ba9876543210",
        "{1234567-89ab-cdef-fedc-ba987654321}", " 1234567-89ab-cdef-fedc-ba9876543210",
        "é1234567-89ab-cdef-fedc-ba987654321", "+1234567-89ab-cdef-fedc-ba9876543210",
    ])
    func refusesOtherText(text: String) {
        #expect(StoreID(text) == nil)
    }

    @Test func randomOnesAreOfVersionFourAndRoundTrip() {
        var random = SplitMix64(seed: 3)
        var seen: Set<ClusterID> = []
        for _ in 0..<2000 {
            let id = ClusterID.random(using: &random)
            let text = Array(id.description)
            #expect(text[14] == "4")
            #expect("89ab".contains(text[19]))
            #expect(ClusterID(id.description) == id)
            seen.insert(id)
        }
        #expect(seen.count == 2000)
    }

    @Test func orderIsThatOfTheText() {
        var random = SplitMix64(seed: 4)
        let ids = (0..<200).map { _ in StoreID.random(using: &random) }
        #expect(ids.sorted().map(\.description) == ids.map(\.description).sorted())
    }

    @Test func positionsCountUp() {
        #expect(LogPosition.zero.next == LogPosition(rawValue: 1))
        #expect(LogPosition.zero < LogPosition.zero.next)
        #expect(Epoch(rawValue: 1) < Epoch(rawValue: 2))
        #expect(PartitionID(255).rawValue == 255)
    }
}
