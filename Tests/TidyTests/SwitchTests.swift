import Testing

/// The rules R1 to R19 and those of Raft can be switched off, so that tests show what they are for. Nothing
/// that is shipped may be able to.
@Suite("Rules are switched off in tests only")
struct SwitchTests {
    private static let switches = [
        "ReplicationRules", "DisabledRules", "Mutations", "BrokenRule", "comparesConstants",
        "comparesClusters", "comparesEpochs",
        "leaveOut",
    ]
    /// The cores that keep the rules, what carries the switches to them, and the simulator, which is in no
    /// product; `simulate` is a program for testing.
    private static let knowing: Set = [
        "ReplicationCore", "PlacementCore", "ConsensusCore", "ControlCore", "MeshProtocol", "ClusterHost",
        "ClientRouting",
        "Simulator", "simulate",
    ]

    private static let sources = Result { try Repository.sources() }

    private func places(of word: String) throws -> [(source: SourceText, line: Int)] {
        try Self.sources.get().filter { $0.isSwift && ["Sources", "Examples"].contains($0.folder) }
            .flatMap { source in source.codeLines(with: word).map { (source, $0) } }
    }

    @Test(arguments: switches) func onlyCoresAndTheSimulatorKnowThem(word: String) throws {
        let places = try places(of: word)
        #expect(!places.isEmpty, "there is no \(word) any more")
        for (source, line) in places where !Self.knowing.contains(source.target ?? "") {
            Issue.record("\(source.path):\(line + 1) knows \(word)")
        }
    }

    /// Visible in this package only; the simulator's are public, and it is in no product.
    @Test(arguments: switches) func noneIsPublic(word: String) throws {
        for (source, line) in try places(of: word) where source.target != "Simulator" {
            #expect(!source.codeContains("public", line: line), "\(source.path):\(line + 1) shows \(word)")
        }
    }

    @Test func theSimulatorIsInNoProduct() throws {
        let manifest = try #require(try Self.sources.get().first { $0.path == "Package.swift" })
        let start = try #require(manifest.lines.firstIndex { $0.hasSuffix("products: [") })
        let end = try #require(manifest.lines[start...].firstIndex { $0.hasSuffix("dependencies: [") })
        let products = manifest.lines[start..<end].joined()
        #expect(products.contains("ApusNode") && !products.contains("imulat"))
        for source in try Self.sources.get() where source.text.contains("import Simulator") {
            #expect(source.target == "simulate" || source.isTest, "\(source.path)")
        }
    }
}
