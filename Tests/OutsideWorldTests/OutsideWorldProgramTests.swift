import Foundation
import Testing

/// The program itself, as a process: what scripts and other tests rely on.
@Suite("The program outside-world", .timeLimit(.minutes(1)))
struct OutsideWorldProgramTests {
    @Test(arguments: [SIGTERM, SIGINT])
    func announcesItselfAndEndsCleanly(signal: Int32) async throws {
        let (process, output) = try start("--listen", "127.0.0.1:0")
        defer { process.terminate() }
        var line = Data()
        while !line.contains(UInt8(ascii: "\n")) {
            let more = output.availableData
            try #require(!more.isEmpty, "it ended without announcing itself")
            line += more
        }
        let text = String(decoding: line, as: UTF8.self)
        #expect(text.hasPrefix("outside-world listening on 127.0.0.1:"))
        let port = try #require(Int(text.split(separator: ":").last?.dropLast() ?? ""))
        #expect(port > 0)
        kill(process.processIdentifier, signal)
        process.waitUntilExit()
        #expect(process.terminationReason == .exit)
        #expect(process.terminationStatus == 0)
    }

    @Test(arguments: ["nonsense", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:-1", "256.0.0.1:0"])
    func refusesAnAddressThatIsNone(listen: String) throws {
        let (process, output) = try start("--listen", listen)
        let said = output.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus != 0)
        #expect(!String(decoding: said, as: UTF8.self).contains("listening"))
    }

    /// Starts the program that was built beside these tests.
    private func start(_ arguments: String...) throws -> (Process, FileHandle) {
        let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let process = Process()
        process.executableURL = tests.deletingLastPathComponent().appendingPathComponent("outside-world")
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        return (process, pipe.fileHandleForReading)
    }
}
