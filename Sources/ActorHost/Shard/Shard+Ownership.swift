import ByteCoding
import ClientProtocol
import Identifiers
import Logging
import PartitionStore
import Synchronization
import TimeAndChance
import TimerCore

/// Taking partitions over and giving them up.
extension Shard {
    func handle(_ events: [PartitionEvent]) {
        var ended: [PartitionLog] = []
        for event in events {
            if case .standDown(let partition, let epoch) = event {
                if let log = partitions[partition], log.epoch <= epoch { ended.append(end(log)) }
                continue
            }
            // Many partitions end together when a node is cut off: what they have in common is gone through
            // once.
            forget(&ended)
            switch event {
            case .lead(let partition, let epoch, let end): lead(partition, epoch, after: end)
            case .serve(let partition, let epoch): serve(partition, epoch)
            case .committed(let partition, let position): committed(position, in: partition)
            case .standDown: break
            }
        }
        forget(&ended)
    }

    // MARK: Taking over

    private func lead(_ partition: PartitionID, _ epoch: Epoch, after end: LogEnd) {
        guard !isStopping else { return startsLeft.subtractOne() }
        if let old = partitions[partition] {
            var ended = [self.end(old)]
            forget(&ended)
        }
        let log = PartitionLog(id: partition, end: end, epoch: epoch, reading: reading)
        partitions[partition] = log
        guard end.position > .zero || store.startsEmptyLogs else { return }
        var body = ByteWriter()
        body.varint(UInt64(store.identity.incarnation.rawValue))
        outgoing.append(log.sealEpochStart(body.bytes, reading))
    }

    private func serve(_ partition: PartitionID, _ epoch: Epoch) {
        guard let log = partitions[partition], log.epoch == epoch, log.phase == .leading else { return }
        log.phase = .catchingUp
        catchUp(log)
    }

    /// Turns run on what the tables have, which must be everything that was before.
    func catchUp(_ log: PartitionLog) {
        guard store.appliedPosition(of: log.id) >= log.start else {
            appliedWanted.insert(log.id)
            return
        }
        log.phase = .serving
        if log.isResumed {
            mailDue.insert(log.id)
        } else {
            loadMail(of: log)
            startsLeft.subtractOne()
        }
        scheduleDue(log)
        resumeCalls(of: log)
        onServing(log.id)
        let arrivals = log.arrivals
        log.arrivals = []
        for arrival in arrivals {
            switch arrival {
            case .request(let request): handle(request)
            case .subscriber(let subscriber, let address): subscribe(subscriber, to: address, in: log.id)
            }
        }
    }

    private func scheduleDue(_ log: PartitionLog) {
        guard settings.rules.contains(.wakesDueActors) else { return }
        do {
            for due in try store.dueActors(in: log.id, through: .max, limit: .max) {
                let time = due.wakeAt == LiveActor.wakeOnStart ? 0 : due.wakeAt
                let key = TimerKey(partition: log.id, actor: due.id)
                if time <= reading.wall.rawValue, dueAtStart.insert(key).inserted {
                    startsLeft.add(1, ordering: .relaxed)
                }
                timers.schedule(key, at: time)
            }
        } catch {
            logger.error("partition \(log.id.rawValue) cannot be read: \(error)")
        }
    }

    /// Keeps what comes before turns may run; refuses it when too much has come.
    func wait(_ arrival: PartitionLog.Arrival, for log: PartitionLog) {
        if log.arrivals.count >= settings.arrivalsMax { dropExpired(log) }
        guard log.arrivals.count < settings.arrivalsMax else { return refuse(arrival, .overloaded) }
        log.arrivals.append(arrival)
    }

    private func dropExpired(_ log: PartitionLog) {
        log.arrivals.removeAll { arrival in
            guard case .request(let request) = arrival, let deadline = request.deadline,
                deadline <= reading.monotonic
            else { return false }
            request.reply(.failure(.deadlineExceeded))
            return true
        }
    }

    func refuse(_ arrival: PartitionLog.Arrival, _ error: ActorError) {
        switch arrival {
        case .request(let request): request.reply(.failure(error))
        case .subscriber(let subscriber, let address): subscriber.end(of: address, error)
        }
    }

    // MARK: Giving up

    /// Lets go of everything that belongs to the epoch: nothing of it is recorded or told any more, and
    /// whoever waits hears of it.
    private func end(_ log: PartitionLog) -> PartitionLog {
        let (wasTakenOver, dropped) = (log.isTakenOver, log.end())
        if !wasTakenOver { startsLeft.subtractOne() }
        partitions[log.id] = nil
        departing[log.id] = nil
        handingOver[log.id] = nil
        appliedWanted.remove(log.id)
        outgoing.removeAll { $0.partition == log.id }
        // In a fixed order, because the code that hears of it can tell; so are the endings below.
        for (_, actor) in log.actors.sorted(by: { $0.key < $1.key }) {
            if live[actor.address] === actor { live[actor.address] = nil }
            actor.lose()
        }
        log.actors = [:]
        for arrival in log.arrivals { refuse(arrival, .notOwner) }
        log.arrivals = []
        for request in log.open.all { request.reply(.failure(.moved)) }
        for release in dropped { release.drop() }
        return log
    }

    /// Lets go of what is kept for all partitions together.
    private func forget(_ ended: inout [PartitionLog]) {
        guard !ended.isEmpty else { return }
        let gone = Set(ended.map(\.id))
        ended = []
        timers.cancelAll { gone.contains($0.partition) }
        parkedRuns = parkedRuns.filter { !gone.contains($0.partition) }
        for key in dueAtStart.filter({ gone.contains($0.partition) }) { noteStarted(key) }
        let left = subscribers.keys.filter { gone.contains(ring.partition(of: $0)) }
        for address in left.sorted() {
            for subscriber in subscribers.removeValue(forKey: address) ?? [] {
                subscriber.end(of: address, .moved)
            }
        }
    }
}

extension Atomic<Int> {
    fileprivate func subtractOne() { subtract(1, ordering: .relaxed) }
}
