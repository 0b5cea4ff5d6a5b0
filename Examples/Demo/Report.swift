import Foundation
import OperatorCommands

extension Show {
    /// The table, and what it proves.
    mutating func report(_ tallies: [Tally]) -> Bool {
        var table = TextTable([
            ("PROGRAM", .left), ("RUNS", .right), ("STEPS", .right), ("EFFECTS CALLED", .right),
            ("EFFECTS REPEATED", .right), ("RESULTS LOST", .right), ("DONE TWICE", .right),
        ])
        for tally in tallies {
            table.add(
                Self.row(
                    tally.program, tally.runs, tally.work, tally.called, tally.repeated,
                    tally.lost.count, tally.doubled.count))
        }
        func sum(_ figure: (Tally) -> Int) -> Int { tallies.reduce(0) { $0 + figure($1) } }
        let lost = sum(\.lost.count)
        let doubled = sum(\.doubled.count)
        table.rule()
        table.add(Self.row("all", sum(\.runs), sum(\.work), sum(\.called), sum(\.repeated), lost, doubled))
        screen.print([""] + table.lines(screen.style, indent: "  ") + [""])
        for problem in tallies.flatMap({ $0.lost + $0.doubled }).prefix(20) {
            screen.print(["  " + screen.style(.red, problem)])
        }
        screen.print([
            "  Steps include turns. An effect is repeated if the kill came between its call and its record:",
            "  it is asked for again under the same idempotency key, by which the service knows it.", "",
        ])
        if lost == 0, doubled == 0 {
            screen.print([
                "  " + screen.style(.green, "Nothing was lost, and no turn happened twice."),
                "  Compared: the outside world's record, every reply, every state and every history.",
            ])
        } else {
            screen.print([
                "  "
                    + screen.style(
                        .red, "NOT AS PROMISED: \(lost) results lost, \(doubled) things done twice.")
            ])
        }
        return lost == 0 && doubled == 0
    }

    private static func row(
        _ name: String, _ runs: Int, _ steps: Int, _ called: Int, _ repeated: Int, _ lost: Int, _ doubled: Int
    ) -> [TextTable.Cell] {
        [
            .init(name), .init("\(runs)"), .init("\(steps)"), .init("\(called)"), .init("\(repeated)"),
            .init("\(lost)", lost == 0 ? .green : .red), .init("\(doubled)", doubled == 0 ? .green : .red),
        ]
    }

    /// The same by hand.
    mutating func sayHowToGoOn() {
        let own = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().relativePath
        let node = "http://127.0.0.1:7420"
        screen.print([
            "", "Go on by hand:", "",
            "  \(own)/outside-world &",
            "  \(own)/announced serve &",
            "  curl -X PUT \(node)/actors/order/o-1",
            "  \(own)/apus runs show order o-1",
            "  kill -9 %2; \(own)/announced serve &",
            "  curl \(node)/actors/order/o-1/queues/approval -d '{\"body\": {\"approved\": true}}'",
            "  curl \(node)/actors/counter/c-1/actions/increment -d 4",
            "  \(own)/apus runs watch order o-1",
            "", "Data is in ./apus-data then. README.md shows how to write an actor of your own.",
        ])
    }
}
