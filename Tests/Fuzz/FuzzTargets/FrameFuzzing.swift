import ClientProtocol
import Identifiers

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

    /// Where actors live, as a client hears it.
    public static let routingMap = FuzzTarget("RoutingMap", corpus: [Array(map.utf8)]) { bytes in
        guard let map = try? RoutingMap.decode(Payload(bytes)) else { return nil }
        guard map.entries.allSatisfy({ $0.partition.rawValue < UInt32(map.ring.partitionCount) }) else {
            return "an entry of a partition that is none"
        }
        return (try? RoutingMap.decode(map.encoded())) == map ? nil : "a map changed on its way: \(map)"
    }

    private static let map =
        #"{"cluster":"00000000-0000-0001-0000-000000000002","node":1,"version":17,"partitions":2,"#
        + #""seed":["0000000000000001","fedcba9876543210"],"nodes":[[1,"a:1"],[2,"[::1]:2"]],"#
        + #""entries":[[0,3,7,1],[1,9007199254740991,8,0]]}"#

    private static let clientFrames = [
        #"{"type":"hello","version":1,"session":"00000000-0000-4000-8000-000000000001"}"#,
        #"{"type":"call","id":7,"kind":"counter","key":["b/ü"],"action":"add","input":4,"seq":5,"acked":3}"#,
        #"{"type":"request","id":9,"kind":"c","key":[""],"queue":"q","body":[1,{}],"timeoutMs":5,"seq":6}"#,
        #"{"type":"subscribe","id":9,"kind":"c","key":["k"],"event":"changed"}"#,
        #"{"type":"cancel","id":9}"#, #"{"type":"ping"}"#,
        #"{"type":"map","id":9,"after":17,"waitMs":25000}"#,
        #"{"type":"get","id":7,"kind":"c","key":["k"],"epoch":9}"#,
    ]

    private static let serverFrames = [
        #"{"type":"welcome","version":1,"node":"apus"}"#, #"{"type":"reply","id":7,"output":{"a":"\u00e9"}}"#,
        #"{"type":"error","id":7,"error":{"group":"g","code":"c","message":"m","metadata":{"a":"b"}}}"#,
        #"{"type":"event","id":9,"payload":[1,2.5e3,null,true]}"#, #"{"type":"pong"}"#,
    ]
}
