import Foundation
import OperatorCommands
import Testing

/// What people read of runs, from the JSON that a node answers.
@Suite("Runs as text")
struct RunTextTests {
    private static let now = instant("2026-11-23T03:45:00.000Z")

    private static func instant(_ text: String) -> Instant {
        (try? JSONDecoder().decode(Instant.self, from: Data("\"\(text)\"".utf8))) ?? Instant(seconds: 0)
    }

    private static func look(run: String, entries: String = "", queues: String = "") throws -> RunText {
        let actor = """
            {"kind":"order","key":["o-1","a b"],"createdAt":"2026-11-23T03:43:25.717Z","awake":true,
            "state":{"status":"pending"},"run":{\(run)},"queues":{\(queues)}}
            """
        let history = "{\"kind\":\"order\",\"key\":[\"o-1\",\"a b\"],\"entries\":[\(entries)]}"
        return RunText(
            actor: try JSONDecoder().decode(ActorDocument.self, from: Data(actor.utf8)),
            history: try JSONDecoder().decode(HistoryDocument.self, from: Data(history.utf8)))
    }

    private static let waiting = """
        "status":"waiting","since":"2026-11-23T03:43:26.424Z","startedAt":"2026-11-23T03:43:25.717Z",
        "waitingFor":"a message in \\"approval\\""
        """
    private static let retriedStep = """
        {"sequence":1,"path":"validate-order","kind":"step","at":"2026-11-23T03:43:26.417Z",
        "startedAt":"2026-11-23T03:43:25.717Z","attempts":3,"status":"completed","value":null,
        "failures":[{"type":"Refused","message":"answered 500"},{"type":"Refused","message":"answered 500"}]}
        """

    @Test func aWaitingRunSaysForWhatSinceWhenAndItsHistory() throws {
        let look = try Self.look(run: Self.waiting, entries: Self.retriedStep, queues: #""approval":2"#)
        #expect(
            look.lines(now: Self.now, .plain) == [
                "order/o-1/a%20b  waiting for 1m 34s",
                #"  waits for   a message in "approval""#,
                "  started     2026-11-23 03:43:25 UTC",
                "  in memory   yes",
                "  queues      approval (2)",
                "",
                "  OPERATION       KIND  STATUS       TOOK  TRIES  AT            RESULT",
                "  validate-order  step  completed  700 ms      3  03:43:26.417",
                "    2 times Refused: answered 500",
            ])
    }

