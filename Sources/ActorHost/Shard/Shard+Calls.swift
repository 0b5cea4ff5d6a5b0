import Apus
import ByteCoding
import ClientProtocol
import Identifiers
import Logging
import MailboxCore
import PartitionStore

/// Calls of asynchronous actions by other actors (W60, A11). Such an action takes its time, so the call is
/// kept with the partition until it is answered; what follows in its stream does not wait. Another owner
/// begins it again as if a client repeated it: turns that have committed are not done a second time (A13).
extension Shard {
    func begin(_ message: ActorMessage, _ place: MessagePlace) {
        let kept = TurnOperation.put(.call, id: place.id, message.encoded())
        record([note(place), .ofPartition(kept)], in: place.log)
        perform(message, place)
    }

    /// Begins again what an earlier owner has not ended.
    func resumeCalls(of log: PartitionLog) {
        do {
            for item in try store.items(of: .partition, in: log.id, space: .call) {
                perform(try ActorMessage.decode(item.body), try MessagePlace(id: item.id, in: log))
            }
        } catch {
            logger.error("the calls of actions in partition \(log.id.rawValue) cannot be read: \(error)")
        }
    }

    private func perform(_ message: ActorMessage, _ place: MessagePlace) {
        guard case .call(let action, let input) = message.content else { return }
        let request = ActorRequest(
            target: message.target, operation: .action(action, input: Payload(input)),
            identity: .key("\0call \(place.source.rawValue) \(place.number)"))
        // Used on the shard's thread only, like everything of a log.
        nonisolated(unsafe) let place = place
        // No client has this token, so nobody abandons it.
        let work = ShardRequest(
            token: RequestToken(rawValue: 0), request: request, partition: place.log.id, deadline: nil
        ) { [self] result in
            executor.perform { self.end(message, place, result) }
        }
        handle(work)
    }

    private func end(
        _ message: ActorMessage, _ place: MessagePlace, _ result: Result<ActorReply, ActorError>
    ) {
        // Whoever serves the partition next begins it again, also if this one does.
        guard place.log.isServing, !isStopping else { return }
        var result = result
        if case .success(.output(let output)) = result, output.bytes.count > ActorMessage.payloadBytesMax {
            result = .failure(.tooLarge("the action's output", limit: ActorMessage.payloadBytesMax))
        }
        record(
            [
                .ofPartition(.delete(.call, id: place.id)),
                answer(message, at: place, result),
            ], in: place.log)
    }
}

extension MessagePlace {
    /// Names a kept call in storage.
    fileprivate var id: [UInt8] {
        TurnOperation.itemID(UInt64(source.rawValue)) + TurnOperation.itemID(number)
    }

    fileprivate init(id: [UInt8], in log: PartitionLog) throws(WireError) {
        guard id.count == 16 else { throw .invalid("a call's name has 16 bytes, not \(id.count)") }
        guard let source = UInt32(exactly: try TurnOperation.itemNumber(Array(id[..<8]))) else {
            throw .invalid("a call of no partition")
        }
        self.init(
            log: log, source: PartitionID(rawValue: source), flow: .request,
            number: try TurnOperation.itemNumber(Array(id[8...])))
    }
}
