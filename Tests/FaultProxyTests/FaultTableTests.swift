import Testing

@testable import FaultProxy

@Suite("Commands of the proxy")
struct FaultTableTests {
    private static func table() throws -> FaultTable {
        try FaultTable([
            FaultTable.Node(name: "a", source: "127.0.0.11"),
            FaultTable.Node(name: "b", source: "127.0.0.12"),
            FaultTable.Node(name: "c", source: nil),
        ])
    }

    private static func faulty(_ table: FaultTable) -> Set<String> {
        let names = ["a", "b", "c", FaultTable.outside]
        return Set(
            names.flatMap { from in
                names.filter { table[FaultTable.Direction(from: from, to: $0)] != .none }
                    .map { "\(from)\($0)" }
            })
    }

    @Test("Who dials is known by its address")
    func diallers() throws {
        let table = try Self.table()
        #expect(table.dialler(at: "127.0.0.12") == "b")
        #expect(table.dialler(at: "127.0.0.1") == "outside")
    }

    @Test("set is one way, cut is both, heal takes back, and * and lists stand for several")
    func commands() throws {
        var table = try Self.table()
        #expect(try table.handle("set a b delay=1.5s rate=1000") == [.faultsChanged])
        #expect(Self.faulty(table) == ["ab"])
        #expect(table[FaultTable.Direction(from: "a", to: "b")].delay == .milliseconds(1_500))
        _ = try table.handle("cut a b,c")
        #expect(Self.faulty(table) == ["ab", "ac", "ba", "ca"])
        _ = try table.handle("set a *")
        #expect(Self.faulty(table) == ["ba", "ca"])
        _ = try table.handle("heal b a")
        #expect(Self.faulty(table) == ["ca"])
        #expect(
            try table.handle("status").first
                == .answer([
                    "node a from 127.0.0.11", "node b from 127.0.0.12", "node c from anywhere",
                    "fault c > a: cut",
                ]))
        _ = try table.handle("set * * loss=0.1")
        #expect(Self.faulty(table).count == 12)
        _ = try table.handle("heal")
        #expect(Self.faulty(table).isEmpty)
        guard case .reset(let directions) = try table.handle("reset a b").first else {
            Issue.record("no reset")
            return
        }
        #expect(
            directions == [
                FaultTable.Direction(from: "a", to: "b"), FaultTable.Direction(from: "b", to: "a"),
            ])
    }

    @Test(
        "A fault is written as it is read",
        arguments: [
            "none", "cut", "swallow delay=5.0ms", "delay=50.0ms jitter=2.5ms loss=0.25 reset=0.5 rate=9",
        ])
    func text(fault: String) throws {
        let words = fault == "none" ? [] : fault.split(separator: " ")
        #expect(try LinkFault(words: words).description == fault)
    }

    @Test(
        "What cannot be followed is refused with a sentence, and changes nothing",
        arguments: [
            ("", "try help"), ("cat a b", "is no command"), ("set a", "set FROM TO"), ("cut a", "cut A B"),
            ("cut a d", "no node is called \"d\": there are a, b, c, outside"), ("cut a a", "is nothing"),
            ("set a b delay=61s", "60s at the most"), ("set a b delay=-1ms", "50ms or 1.5s"),
            ("set a b delay=nan", "50ms"), ("set a b loss=1.1", "from 0 to 1"),
            ("set a b rate=0", "1 or more"),
            ("set a b fast", "is no fault"), ("heal a", "heal A B"), ("set a,, b cut", "called \"\""),
        ])
    func refused(command: String, words: String) throws {
        var table = try Self.table()
        let error = #expect(throws: ControlError.self) { try table.handle(command) }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
        #expect(Self.faulty(table).isEmpty)
    }

    @Test("Nodes that cannot be told apart are refused")
    func nodes() {
        #expect(throws: ControlError.self) { try FaultTable([]) }
        for (first, second) in [("a", "a"), ("a", "outside"), ("a", "b,c"), ("a", "")] {
            #expect(throws: ControlError.self) {
                try FaultTable([.init(name: first, source: nil), .init(name: second, source: nil)])
            }
        }
        #expect(throws: ControlError.self) {
            try FaultTable([.init(name: "a", source: "::1"), .init(name: "b", source: "::1")])
        }
    }
}