    @Test("W60: whom a run has sent to and called") func messagesToOthers() throws {
        let look = try Self.look(
            run: Self.waiting,
            entries: """
                {"sequence":1,"path":"tell","kind":"send","at":"2026-11-23T03:43:26.417Z",
                "status":"completed","to":"order/b"},
                {"sequence":2,"path":"count","kind":"call","at":"2026-11-23T03:43:26.500Z",
                "status":"completed","to":"counter/a","value":7},
                {"sequence":3,"path":"wait","kind":"call","at":"2026-11-23T03:43:26.500Z",
                "status":"waiting","to":"counter/a"}
                """)
        let lines = look.lines(now: Self.now, .plain).suffix(3)
        #expect(
            lines.map { $0.split(separator: " ").joined(separator: " ") } == [
                "tell send completed 03:43:26.417 to order/b",
                "count call completed 03:43:26.500 counter/a 7",
                "wait call waiting 03:43:26.500 counter/a",
            ])
    }

    @Test func operationsStandBelowTheirScopes() throws {
        let look = try Self.look(
            run: Self.waiting,
            entries: """
                {"sequence":1,"path":"tasks","kind":"loop","at":"2026-11-23T03:43:26.417Z","status":"running",
                "iteration":7},
                {"sequence":2,"path":"tasks/#6/take","kind":"next","at":"2026-11-23T03:43:26.500Z",
                "status":"completed","messages":[{"id":9,"queue":"tasks","body":{"url":"/x"}}]},
                {"sequence":4,"path":"tasks/#7/take","kind":"next","at":"2026-11-23T03:43:27.500Z",
                "status":"waiting"},
                {"sequence":3,"path":"tasks/#6/work","kind":"turn","at":"2026-11-23T03:43:26.600Z",
                "status":"completed","value":41}
                """)
        #expect(
            look.lines(now: Self.now, .plain).suffix(7) == [
                "  OPERATION  KIND  STATUS     TOOK  TRIES  AT            RESULT",
                "  tasks      loop  running                 03:43:26.417  iteration 7",
                "    #6",
                #"      take   next  completed               03:43:26.500  tasks {"url":"/x"}"#,
                "      work   turn  completed               03:43:26.600  41",
                "    #7",
                "      take   next  waiting                 03:43:27.500",
            ])
    }

    @Test(arguments: [
        (
            #""status":"sleeping","since":"2026-11-23T03:43:26.424Z","waitingFor":"its time""#,
            #"{"sequence":1,"path":"nap","kind":"sleep","at":"2026-11-23T03:43:26.424Z","status":"sleeping","#
                + #""until":"2026-11-25T07:45:00.000Z"}"#,
            "  waits for   its time, until 2026-11-25 07:45:00 UTC (in 2d 04h)"
        ),
        (
            #""status":"running","since":"2026-11-23T03:44:59.500Z","waitingFor":"step \"a\", attempt 2""#,
            "",
            #"  now in      step "a", attempt 2"#
        ),
        (
            #""status":"stalled","since":"2026-11-23T03:44:59.500Z","reason":"the history has\nno \"a\"""#,
            "",
            #"  stalled by  the history has no "a""#
        ),
        (
            #""status":"failed","since":"2026-11-23T03:43:29.717Z","failure":{"type":"Oops","message":"no"}"#,
            "",
            "  failed with Oops: no"
        ),
        (
            #""status":"completed","since":"2026-11-23T03:43:29.717Z""#, "",
            "  ended       2026-11-23 03:43:29 UTC, after 4.0 s"
        ),
    ])
    func eachStatusIsExplained(_ run: String, _ entries: String, _ line: String) throws {
        let look = try Self.look(run: run + #","startedAt":"2026-11-23T03:43:25.717Z""#, entries: entries)
        let lines = look.lines(now: Self.now, .plain)
        #expect(lines.contains(line), "\(lines)")
    }

    @Test func aWatchedRunGivesALineForEachChangeAndNoneForNone() throws {
        var changes = RunChanges()
        let first = try Self.look(run: Self.waiting, entries: Self.retriedStep)
        #expect(
            changes.take(first, now: Self.now, .plain) == [
                "03:43:26.417  validate-order  step completed in 700 ms, 3 tries"
                    + "  2 times Refused: answered 500",
                #"03:43:26.424  run waiting, waits for a message in "approval""#,
            ])
        #expect(changes.take(first, now: Self.now, .plain) == [])
        let ended =
            #""status":"completed","since":"2026-11-23T03:44:25.717Z","startedAt":"2026-11-23T03:43:25.717Z""#
        let last = try Self.look(run: ended, entries: Self.retriedStep)
        #expect(changes.take(last, now: Self.now, .plain) == ["03:44:25.717  run completed after 1m 00s"])
    }

    @Test func whatIsStoredCannotMoveTheCursor() throws {
        let entry =
            #"{"sequence":1,"path":"a\u001b[2J","kind":"turn","at":"2026-11-23T03:43:26.417Z","#
            + #""status":"completed","value":"x\u001b[2J\u009b"}"#
        let text = try Self.look(run: Self.waiting, entries: entry).lines(now: Self.now, .plain).joined()
        #expect(!text.unicodeScalars.contains { $0.properties.generalCategory == .control })
        #expect(text.contains(#""x\u001b[2J\u009b""#))
    }

    @Test func coloursAppearOnlyWhenAsked() throws {
        let look = try Self.look(run: Self.waiting, entries: Self.retriedStep)
        #expect(!look.lines(now: Self.now, .plain).joined().contains("\u{1B}"))
        let coloured = look.lines(now: Self.now, Style(isColoured: true)).joined()
        #expect(coloured.contains("\u{1B}[32mcompleted\u{1B}[0m"))
    }
}
