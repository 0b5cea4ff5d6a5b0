import ByteCoding
import Identifiers
import Testing
import TimeAndChance

@Suite("The body of a turn's record")
struct TurnBodyTests {
    /// Every operation beside its bytes. These never change: journals on disk are read by every later
    /// version.
    static let golden: [(operation: TurnOperation, bytes: [UInt8])] = [
        (
            .create(address("order", ["a/b", ""]), time: 300),
            [1, 5] + Array("order".utf8) + [2, 3] + Array("a/b".utf8) + [0, 0xAC, 0x02]
        ),
        (.set(.state, [7, 8]), [2, 1, 2, 7, 8]),
        (.set(.run, []), [2, 2, 0]),
        (.set(.input, [1]), [2, 3, 1, 1]),
        (.wake(at: nil), [3, 0]),
        (.wake(at: 0), [3, 1, 0]),
        (.wake(at: 128), [3, 1, 0x80, 1]),
        (.put(.history, id: [1], [2, 3]), [4, 1, 1, 1, 2, 2, 3]),
        (.put(.message, id: TurnOperation.itemID(258), []), [4, 2, 8, 0, 0, 0, 0, 0, 0, 1, 2, 0]),
        (.delete(.completion, id: [9]), [5, 3, 1, 9]),
        (.deleteRange(.deduplication, from: [1], through: [2, 2]), [6, 4, 1, 1, 2, 2, 2]),
        (.destroy, [7]),
        (.ofPartition(.put(.outbox, id: [1], [2])), [8, 4, 7, 1, 1, 1, 2]),
        (.ofPartition(.delete(.inbox, id: [9])), [8, 5, 8, 1, 9]),
        (.ofPartition(.deleteRange(.outbox, from: [1], through: [2])), [8, 6, 7, 1, 1, 1, 2]),
        (.put(.undelivered, id: [1], []), [4, 9, 1, 1, 0]),
    ]

    static func address(_ kind: String, _ parts: [String]) -> ActorAddress {
        do { return ActorAddress(kind: try ActorKind(kind), key: try ActorKey(parts)) } catch {
            fatalError("the sample address is wrong: \(error)")
        }
    }

    static var everything: [UInt8] {
        var body = TurnBody(actor: ActorID(rawValue: 300))
        for (operation, _) in golden { body.append(operation) }
        return body.bytes
    }

    @Test func operationsHaveGoldenBytes() throws {
        for (operation, bytes) in Self.golden {
            var body = TurnBody(actor: nil)
            #expect(body.isEmpty)
            body.append(operation)
            #expect(body.bytes == [0] + bytes, "\(operation)")
            #expect(body.byteCount == bytes.count + 1)
            let decoded = try TurnBody.decode(body.bytes)
            #expect(decoded.actor == nil)
            #expect(decoded.operations == [operation])
        }
    }

    @Test func aWholeTurnRoundTrips() throws {
        let decoded = try TurnBody.decode(Self.everything)
        #expect(decoded.actor == ActorID(rawValue: 300))
        #expect(decoded.operations == Self.golden.map(\.operation))
        #expect(Self.everything == [0xAC, 0x02] + Self.golden.flatMap(\.bytes))
    }

    /// Cut at the end of an operation, bytes are a shorter turn; the record's checksum guards against that.
    @Test func everyTruncationInsideAnOperationIsAnError() throws {
        let bytes = Self.everything
        var ends: Set<Int> = [2]
        for (_, operation) in Self.golden { ends.insert(ends.max().map { $0 + operation.count } ?? 0) }
        for count in 0..<bytes.count {
            if ends.contains(count) {
                #expect(try TurnBody.decode(Array(bytes[..<count])).operations.count < Self.golden.count)
            } else {
                #expect(throws: WireError.self, "\(count) bytes") {
                    try TurnBody.decode(Array(bytes[..<count]))
                }
            }
        }
    }

    @Test func unknownTagsAreErrors() throws {
        #expect(throws: WireError.unknown(what: "turn operation", value: 0)) { try TurnBody.decode([0, 0]) }
        #expect(throws: WireError.unknown(what: "turn operation", value: 9)) { try TurnBody.decode([0, 9]) }
        #expect(throws: WireError.unknown(what: "actor field", value: 4)) {
            try TurnBody.decode([0, 2, 4, 0])
        }
        #expect(throws: WireError.unknown(what: "item space", value: 11)) {
            try TurnBody.decode([0, 5, 11, 0])
        }
        for (index, space) in ItemSpace.allCases.enumerated() {
            let bytes: [UInt8] = [0, 5, UInt8(index + 1), 1, 9]
            #expect(try TurnBody.decode(bytes).operations == [.delete(space, id: [9])])
        }
        #expect(throws: WireError.tooLong(what: "actor key", count: 9, limit: 8)) {
            try TurnBody.decode([0, 1, 1, 97, 9])
        }
    }

    @Test func onlyItemsBelongToAPartition() {
        // A creation, a field, a time, an end, another level, and nothing.
        for bytes: [UInt8] in [
            [0, 8, 1, 1, 97, 1, 1, 97, 0], [0, 8, 2, 1, 0], [0, 8, 3, 0], [0, 8, 7], [0, 8, 8, 5, 7, 1, 9],
            [0, 8],
        ] {
            #expect(throws: WireError.invalid("only items belong to a partition")) {
                try TurnBody.decode(bytes)
            }
        }
    }

    @Test func addressesOutsideOfTheirRulesAreErrors() {
        for bytes: [UInt8] in [[0, 1, 0, 1, 0, 0], [0, 1, 1, 32, 1, 0, 0], [0, 1, 1, 97, 0, 0]] {
            #expect(throws: WireError.self) { try TurnBody.decode(bytes) }
        }
    }

    @Test func itemNumbersKeepTheirOrderAsBytes() throws {
        let numbers: [UInt64] = [0, 1, 255, 256, 65_535, 1 << 32, .max - 1, .max]
        let ids = numbers.map(TurnOperation.itemID)
        for (lower, upper) in zip(ids, ids.dropFirst()) { #expect(lower.lexicographicallyPrecedes(upper)) }
        #expect(try ids.map { id in try TurnOperation.itemNumber(id) } == numbers)
        #expect(throws: WireError.self) { try TurnOperation.itemNumber([1, 2, 3]) }
        #expect(throws: WireError.self) { try TurnOperation.itemNumber([UInt8](repeating: 0, count: 9)) }
    }

    @Test func randomBytesNeverTrap() {
        var random = SplitMix64(seed: 11)
        for _ in 0..<100_000 {
            let count = Int(truncatingIfNeeded: random.next() % 40)
            var bytes = [UInt8](repeating: 0, count: count)
            for index in bytes.indices {
                // Small values are tags and lengths, which lead deeper than noise does.
                let value = random.next()
                bytes[index] = UInt8(truncatingIfNeeded: value >> 8) & (value & 1 == 0 ? 0x0F : 0xFF)
            }
            _ = try? TurnBody.decode(bytes)
        }
    }
}
