import ClientProtocol
import Identifiers

/// A client's request on its way through a shard. It is answered once, whatever becomes of those who would
/// answer it.
///
/// Sound to share: made anywhere, then handed to its shard, on whose thread it stays.
final class ShardRequest: @unchecked Sendable, OpenEntry {
    let token: RequestToken
    let request: ActorRequest
    let partition: PartitionID
    /// After that it is not begun any more; microseconds of the monotonic clock.
    let deadline: UInt64?
    private var answer: (@Sendable (Result<ActorReply, ActorError>) -> Void)?
    /// The epoch in which it was begun, as long as it is not answered.
    private(set) var log: PartitionLog?
    var place: Int?

    init(
        token: RequestToken, request: ActorRequest, partition: PartitionID, deadline: UInt64?,
        reply: @escaping @Sendable (Result<ActorReply, ActorError>) -> Void
    ) {
        self.token = token
        self.request = request
        self.partition = partition
        self.deadline = deadline
        answer = reply
    }

    /// From here on the end of the epoch answers it, if nobody else has.
    func begin(in log: PartitionLog) {
        // One that was parked comes a second time.
        guard place == nil else { return }
        self.log = log
        log.open.insert(self)
    }

    /// Answers it; a second answer goes nowhere.
    func reply(_ result: Result<ActorReply, ActorError>) {
        let answer = answer
        abandon()
        answer?(result)
    }

    /// Nobody waits for the answer any more.
    func abandon() {
        answer = nil
        log?.open.remove(self)
        log = nil
    }
}
