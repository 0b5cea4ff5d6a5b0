import ByteCoding
import MeshTransport

extension FuzzTarget {
    /// What a stranger may send to join a cluster reads back the same, and is not believed.
    public static let joinExchange = FuzzTarget("JoinExchange", corpus: [joins(5), joins(4)]) { bytes in
        if let request = try? JoinRequest(decoding: bytes) {
            guard (try? JoinRequest(decoding: request.encoded)) == request else {
                return "a join request changed on its way"
            }
            if (try? request.check(memberKey: [1, 2, 3])) != nil { return "a join request was believed" }
        }
        if let answer = try? JoinAnswer(decoding: bytes),
            (try? JoinAnswer(decoding: answer.encoded)) != answer
        {
            return "a join answer changed on its way"
        }
        return nil
    }

    /// A version and so many blobs.
    private static func joins(_ count: Int) -> [UInt8] {
        var writer = ByteWriter()
        writer.byte(1)
        for number in 0..<count { writer.blob([UInt8](repeating: UInt8(number), count: 8 * number + 1)) }
        return writer.bytes
    }
}
