import Foundation

/// What was built together with this test.
enum Products {
    /// The flags that let a source import our modules, without building anything a second time.
    static func compilerFlags() throws -> [String] {
        let products = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
            .deletingLastPathComponent()
        // Importing a module loads what it is made of, the C modules of the dependencies included.
        let checkouts = products.deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("checkouts")
        var maps: [URL] = []
        for target in try contents(Folder.repository.appendingPathComponent("Sources")) {
            maps.append(target.appendingPathComponent("module.modulemap"))
            maps.append(target.appendingPathComponent("include/module.modulemap"))
        }
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
struct Folder {
    /// Where the sources of all of this are.
    static let repository = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

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
