import ClientGateway
import ClientProtocol
import Foundation
import Identifiers
import OperatorCommands
import SessionCore

extension FuzzTarget {
    /// JSON that only passes through: what is one value stays one when it is cut out and asked for its parts.
    public static let jsonValue = FuzzTarget("JSONValue", corpus: values.map { Array($0.utf8) }) { bytes in
        guard let place = try? JSONScanner.validate(bytes.span) else { return nil }
        let value = JSONSlice(place: place)
        let cut = value.payload(in: bytes.span).bytes
        guard (try? JSONScanner.validate(cut.span)) == 0..<cut.count else {
            return "a value is none when cut out"
        }
        _ = value.integer(in: bytes.span)
        _ = value.boolean(in: bytes.span)
        _ = value.strings(in: bytes.span)
        _ = value.stringMembers(in: bytes.span)
        guard let text = value.string(in: bytes.span) else { return nil }
        var written: [UInt8] = []
        JSONWriter.append(string: text, to: &written)
        guard let whole = try? JSONScanner.validate(written.span) else {
            return "a text was written as no JSON"
        }
        return JSONSlice(place: whole).string(in: written.span) == text ? nil : "a text changed on its way"
    }

    /// The members of an object, as in the body of an HTTP request.
    public static let jsonObject = FuzzTarget("JSONObject", corpus: values.map { Array($0.utf8) }) { bytes in
        guard let members = try? JSONSlice.members(of: bytes.span) else { return nil }
        guard (try? JSONScanner.validate(bytes.span)) != nil else { return "members of what is no JSON" }
        for (name, value) in members {
            let cut = value.payload(in: bytes.span).bytes
            guard (try? JSONScanner.validate(cut.span)) == 0..<cut.count else {
                return "the member \(name) is no JSON"
            }
        }
        return nil
    }

    /// A request line: method, a space, path. What is accepted as an actor's address has a path of its own.
    public static let httpRoute = FuzzTarget("HTTPRoute", corpus: requestLines.map { Array($0.utf8) }) {
        bytes in
        let words = String(decoding: bytes, as: UTF8.self).split(separator: " ", maxSplits: 1)
        guard words.count == 2, let route = try? HTTPRoute(method: String(words[0]), uri: String(words[1]))
        else { return nil }
        guard case .actor(let address, .describe) = route else { return nil }
        let plain = address.key.description
        // A key that ends like a suffix of ours is not reached by its plain path.
        guard !plain.hasSuffix("/history"), !plain.contains("/actions/"), !plain.contains("/queues/") else {
            return nil
        }
        let again = try? HTTPRoute(method: "GET", uri: "/actors/\(address.kind.name)/\(plain)")
        return again == route ? nil : "the path of \(address) leads elsewhere"
    }

    /// A sequence of frames of two bytes each: never more is joined than allowed.
    public static let messageAssembly = FuzzTarget(
        "MessageAssembly", corpus: [[0x41, 9, 0x40, 9, 0xC0, 9], [0xC1, 200], [0xC9, 125, 0xC8, 2]]
    ) { bytes in
        let limit = 500
        var assembler = MessageAssembler(bytesMax: limit, expectsMask: true)
        var joined = 0
        for place in stride(from: 0, to: bytes.count - 1, by: 2) {
            let head = bytes[place]
            let frame = MessageAssembler.Frame(
                opcode: head & 15, isFinal: head & 0x80 != 0, isMasked: head & 0x40 != 0,
                hasReservedBits: head & 0x30 == 0x30, byteCount: Int(bytes[place + 1]))
            switch assembler.received(frame) {
            case .message: joined = frame.byteCount
            case .fragment: joined = frame.opcode == 0 ? joined + frame.byteCount : frame.byteCount
            case .lastFragment: joined += frame.byteCount
            case .ping, .pong: continue
            case .peerCloses, .close: return nil
            }
            if joined > limit { return "\(joined) bytes were joined" }
        }
        return nil
    }

    /// What a node answers to the operator's commands.
    public static let operatorDocuments = FuzzTarget(
        "OperatorDocuments", corpus: documents.map { Array($0.utf8) }
    ) { bytes in
        let data = Data(bytes)
        _ = try? JSONDecoder().decode(ActorDocument.self, from: data)
        _ = try? JSONDecoder().decode(HistoryDocument.self, from: data)
        guard let value = try? OperatorCommands.JSONValue(bytes) else { return nil }
        return (try? OperatorCommands.JSONValue(Array(value.description.utf8))) == nil
            ? "what is shown of a value is no JSON: \(value)" : nil
    }

    private static let values = [
        "null", " [1, -2.5e+3, true,false ] ", #""a\u00e9\ud83d\uDED2\n\"\\\/é🛒""#, "9007199254740991",
        "[[[]]]",
        #"{"body":{"a":[{}]},"wait":true,"timeoutMs":30000}"#, #"{"a":"b","c":"\t"}"#, #"["a","b/ü"]"#, "{}",
    ]

    private static let requestLines = [
        "GET /healthz", "GET /status", "GET /actors?kind=order&after=order/a%252Fb&limit=7",
        "PUT /actors/c/k",
        "GET /actors/c/a%2Fb//%C3%BC", "POST /actors/c/k/actions/add", "POST /actors/c/k/queues/jobs",
        "GET /actors/c/k/history", "DELETE /actors/c/1/2/3/4/5/6/7/8", "HEAD /actors/c/%61ctions/x",
        "GET /cluster", "GET /cluster/nodes", "POST /cluster/admit", "DELETE /cluster/tokens/00ff",
        "GET /cluster/map?after=17",
    ]

    private static let documents = [
        #"{"kind":"c","key":["k"],"createdAt":"2026-01-02T03:04:05.678Z","awake":true,"state":{"a":[1,2.5]}"#
            + #","run":{"status":"failed","since":253402300800000000,"startedAt":"2026-01-02T03:04:05.678Z""#
            + #","failure":{"type":"T","message":"m"}},"queues":{"jobs":3}}"#,
        #"{"entries":[{"sequence":1,"path":"a","kind":"step","at":"2026-01-02T03:04:05.678Z","status":"done""#
            + #","attempts":2,"value":"\u001b[2J","failures":[{"type":"T","message":"m"}]}]}"#,
    ]
}
