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
        let own = try String(contentsOf: Readme.root.appendingPathComponent("Package.swift"), encoding: .utf8)
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
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private(set) var blocks: [String: String] = [:]
    /// First lines of Swift blocks that no comment names.
    private(set) var unnamed: [String] = []

    init() throws {
        let text = try String(contentsOf: Self.root.appendingPathComponent("README.md"), encoding: .utf8)
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

/// What was built together with this test.
private enum Products {
    /// The flags that let a source import our modules, without building anything a second time.
    static func compilerFlags() throws -> [String] {
        let products = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
            .deletingLastPathComponent()
        // Importing a module loads what it is made of, the C modules of the dependencies included.
        let checkouts = products.deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("checkouts")
        var maps: [URL] = [Readme.root.appendingPathComponent("Sources/CSQLite/module.modulemap")]
        for folder in try contents(products) where folder.pathExtension == "build" {
            maps.append(folder.appendingPathComponent("module.modulemap"))
        }
        for package in try contents(checkouts) {
            for target in (try? contents(package.appendingPathComponent("Sources"))) ?? [] {
                maps.append(target.appendingPathComponent("include/module.modulemap"))
            }
        }
        let found = maps.filter { FileManager.default.fileExists(atPath: $0.path) }
        return ["-I", products.appendingPathComponent("Modules").path]
            + found.flatMap {
                ["-Xcc", "-fmodule-map-file=\($0.path)", "-Xcc", "-I\($0.deletingLastPathComponent().path)"]
            }
    }

    private static func contents(_ folder: URL) throws -> [URL] {
        try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    }
}

/// A temporary folder.
private struct Folder {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent(
            "apus-readme-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    func remove() { try? FileManager.default.removeItem(at: url) }

    func write(_ text: String, to name: String) throws {
        try text.write(to: url.appendingPathComponent(name), atomically: true, encoding: .utf8)
    }

    /// Runs a program of the toolchain here; returns its status and everything that it said.
    func run(_ words: [String]) throws -> (status: Int32, output: String) {
        let log = url.appendingPathComponent("output.txt")
        try Data().write(to: log)
        let file = try FileHandle(forWritingTo: log)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = words
        process.currentDirectoryURL = url
        // The toolchain leaves lock files in the temporary folder; here they go with the rest.
        process.environment = ProcessInfo.processInfo.environment.merging(["TMPDIR": url.path]) { $1 }
        process.standardOutput = file
        process.standardError = file
        try process.run()
        process.waitUntilExit()
        try file.close()
        return (process.terminationStatus, try String(contentsOf: log, encoding: .utf8))
    }
}
