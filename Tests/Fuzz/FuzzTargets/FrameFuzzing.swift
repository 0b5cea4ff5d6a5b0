import ClientProtocol

extension FuzzTarget {
    /// What a client may send: what is accepted reads back the same after it was encoded anew.
    public static let clientFrame = FuzzTarget("ClientFrame", corpus: clientFrames.map { Array($0.utf8) }) {
        bytes in
        guard let frame = try? ClientFrame.decode(bytes) else { return nil }
        var encoded: [UInt8] = []
        frame.encode(into: &encoded)
        return (try? ClientFrame.decode(encoded)) == frame ? nil : "a frame changed on its way: \(frame)"
    }

    /// What a node may send.
    public static let serverFrame = FuzzTarget("ServerFrame", corpus: serverFrames.map { Array($0.utf8) }) {
        bytes in
        guard let frame = try? ServerFrame.decode(bytes) else { return nil }
        var encoded: [UInt8] = []
        frame.encode(into: &encoded)
        return (try? ServerFrame.decode(encoded)) == frame ? nil : "a frame changed on its way: \(frame)"
    }

    private static let clientFrames = [
        #"{"type":"hello","version":1,"session":"00000000-0000-4000-8000-000000000001"}"#,
        #"{"type":"call","id":7,"kind":"counter","key":["b/ü"],"action":"add","input":4,"seq":5,"acked":3}"#,
        #"{"type":"request","id":9,"kind":"c","key":[""],"queue":"q","body":[1,{}],"timeoutMs":5,"seq":6}"#,
        #"{"type":"subscribe","id":9,"kind":"c","key":["k"],"event":"changed"}"#,
        #"{"type":"cancel","id":9}"#, #"{"type":"ping"}"#,
    ]

    private static let serverFrames = [
        #"{"type":"welcome","version":1,"node":"apus"}"#, #"{"type":"reply","id":7,"output":{"a":"\u00e9"}}"#,
        #"{"type":"error","id":7,"error":{"group":"g","code":"c","message":"m","metadata":{"a":"b"}}}"#,
        #"{"type":"event","id":9,"payload":[1,2.5e3,null,true]}"#, #"{"type":"pong"}"#,
    ]
}
