import Foundation
import Testing

@Suite("Documented HTTP") struct DocumentedHTTPTests {
    @Test("A62: the exchanges in docs/protocol.md happen as written")
    func vectors() async throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: "docs/protocol.md"), encoding: .utf8)
        let block = try #require(
            text.split(separator: "```vectors http\n").last?.split(separator: "```").first)
        let lines = block.split(separator: "\n")
        #expect(lines.count > 10)
        try await RunningGateway.with { running in
            let http = try await running.connect()
            for line in lines {
                let sides = line.split(separator: " -> ")
                let asked = sides[0].split(separator: " ", maxSplits: 2).map(String.init)
                let answer = try await http.ask(asked[0], asked[1], asked.count > 2 ? asked[2] : nil)
                #expect("\(answer.status) \(answer.body)" == sides[1], "\(line)")
            }
        }
    }
}
