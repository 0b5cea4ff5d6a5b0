import Foundation
import Testing

/// The repository keeps the rules of CONTRIBUTING.md.
@Suite("The house is tidy")
struct TidyTests {
    @Test func everyFileKeepsTheStyleRules() throws {
        let sources = try Repository.sources()
        #expect(sources.contains { $0.path == "Package.swift" })
        #expect(sources.contains { $0.path == "Sources/ByteCoding/ByteReader.swift" })
        for (name, check) in StyleRules.all {
            for breach in sources.flatMap(check) { Issue.record("\(name): \(breach)") }
        }
    }

    @Test func targetsImportOnlyLowerFloors() throws {
        for breach in try Repository.sources().flatMap(Floors.breaches) { Issue.record("\(breach)") }
    }

    @Test func everyFolderOfSourcesIsInTheTableOfFloors() throws {
        let folders = try FileManager.default.contentsOfDirectory(
            atPath: Repository.root.appendingPathComponent("Sources").path)
        for folder in folders where !folder.hasPrefix(".") {
            #expect(Floors.floor(of: folder) != nil, "\(folder) is not in the table of floors")
        }
    }
}

/// The files that people write.
enum Repository {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private static let folders = [
        "Sources", "Tests", "Examples", "Benchmarks", "Scripts", "docs", "deploy", ".ci",
    ]
    private static let files = [
        "Package.swift", "Makefile", "README.md", "CONTRIBUTING.md", ".swift-format", ".editorconfig",
        ".gitignore",
    ]
    private static let endings = [
        "swift", "c", "h", "md", "sh", "yml", "yaml", "json", "modulemap", "css", "js", "ts",
    ]

    static func sources() throws -> [SourceText] {
        var paths = files.filter {
            FileManager.default.fileExists(atPath: root.appendingPathComponent($0).path)
        }
        for folder in folders { paths += listing(folder) }
        return try paths.map { try SourceText(root: root, path: $0) }
    }

    private static func listing(_ folder: String) -> [String] {
        let url = root.appendingPathComponent(folder)
        guard let walk = FileManager.default.enumerator(atPath: url.path) else { return [] }
        var paths: [String] = []
        for case let path as String in walk {
            let name = path.split(separator: "/").last.map(String.init) ?? path
            if name.hasPrefix(".") || name == "node_modules" || name == "results" {
                walk.skipDescendants()
                continue
            }
            let pieces = name.split(separator: ".")
            // A file without an ending is a script.
            let isText =
                pieces.count == 1
                ? ["Scripts", ".ci"].contains(folder) : endings.contains(String(pieces.last ?? ""))
            var isFolder: ObjCBool = false
            let full = url.appendingPathComponent(path).path
            guard isText, FileManager.default.fileExists(atPath: full, isDirectory: &isFolder) else {
                continue
            }
            if !isFolder.boolValue { paths.append("\(folder)/\(path)") }
        }
        return paths
    }
}
