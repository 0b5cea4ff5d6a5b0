import Identifiers
import Testing
import TimeAndChance

@Suite("A1: kinds and keys")
struct ActorAddressTests {
    @Test(arguments: ["a", "Order", "order-processor", "order_2", "0", String(repeating: "k", count: 64)])
    func acceptsKinds(name: String) throws {
        #expect(try ActorKind(name).name == name)
    }

    @Test(arguments: ["a b", "a/b", "é", "a.b", "🛒", "a\0", "a%20", "ａ"])
    func refusesOtherCharactersInKinds(name: String) {
        #expect(throws: AddressError.kindCharacter(name)) { try ActorKind(name) }
    }

    @Test func refusesEmptyAndLongKinds() {
        #expect(throws: AddressError.kindEmpty) { try ActorKind("") }
        #expect(throws: AddressError.kindTooLong(bytes: 65)) {
            try ActorKind(String(repeating: "k", count: 65))
        }
    }

    @Test(arguments: [
        ([""], ""), (["a"], "a"), (["a", "b"], "a/b"), (["a/b"], "a%2Fb"), (["", ""], "/"),
        (["a", "", "b"], "a//b"), (["", "a", ""], "/a/"), (["🛒"], "%F0%9F%9B%92"), (["%2F"], "%252F"),
        (["a b+c"], "a%20b%2Bc"), (["-_.~"], "-_.~"), (["\0\n"], "%00%0A"), (["..", "."], "../."),
        (["e\u{301}"], "e%CC%81"), (["\u{e9}"], "%C3%A9"),
    ])
    func keysHaveAPathForm(parts: [String], path: String) throws {
        let key = try ActorKey(parts)
        #expect(key.description == path)
        #expect(ActorKey(path: path) == key)
    }

    @Test(arguments: [
        "%", "%4", "a%", "%G0", "%0G", "%+1", "%-0", "% 1", "%FF", "%C3", "%ED%A0%80", "%C0%80", "a/%zz/b",
        "1/2/3/4/5/6/7/8/9", String(repeating: "a", count: 129),
    ])
    func refusesBrokenPaths(path: String) {
        #expect(ActorKey(path: path) == nil)
    }

    @Test func readsEscapesInEitherCaseAndRawText() throws {
        #expect(try ActorKey(path: "%c3%a9") == ActorKey(["é"]))
        #expect(try ActorKey(path: "é") == ActorKey(["é"]))
        #expect(try ActorKey(path: "%61") == ActorKey(["a"]))
    }

    @Test func aCombiningMarkDoesNotHideASlash() throws {
        #expect(try ActorKey(path: "a/\u{301}b") == ActorKey(["a", "\u{301}b"]))
    }

    @Test func keysHaveLimits() throws {
        #expect(throws: AddressError.keyPartCount(0)) { try ActorKey([]) }
        #expect(throws: AddressError.keyPartCount(9)) { try ActorKey(Array(repeating: "", count: 9)) }
        #expect(throws: AddressError.keyPartTooLong(index: 1, bytes: 132)) {
            try ActorKey(["a", String(repeating: "🛒", count: 33)])
        }
        _ = try ActorKey(Array(repeating: String(repeating: "🛒", count: 32), count: 8))
    }

    @Test func keysCompareByBytesNotByUnicodeEquivalence() throws {
        let composed = try ActorKey(["\u{e9}"])
        let decomposed = try ActorKey(["e\u{301}"])
        #expect(composed.parts == decomposed.parts, "the strings themselves are equal")
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed]).count == 2)
        #expect(composed < decomposed || decomposed < composed)
    }

    @Test func partsDoNotRunTogether() throws {
        let keys = try [["ab"], ["a", "b"], ["", "ab"], ["ab", ""], ["a/b"], ["a", "", "b"]]
            .map { try ActorKey($0) }
        #expect(Set(keys).count == keys.count)
        #expect(Set(keys.map(\.description)).count == keys.count)
        let ring = try #require(HashRing(partitionCount: 65_536, seed: (1, 2)))
        let kind = try ActorKind("k")
        #expect(Set(keys.map { ring.partition(of: ActorAddress(kind: kind, key: $0)) }).count == keys.count)
    }

    @Test func randomKeysRoundTripThroughTheirPath() throws {
        var random = SplitMix64(seed: 1)
        var previous = try ActorKey([""])
        for _ in 0..<5000 {
            let key = try ActorKey(
                (0..<Int.random(in: 1...8, using: &random)).map { _ -> String in
                    let scalars = (0..<Int.random(in: 0...30, using: &random)).compactMap {
                        _ -> UnicodeScalar? in
                        let largest: UInt32 = Bool.random(using: &random) ? 0x7F : 0x10FFFF
                        return UnicodeScalar(UInt32.random(in: 0...largest, using: &random))
                    }
                    return String(String.UnicodeScalarView(scalars))
                })
            #expect(ActorKey(path: key.description) == key)
            let ascii = key.description.utf8.allSatisfy { $0 < 0x80 }
            #expect(ascii)
            #expect([key < previous, key == previous, previous < key].filter { $0 }.count == 1)
            previous = key
        }
    }

    @Test func addressesOrderByKindThenKey() throws {
        func address(_ kind: String, _ parts: String...) throws -> ActorAddress {
            ActorAddress(kind: try ActorKind(kind), key: try ActorKey(parts))
        }
        let sorted = try [
            address("a", ""), address("a", "", ""), address("a", "b"), address("a", "b", "a"),
            address("a", "c"), address("b", "a"),
        ]
        #expect(sorted.shuffled().sorted() == sorted)
        #expect(try address("order", "a/b", "ü").description == "order/a%2Fb/%C3%BC")
    }

    @Test func errorsSayWhatIsWrong() {
        #expect(AddressError.keyPartCount(9).description == "the key has 9 parts, allowed are 1 to 8")
        #expect("\(AddressError.kindTooLong(bytes: 65))" == "the actor kind has 65 bytes, the limit is 64")
    }
}
