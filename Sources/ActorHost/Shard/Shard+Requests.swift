import Apus
import ByteCoding
import ClientProtocol
import Identifiers
import Logging
import PartitionStore
import WorkflowCore

extension Shard {
    /// Performs a request; answers it exactly once.
    func handle(_ request: ShardRequest) {
        counters.requests += 1
        let address = request.request.target
        if let deadline = request.deadline, deadline <= reading.monotonic {
            return request.reply(.failure(.deadlineExceeded))
        }
        if isStopping { return request.reply(.failure(.stopping)) }
        guard let log = partitions[request.partition] else { return request.reply(.failure(.notOwner)) }
        guard log.isServing else { return wait(.request(request), for: log) }
        request.begin(in: log)
        if let actor = live[address], actor.phase == .departing { return actor.park(request) }
        do {
            switch request.request.operation {
            case .describe: try describe(request, history: false)
            case .history: try describe(request, history: true)
            case .getOrCreate(let input): try getOrCreate(request, input: input, mustBeNew: false)
            case .create(let input): try getOrCreate(request, input: input, mustBeNew: true)
            case .destroy:
                switch try find(address, in: request.partition) {
                case .actor(let actor): hand(request, to: actor)
                case .none(let tombstone):
                    guard let known = tombstone?.answer(to: request.request) else {
                        throw ActorError.notFound(address)
                    }
                    request.reply(known)
                }
            case .action(let name, _):
                let kind = try kind(address)
                guard kind.actions.contains(name) else {
                    throw ActorError.actionNotFound(name, kind: address.kind, known: kind.actions)
                }
                try performCreating(request)
            case .send(let queue, _, _), .request(let queue, _, _, _):
                let kind = try kind(address)
                guard kind.queues[queue] != nil else {
                    throw ActorError.queueUnknown(queue, kind: address.kind, known: Array(kind.queues.keys))
                }
                try performCreating(request)
            }
        } catch let error as ActorError {
            // That there is no such actor was read, from the tables, which have what is committed.
            answerRead(request, with: .failure(error), at: .zero)
        } catch {
            logger.error("a request to \(address) failed: \(error)")
            request.reply(.failure(.internalError))
        }
    }

    private func performCreating(_ request: ShardRequest) throws {
        guard store.backlogBytes <= settings.backlogBytesMax else { throw ActorError.overloaded }
        let address = request.request.target
        switch try find(address, in: request.partition) {
        case .actor(let actor): hand(request, to: actor)
        case .none(let tombstone):
            if let answer = tombstone?.answer(to: request.request) { return request.reply(answer) }
            hand(
                request,
                to: try create(address, in: request.partition, input: nil, replacing: tombstone))
        }
    }

    private func hand(_ request: ShardRequest, to actor: LiveActor) {
        // Waking may have ended it.
        if actor.phase == .departing { actor.park(request) } else { actor.perform(request) }
    }

    private func getOrCreate(_ request: ShardRequest, input: Payload?, mustBeNew: Bool) throws {
        let address = request.request.target
        let kind = try kind(address)
        guard store.backlogBytes <= settings.backlogBytesMax else { throw ActorError.overloaded }
        let tombstone: Tombstone?
        switch try find(address, in: request.partition) {
        case .actor(let found):
            if found.phase == .departing { return found.park(request) }
            if found.outlives(request.request.identity) {
                return request.reply(.failure(.destroyed(address)))
            }
            let isMaker = found.wasCreated(by: request.request.identity)
            let reply: Result<ActorReply, ActorError> =
                mustBeNew && !isMaker
                ? .failure(ActorError("duplicate_key", "the actor \(address) exists already", group: "actor"))
                : .success(.created(isMaker, ActorDescription.of(found)))
            return answerRead(request, with: reply)
        case .none(let left): tombstone = left
        }
        if let answer = tombstone?.answer(to: request.request) { return request.reply(answer) }
        if let input { try kind.validate(input: input.bytes) }
        let made = try create(
            address, in: request.partition, input: input?.bytes, by: request.request.identity,
            replacing: tombstone)
        let reply = ActorReply.created(true, ActorDescription.of(made))
        whenCommitted(request.partition) { request.reply(.success(reply)) }
    }

    /// What is known of an actor, without waking it.
    private func describe(_ request: ShardRequest, history: Bool) throws {
        let address = request.request.target
        _ = try kind(address)
        if let actor = live[address] {
            // Taken now and told later: what comes in between may be undone by a crash (A12).
            let payload = try history ? self.history(of: actor) : ActorDescription.of(actor)
            return answerRead(request, with: .success(.document(payload)))
        }
        guard let stored = try store.actor(at: address, in: request.partition), !stored.isTombstone else {
            throw ActorError.notFound(address)
        }
        let payload =
            try history
            ? ActorDescription.history(
                of: stored, items: store.items(of: stored.id, in: request.partition, space: .history),
                in: store.identity)
            : ActorDescription.of(
                stored, messages: store.items(of: stored.id, in: request.partition, space: .message),
                undelivered: store.items(of: stored.id, in: request.partition, space: .undelivered))
        answerRead(request, with: .success(.document(payload)), at: .zero)
    }

    /// Answers with what was only read, once everything that was read is committed, and it is certain that
    /// nobody else had the partition when it was read.
    /// - Parameter position: the last record that was read; nil: the last of the log.
    func answerRead(
        _ request: ShardRequest, with result: Result<ActorReply, ActorError>, at position: LogPosition? = nil
    ) {
        // Without a log it has its answer already.
        guard let log = request.log else { return }
        let position = position ?? log.position
        store.confirmRead(log.id) { [self] isConfirmed in
            guard !executor.isCurrent else { return confirmed(isConfirmed, request, result, position) }
            executor.post { self.confirmed(isConfirmed, request, result, position) }
        }
    }

    private func confirmed(
        _ isConfirmed: Bool, _ request: ShardRequest, _ result: Result<ActorReply, ActorError>,
        _ position: LogPosition
    ) {
        guard isConfirmed else { return request.reply(.failure(.moved)) }
        guard let log = request.log, log.committed < position else { return request.reply(result) }
        log.hold(.call { request.reply(result) }, at: position)
    }

    private func history(of actor: LiveActor) throws -> Payload {
        // An actor whose run has ended wakes without its history.
        guard actor.run.status.hasEnded, actor.core.entryCount == 0,
            let stored = try store.actor(actor.id, in: actor.partition)
        else { return ActorDescription.history(of: actor) }
        return try ActorDescription.history(
            of: stored, items: store.items(of: stored.id, in: actor.partition, space: .history),
            in: store.identity)
    }

    // MARK: Stopping

    /// Stops taking work and settles every actor, so that nothing counts as a crash.
    func beginStop() {
        isStopping = true
        for actor in live.values.sorted(by: { $0.address < $1.address }) where actor.phase == .awake {
            actor.settle()
            actor.closeRun()
            actor.endActions(.stopping)
            actor.failWaiters(.stopping)
        }
        for log in partitions.values {
            let arrivals = log.arrivals
            log.arrivals = []
            for arrival in arrivals { refuse(arrival, .stopping) }
        }
        for actor in departing.values.joined() {
            for request in actor.takeParkedRequests() { request.reply(.failure(.stopping)) }
            for body in actor.takeParkedMessages() { body() }
        }
    }
}
