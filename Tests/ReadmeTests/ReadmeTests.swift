import Foundation
import Testing

/// The code in README.md compiles. Blocks are named by a comment above them: `<!-- compile: name -->`.
@Suite("The README's code")
struct ReadmeTests {
    /// Whether ApusClient has the typed client that the block `client` uses.
    static let hasTypedClient = true

    @Test func everySwiftBlockIsNamed() throws {
        let readme = try Readme()
        #expect(Set(readme.blocks.keys) == ["package", "shop", "client"])
        #expect(readme.unnamed.isEmpty, "without <!-- compile: name -->: \(readme.unnamed)")
    }

    @Test func thePackageIsAManifestWithOurProducts() throws {
        let folder = try Folder()
        defer { folder.remove() }
        try folder.write(try #require(try Readme().blocks["package"]), to: "Package.swift")
        let (status, output) = try folder.run(["swift", "package", "dump-package"])
        #expect(status == 0, "\(output)")
        let own = try String(
            contentsOf: Folder.repository.appendingPathComponent("Package.swift"), encoding: .utf8)
        for product in ["Apus", "ApusNode", "ApusClient"] {
            #expect(output.contains("\"\(product)\""))
            #expect(own.contains(".library(name: \"\(product)\""))
        }
    }

    @Test func theShopAndItsClientCompile() throws {
        let folder = try Folder()
        defer { folder.remove() }
        let blocks = try Readme().blocks
        try folder.write(try #require(blocks["shop"]), to: "Shop.swift")
        let buy = Self.hasTypedClient ? try #require(blocks["client"]) : "func buy() async throws {}\n"
        try folder.write(buy, to: "Buy.swift")
        let (status, output) = try folder.run(
            ["swiftc", "-typecheck", "-swift-version", "6", "-parse-as-library", "-warnings-as-errors"]
                + Products.compilerFlags() + ["Shop.swift", "Buy.swift"])
        #expect(status == 0, "\(output)")
    }
}

private struct Readme {
    private(set) var blocks: [String: String] = [:]
    /// First lines of Swift blocks that no comment names.
    private(set) var unnamed: [String] = []

    init() throws {
        let text = try String(
            contentsOf: Folder.repository.appendingPathComponent("README.md"), encoding: .utf8)
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)[...]
        var name: String?
        while let line = lines.popFirst() {
            if let match = line.wholeMatch(of: /<!-- compile: (\w+) -->/) {
                name = String(match.1)
            } else if line == "```swift" {
                let body = lines.prefix { $0 != "```" }
                lines = lines.dropFirst(body.count + 1)
                if let name {
                    blocks[name] = body.joined(separator: "\n") + "\n"
                } else {
                    unnamed.append(String(body.first ?? ""))
                }
                name = nil
            } else {
                name = nil
            }
        }
    }
}
