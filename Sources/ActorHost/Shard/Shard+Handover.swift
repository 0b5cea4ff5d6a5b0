import ClientProtocol
import Identifiers

/// What is asked of a host whose partition is to have another owner.
package enum HandoverRequest: Sendable {
    /// Come to a good place to stop, and call this then, once; it is never called if the epoch ends first.
    case begin(@Sendable () -> Void)
    /// Cut off what still runs.
    case insist
    /// Go on.
    case cancel
}

/// Giving a partition up in good order (`cluster.md` 2.8).
///
/// First no step begins any more and those that run may end, while turns go on, so that no caller waits.
/// When nothing runs, the actors leave memory as in hibernation, so that nothing counts as a crash at the
/// next owner (W13), and what comes waits. When all of that is committed the epoch may end: nobody's outcome
/// is unknown.
extension Shard {
    func handOver(_ partition: PartitionID, _ epoch: Epoch, _ request: HandoverRequest) {
        guard let log = partitions[partition], log.epoch == epoch, !isStopping else { return }
        switch request {
        case .begin(let done):
            guard log.onHandedOver == nil else { return }
            // Who does not serve yet has nothing to end.
            guard log.isServing else { return done() }
            log.onHandedOver = done
            handingOver[partition] = log.actors.values.filter(\.isWorking)
        case .insist:
            if log.isServing, log.holdsSteps { leaveInOrder(log) }
        case .cancel: resume(log)
        }
    }

    /// Looks whether something has come to its end. Called at the end of each round.
    func goOnHandingOver() {
        for partition in handingOver.keys.sorted() {
            guard let log = partitions[partition], log.isServing, log.holdsSteps else {
                handingOver[partition] = nil
                continue
            }
            handingOver[partition]?.removeAll { !$0.isWorking }
            guard handingOver[partition]?.isEmpty == true else { continue }
            // Asynchronous actions may have begun meanwhile.
            let working = log.actors.values.filter(\.isWorking)
            if working.isEmpty { leaveInOrder(log) } else { handingOver[partition] = working }
        }
    }

    private func leaveInOrder(_ log: PartitionLog) {
        handingOver[log.id] = nil
        // From here on nobody is told of an end that is none.
        log.phase = .handingOver
        for (_, actor) in log.actors.sorted(by: { $0.key < $1.key }) where actor.phase == .awake {
            actor.endActions(.moved)
            actor.failWaiters(.moved)
            actor.hibernate()
        }
        whenCommitted(log, .call { if log.phase == .handingOver { log.onHandedOver?() } })
    }

    /// The partition stays: what was held begins, and what has waited is done.
    private func resume(_ log: PartitionLog) {
        handingOver[log.id] = nil
        guard log.holdsSteps else { return }
        log.onHandedOver = nil
        for (_, actor) in log.actors.sorted(by: { $0.key < $1.key }) { actor.beginHeldSteps() }
        guard log.phase == .handingOver else { return }
        log.resume()
        catchUp(log)
    }
}
