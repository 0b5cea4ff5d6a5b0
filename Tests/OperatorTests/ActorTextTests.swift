import Foundation
import OperatorCommands
import Testing

@Suite("Actors and the node as text")
struct ActorTextTests {
    private static let now = Instant(seconds: 1_795_406_700)

    private func decode<Value: Decodable>(_ json: String) throws -> Value {
        try JSONDecoder().decode(Value.self, from: Data(json.utf8))
    }

    @Test func aListIsATableAndSaysHowToGoOn() throws {
        let list: ListDocument = try decode(
            """
            {"actors":[{"kind":"counter","key":["c 1"],"createdAt":"2026-11-23T03:00:00.000Z","awake":false,
            "state":{"count":6},"run":{"status":"waiting","since":"2026-11-23T03:40:00.000Z",
            "startedAt":"2026-11-23T03:00:00.000Z","waitingFor":"a message in \\"requests\\""},"queues":{}},
            {"kind":"note","key":[""],"createdAt":"2026-11-23T03:00:00.000Z","awake":false,"state":null,
            "queues":{}}],"more":true}
            """)
        let now = Instant(seconds: list.actors[0].createdAt.seconds + 2_700)
        #expect(
            ActorText.list(list, kind: nil, now: now, .plain) == [
                "ACTOR          RUN         FOR  WAITS FOR                STATE",
                #"counter/c%201  waiting  5m 00s  a message in "requests"  {"count":6}"#,
                "note/", "more: add --after note/",
            ])
    }

    @Test func anEmptyListIsASentence() throws {
        let list: ListDocument = try decode(#"{"actors":[],"more":false}"#)
        #expect(ActorText.list(list, kind: "counter", now: Self.now, .plain) == ["no actors of kind counter"])
        #expect(ActorText.list(list, kind: nil, now: Self.now, .plain) == ["no actors yet"])
    }

    @Test func anActorShowsItsWholeState() throws {
        let actor: ActorDocument = try decode(
            """
            {"kind":"counter","key":["c"],"createdAt":"2026-11-23T03:00:00.000Z","awake":false,
            "input":{"b":[1.5,true]},"queues":{"requests":3},
            "state":{"z":"\(String(repeating: "x", count: 100))","a":9007199254740993}}
            """)
        #expect(
            ActorText.show(actor, now: Self.now, .plain) == [
                "counter/c", "  created     2026-11-23 03:00:00 UTC", "  in memory   no, it hibernates",
                "  queues      requests (3)", #"  input       {"b":[1.5,true]}"#,
                #"  state       {"a":9007199254740993,"z":"\#(String(repeating: "x", count: 100))"}"#,
            ])
    }

    @Test func theNodeSaysWhatItServes() throws {
        let status: StatusDocument = try decode(
            """
            {"node":1,"cluster":"c","store":"s","incarnation":4,"partitions":256,"future":1,
            "startedAt":"2026-11-23T03:00:00.000Z","kinds":["a","b"],"actorsAwake":3,"timers":2,"records":18,
            "requests":13,"steps":4,"wakes":1,"creations":3,"hibernations":5,"repliesRepeated":2,
            "backlogBytes":20480}
            """)
        let lines = ActorText.status(
            status, at: .standard, now: Instant(seconds: status.startedAt.seconds + 93_600), .plain)
        #expect(lines[0] == "node 1 at http://127.0.0.1:7420  serving")
        #expect(lines[1] == "  up          1d 02h, since 2026-11-23 03:00:00 UTC")
        #expect(lines.contains("  requests    13, of which 2 were answered from the record"))
        #expect(lines.contains("  backlog     20 KiB durable and not yet in the tables"))
    }

    @Test(arguments: [
        (0.0, "0 ms"), (0.0004, "0 ms"), (0.34, "340 ms"), (0.9996, "1.0 s"), (4.25, "4.3 s"),
        (59.99, "1m 00s"),
        (192, "3m 12s"), (18_180, "5h 03m"), (187_200, "2d 04h"), (-5, "0 ms"),
    ])
    func durationsAreShort(_ seconds: Double, _ text: String) {
        #expect(Phrases.duration(seconds) == text)
    }
}
