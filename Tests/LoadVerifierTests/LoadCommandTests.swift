import ArgumentParser
import LoadVerifier
import OperatorCommands
import Testing

@Suite("The command line of apus-load")
struct LoadCommandTests {
    @Test func whatIsDocumentedIsUnderstood() throws {
        let arguments = [
            "--node", "http://127.0.0.1:7420", "--node", "b:7420", "--seed", "9", "--actors", "5",
            "--operations", "100",
            "--in-flight", "3", "--requests", "30", "--orders", "70", "--patience", "2.5", "--json",
        ]
        let settings = try LoadCommand.parse(arguments).settings
        #expect(settings.seed == 9 && settings.actors == 5 && settings.inFlight == 3)
        #expect(settings.operationsMax == 100 && settings.duration == nil)
        #expect(settings.patience == .milliseconds(2_500))
        #expect(try LoadCommand.parse([]).settings.duration == .seconds(10))
        #expect(try LoadCommand.parse(["--seconds", "3"]).settings.operationsMax == nil)
    }

    @Test(arguments: [
        ["--actors", "0"], ["--in-flight", "5001"], ["--seconds", "0"], ["--operations", "-1"],
        ["--requests", "60", "--orders", "41"], ["--patience", "nan"], ["--seed", "-1"],
        ["--node", "ftp://x"], ["more"],
    ])
    func wrongArgumentsEndWith64(_ arguments: [String]) {
        do {
            _ = try LoadCommand.parse(arguments)
            Issue.record("\(arguments) was understood")
        } catch { #expect(LoadCommand.exitCode(for: error).rawValue == 64) }
    }

    @Test func whereNoNodeIsTheExitCodeIs69() async throws {
        // Nothing can listen on port 1 but the system's own.
        let command = try LoadCommand.parse(["--node", "127.0.0.1:1"])
        do {
            try await command.run()
            Issue.record("there was a node")
        } catch { #expect((error as? ExitCode)?.rawValue == 69) }
    }
}
