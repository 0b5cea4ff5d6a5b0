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
            "--in-flight", "3", "--requests", "30", "--orders", "50", "--patience", "2.5", "--json",
            "--keyed", "4", "--transfers", "6", "--accounts", "7", "--timers", "8", "--timers-from", "40",
            "--timers-until", "60", "--outside", "http://127.0.0.1:7500",
        ]
        let settings = try LoadCommand.parse(arguments).settings
        #expect(settings.seed == 9 && settings.actors == 5 && settings.inFlight == 3)
        #expect(settings.operationsMax == 100 && settings.duration == nil)
        #expect(settings.patience == .milliseconds(2_500))
        #expect(settings.keyedPercent == 4 && settings.transfersPercent == 6 && settings.accounts == 7)
        #expect(settings.timers == 8 && settings.timersDue == .seconds(40) ... .seconds(60))
        #expect(try LoadCommand.parse([]).settings.duration == .seconds(10))
        #expect(try LoadCommand.parse(["--seconds", "3"]).settings.operationsMax == nil)
        #expect(try LoadCommand.parse(["--seconds", "3"]).settings.timersDue == .zero ... .seconds(3))
    }

    @Test("The command that a failed verdict names asks the same again")
    func theSameAgain() throws {
        let command = try LoadCommand.parse([
            "--node", "b:7420", "--seed", "9", "--actors", "5", "--operations", "100", "--timers", "3",
            "--outside", "c:7500",
        ])
        let words = command.commandLine.split(separator: " ").map(String.init)
        let again = try LoadCommand.parse(Array(words.dropFirst()))
        #expect(words[0] == "apus-load" && again.commandLine == command.commandLine)
        func operations(_ settings: LoadSettings) -> [LoadOperation] {
            var program = LoadProgram(settings)
            return (0..<103).compactMap { _ in program.next() ?? program.nextAlarm(after: .zero) }
        }
        #expect(operations(again.settings) == operations(command.settings))
    }

    @Test(arguments: [
        ["--actors", "0"], ["--in-flight", "5001"], ["--seconds", "0"], ["--operations", "-1"],
        ["--requests", "60", "--orders", "31"], ["--timers", "100001"],
        ["--timers-from", "9", "--timers-until", "8"], ["--timers-until", "nan"], ["--accounts", "1"],
        ["--patience", "nan"], ["--seed", "-1"],
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
