import ControlCore
import Identifiers
import PlacementCore
import ReplicationCore

/// What arrives, and those who call.
extension Simulation {
    func arrive(_ packet: Packet, _ line: SimulatedNetwork.Line, _ event: EventQueue.Event) throws {
        if case .answer(let answer) = packet { return answered(answer) }
        if case .heard(let link, let frame) = packet { return heard(frame, link, line.to - machines.count) }
        guard let process = machines[line.to].process else { return unheard(packet, line) }
        guard process.pausedUntil <= now else { return events.plan(event, at: process.pausedUntil) }
        guard haveMet(line.from, line.to) else { return turnedAway(packet, line) }
        mark(now, UInt64(line.from), UInt64(line.to))
        switch packet {
        case .raft(let message):
            guard !isTurnedAway(line.from, by: line.to), !isTurnedAway(line.to, by: line.from) else { return }
            take(process.server.handle(.raft(message), time: time), at: line.to)
        case .request(let request):
            take(
                process.server.handle(
                    .request(request, from: peer(line.from, seenBy: line.to)), time: time), at: line.to)
        case .reply(let reply):
            if case .map = reply.body, isFaulty, happens(settings.extremes.lostMapPercent) { return }
            take(process.client.handle(.reply(reply, from: peer(line.from, seenBy: line.to))), at: line.to)
        case .handovers(let bytes):
            do { take(process.client.handle(.handOver(try Handover.decode(bytes))), at: line.to) } catch {
                checker.fail("m\(line.to) cannot read a handover of m\(line.from): \(error)")
            }
        case .gossip(let bytes):
            guard !isTurnedAway(line.from, by: line.to), !isTurnedAway(line.to, by: line.from) else { return }
            heard(bytes, line, process)
        case .replication(let bytes, let life):
            let frame: ReplicationFrame
            do { frame = try ReplicationFrame.decode(bytes) } catch {
                return checker.fail("m\(line.to) cannot read a frame of m\(line.from): \(error)")
            }
            process.replication?.receive(frame, from: life, now: now)
        case .snapshot(let partition, let snapshot, let epoch, _):
            if !install(snapshot, partition, epoch, line.to, process) { events.plan(event, at: now + 500) }
        case .call(let request): call(request, line.to, process)
        case .answer, .heard: break
        case .said(let link, let frame): said(frame, link, line, process)
        case .mail(let id, let bytes, let isAnswer): mail(id, bytes, isAnswer: isAnswer, line, process)
        case .ask(let id, let request): ask(id, request, line, process)
        case .told(let id, let result): answered(id, result, line.to, process)
        }
        finishRound(line.to)
    }

    /// As in the handshake of the mesh, nobody talks to a process whose disk says less than its node's last
    /// confirmed start. Requests get through, so that the process is told why.
    private func isTurnedAway(_ index: Int, by other: Int) -> Bool {
        guard settings.without?.placement.contains(.noGoingBack) != true,
            let node = machines[other].process?.client.map?[node(index, seenBy: other)]
        else { return false }
        let disk = machines[index].disk
        return node.store == disk.store && disk.incarnation < node.disk.persisted
    }

    /// A connection that is refused is one that is not there.
    private func turnedAway(_ packet: Packet, _ line: SimulatedNetwork.Line) {
        guard case .request = packet else { return }
        events.plan(.refused(asker: line.from, peer(line.to, seenBy: line.from)), at: now + 200)
    }

    /// Nobody is there: whoever asked for a connection is told so.
    private func unheard(_ packet: Packet, _ line: SimulatedNetwork.Line) {
        if case .ask(let name, _) = packet { return comesBack(name, line.from) }
        guard settings.extremes.refusesConnections, !network.isCut(line.to, line.from) else { return }
        switch packet {
        case .request:
            events.plan(
                .refused(asker: line.from, peer(line.to, seenBy: line.from)), at: now + 200)
        case .call(let call): answered(SimulatedAnswer(call: call, result: nil))
        default: break
        }
    }

    func nextCall(_ index: Int) {
        guard clients[index].call == nil, !stopsCalling else { return }
        guard belongs(index) else { return events.plan(.clientTurn(index), at: now + 100_000) }
        let partition = PartitionID(Int(chance(0...UInt64(settings.partitions - 1))))
        clients[index].sequence += 1
        clients[index].call = SimulatedCall(
            kind: happens(25) ? .read : .increment, client: index, sequence: clients[index].sequence,
            attempt: 0, partition: partition)
        clients[index].calledAt = now
        clients[index].floor = watch(clients[index].founder) { $0.toldMax[partition] ?? 0 }
        sendCall(index)
    }

    /// Asks whom some machine's map calls the owner; a map may be old, and a machine wrong.
    func sendCall(_ index: Int) {
        guard var call = clients[index].call else { return }
        clients[index].attempt += 1
        call.attempt = clients[index].attempt
        events.plan(.clientTimeout(index, attempt: call.attempt), at: now + Self.callMicros)
        let somebody = somebody(of: clients[index].founder)
        var target = somebody.index
        let place = place(of: call, at: somebody.index)
        if let owner = somebody.process?.client.map?[place]?.owner, !happens(5) {
            target = machine(owner.node, seenBy: somebody.index)
        }
        if call.kind == .increment, call.attempt == 1 || clients[index].call?.attempt == 0 {
            watch(clients[index].founder) { $0.noteAsked(call) }
        }
        clients[index].call = call
        send(.call(call), from: machines.count + index, to: target, isControl: false)
    }

    func answered(_ answer: SimulatedAnswer) {
        let index = answer.call.client
        guard let call = clients[index].call, call.sequence == answer.call.sequence else { return }
        guard let result = answer.result else {
            // Not served there: again in a moment, if this is the newest attempt.
            guard answer.call.attempt == clients[index].attempt else { return }
            clients[index].attempt += 1
            let attempt = clients[index].attempt
            return events.plan(.clientTimeout(index, attempt: attempt), at: now + chance(20_000...200_000))
        }
        clients[index].call = nil
        report.acknowledged += 1
        mark(result)
        let floor = clients[index].floor
        watch(clients[index].founder) { $0.told(call, result, floor: floor) }
        if settings.recordsHistory {
            report.history.append(
                SimulatedOperation(
                    client: index, partition: Int(call.partition.rawValue), isRead: call.kind == .read,
                    calledAt: clients[index].calledAt, answeredAt: now, result: result))
        }
        if call.kind == .increment { clients[index].increments[call.partition, default: 0] += 1 }
        events.plan(.clientTurn(index), at: now + chance(1_000...60_000))
    }
}
