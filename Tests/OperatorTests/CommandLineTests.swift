import ArgumentParser
import ClientProtocol
import HTTPCalls
import OperatorCommands
import Testing

@Suite("The command line of apus")
struct CommandLineTests {
    @Test(arguments: [
        ("http://127.0.0.1:7420", "127.0.0.1", 7420), ("http://node.example:80/", "node.example", 80),
        ("localhost:9", "localhost", 9), ("http://[::1]:7420", "::1", 7420),
        ("http://node.example", "node.example", 80),
        ("[::1]", "::1", 80),
    ])
    func nodesAreNamedByURLOrHostAndPort(_ text: String, _ host: String, _ port: Int) {
        #expect(NodeLocation(argument: text) == NodeLocation(host: host, port: port))
    }

    @Test(arguments: ["", "http://", "https://a:1", "a:0", "a:70000", ":80", "a:b", "http://a:1/path"])
    func otherwiseTheNodeIsRefused(_ text: String) {
        #expect(NodeLocation(argument: text) == nil)
    }

    @Test(arguments: [
        ["status"], ["status", "--json", "--node", "http://127.0.0.1:1"], ["actors", "list"],
        ["actors", "list", "--kind", "order", "--limit", "1000", "--after", "order/a%2Fb/c"],
        ["actors", "show", "order", "a", "b"], ["runs", "show", "order", "o-1", "--json"],
        ["runs", "watch", "order", "o-1", "--every", "2"], ["runs", "show", "order", "--", "-1"],
        ["cluster", "init"], ["cluster", "show", "--json"], ["cluster", "nodes"],
        ["cluster", "init", "--node", "a:1", "--seed", "b:1", "--seed", "c:1", "--partitions", "1024"],
        ["cluster", "init", "--replication-factor", "3", "--in-sync-min", "2", "--voters", "5"],
        ["cluster", "init", "--wait", "60", "--once"],
        ["cluster", "join", "http://a:1", "--token-file", "-"],
        ["cluster", "token"], ["cluster", "token", "--uses", "2", "--hours", "1", "--file", "t"],
        ["cluster", "token", "list"], ["cluster", "token", "revoke", "00ff"],
        ["cluster", "partitions", "--troubled", "--on", "3"],
        ["cluster", "promote", "--down", "2"], ["cluster", "promote", "7", "2"],
        ["cluster", "promote", "7", "2", "--accept-data-loss"], ["cluster", "move", "7", "2", "3"],
    ])
    func whatIsDocumentedIsUnderstood(_ arguments: [String]) throws {
        _ = try OperatorCommand.parseAsRoot(arguments)
    }

    @Test(arguments: [
        ["actors", "list", "--limit", "0"], ["actors", "list", "--after", "order"],
        ["actors", "list", "--kind", "a b"],
        ["actors", "show", "order"], ["runs", "show", "no/kind", "x"],
        ["runs", "watch", "order", "o", "--every", "0"],
        ["runs", "show", "order", "1", "2", "3", "4", "5", "6", "7", "8", "9"], ["nonsense"],
        ["status", "--node", "ftp://x"],
        ["cluster", "join", "http://a:1"], ["cluster", "join", "--token-file", "t"],
        ["cluster", "init", "--seed", "https://a"], ["cluster", "init", "--wait", "-1"],
        ["cluster", "token", "--uses", "0"], ["cluster", "token", "--hours", "721"],
        ["cluster", "token", "revoke", "x/y"], ["cluster", "promote"], ["cluster", "promote", "7"],
        ["cluster", "promote", "7", "2", "--down", "2"],
        ["cluster", "promote", "--down", "2", "--accept-data-loss"],
        ["cluster", "move", "7"], ["cluster", "move", "7", "2", "2"], ["cluster", "move", "-1", "2"],
    ])
    func wrongArgumentsEndWith64(_ arguments: [String]) {
        do {
            _ = try OperatorCommand.parseAsRoot(arguments)
            Issue.record("\(arguments) was understood")
        } catch {
            #expect(OperatorCommand.exitCode(for: error) == .validationFailure)
            #expect(OperatorCommand.exitCode(for: error).rawValue == 64)
        }
    }

    @Test func helpSaysTheExitCodes() {
        let help = OperatorCommand.helpMessage()
        for text in ["0   done", "1   the node says no", "64  wrong arguments", "69  no node can be reached"]
        {
            #expect(help.contains(text))
        }
    }

    @Test func failuresAreSentencesWithAnExitCode() {
        let away = OperatorFailure.unreachable(.standard, .unreachable("nothing listens there"))
        #expect(away.exitCode == 69)
        #expect(
            away.description == "there is no node at http://127.0.0.1:7420 (nothing listens there); "
                + "start one, or name another with --node URL or APUS_NODE")
        let no = OperatorFailure.refused(.kindNotFound("x", known: ["b", "a"]))
        #expect(no.exitCode == 1)
        #expect(no.description == "there is no actor kind \"x\"; known are: a, b")
    }

    @Test func aNodeThatIsNotThereIsUnreachable() async {
        // Port 1 needs rights that no test has.
        let node = NodeConnection(NodeLocation(host: "127.0.0.1", port: 1))
        await #expect(throws: OperatorFailure.self) { _ = try await node.get("/status") }
        do throws(OperatorFailure) { _ = try await node.get("/status") } catch {
            #expect(error.exitCode == 69)
        }
    }
}
