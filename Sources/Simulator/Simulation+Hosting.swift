import ByteCoding
import ControlCore
import Identifiers
import PlacementCore
import ReplicationCore

/// The part that an actor host plays: turns on a state that runs ahead, answers behind the gate.
extension Simulation {
    func perform(
        _ effect: ReplicaEffect, of partition: PartitionID, at index: Int, _ process: SimulatedProcess
    ) {
        if let node = process.node, note(effect, of: partition, at: index, process, node) { return }
        switch effect {
        case .committed(let position): committed(position, partition, index, process)
        case .lead(let epoch, let end): lead(epoch, end, partition, index, process)
        case .serve(let epoch):
            process.hosts[partition]?.isServing = true
            watch(at: index) { $0.serve(partition, epoch, by: index, process.number) }
            note("m\(index) serves p\(partition.rawValue) in epoch \(epoch.rawValue)")
        case .standDown(let epoch):
            note("m\(index) no longer owns p\(partition.rawValue), epoch \(epoch.rawValue)")
            // What waits behind the gate has an unknown outcome; its clients ask again.
            let host = process.hosts.removeValue(forKey: partition)
            let reads = host?.reads.sorted { $0.key < $1.key }.map(\.value.call) ?? []
            for call in reads + (host?.gate.map(\.call) ?? []) {
                answer(SimulatedAnswer(call: call, result: nil), from: index)
            }
        case .readLog(let replica, let position, let bytesMax):
            let stored = machines[index].disk.partitions[Int(partition.rawValue)]
            let records = stored.records(after: position, bytesMax: bytesMax)
            process.replication?.handle(
                .logRead(for: replica, after: position, records: records), of: partition, now: now)
        case .sendSnapshot(let replica): sendSnapshot(replica, partition, index, process)
        case .readConfirmed(let id): confirmRead(id, partition, index, process)
        case .readLost(let id):
            guard let read = process.hosts[partition]?.reads.removeValue(forKey: id) else { return }
            answer(SimulatedAnswer(call: read.call, result: nil), from: index)
        case .damaged(let reason): checker.fail("m\(index) p\(partition.rawValue) is damaged: \(reason)")
        case .handOver(let life, let revision):
            note("m\(index) hands p\(partition.rawValue) over to \(life), whose log reaches further")
            let token = process.nextToken
            process.nextToken += 1
            let command = Command.promote(partition, Revision(rawValue: revision), to: life)
            take(process.client.handle(.propose(token: token, [command])), at: index)
        // The simulation asks `wantsSnapshot` itself, and puts a snapshot in place in one step.
        case .persist, .send, .propose, .installSnapshot, .discardSnapshot: break
        }
    }

    /// What the replicas of a process ask for in one round goes into one entry.
    func propose(_ requests: [MembershipRequest], _ index: Int, _ process: SimulatedProcess) {
        guard !requests.isEmpty else { return }
        let token = process.nextToken
        process.nextToken += 1
        process.proposals[token] = requests
        for request in requests { requested[request.partition, default: Removals()].add(request) }
        note(
            "m\(index) proposes "
                + requests.map { "\($0.change) for p\($0.partition.rawValue)" }.joined(separator: ", "))
        let commands = requests.map {
            Command.changeInSync($0.partition, $0.epoch, Revision(rawValue: $0.revision), $0.change)
        }
        take(process.client.handle(.propose(token: token, commands)), at: index)
    }

    // MARK: Owning

    private func lead(
        _ epoch: Epoch, _ end: LogMark, _ partition: PartitionID, _ index: Int, _ process: SimulatedProcess
    ) {
        // Everything up to the log's end is on disk by now, and becomes the new owner's state.
        var stored = machines[index].disk.partitions[Int(partition.rawValue)]
        stored.apply(through: end.position)
        guard stored.end == end, stored.applied == end.position else {
            return checker.fail(
                "m\(index) leads p\(partition.rawValue) after \(end), its disk has \(stored.end)")
        }
        process.hosts[partition] = SimulatedHost(epoch: epoch, state: stored.tables, end: end, time: now)
        append(kind: .epochStart, [], to: partition, index, process)
    }

    private func append(
        kind: JournalRecord.Kind, _ body: [UInt8], to partition: PartitionID, _ index: Int,
        _ process: SimulatedProcess
    ) {
        guard let host = process.hosts[partition] else { return }
        let position = host.end.position.next
        let (bytes, hash) = JournalRecord(
            kind: kind, partition: partition, epoch: host.epoch, position: position, time: now,
            previousHash: host.end.hash, body: body
        ).encoded()
        let mark = LogMark(position: position, epoch: host.epoch, hash: hash)
        let record = LogRecord(mark: mark, previousHash: host.end.hash, bytes: bytes)
        process.hosts[partition]?.end = mark
        process.replication?.handle(.append([record]), of: partition, now: now)
    }

    /// The partition that a call is about, by the constants of the map. Without R16 every other machine goes
    /// by constants of its own, as if it had come from another initialisation.
    func place(of call: SimulatedCall, at index: Int) -> PartitionID {
        guard settings.without?.hasOwnConstants == true, index % 2 == 1 else { return call.partition }
        return PartitionID((Int(call.partition.rawValue) + 1) % settings.partitions)
    }

    func call(_ call: SimulatedCall, _ index: Int, _ process: SimulatedProcess) {
        let partition = place(of: call, at: index)
        guard let host = process.hosts[partition], host.isServing, !host.isHandingOver else {
            return answer(SimulatedAnswer(call: call, result: nil), from: index)
        }
        switch call.kind {
        case .read:
            let id = process.nextToken
            process.nextToken += 1
            process.hosts[partition]?.reads[id] = (call, host.end.position, false)
            process.replication?.handle(.confirmRead(id), of: partition, now: now)
        case .increment:
            let known = host.state.answers[UInt64(call.client)]
            if let known, known.sequence >= call.sequence {
                guard known.sequence == call.sequence else { return }
                process.hosts[partition]?.gate.append((host.end.position, call, known.result))
            } else {
                let change = Tally.Change(
                    client: UInt64(call.client), sequence: call.sequence, result: host.state.total + 1)
                process.hosts[partition]?.state.total = change.result
                process.hosts[partition]?.state.answers[change.client] = (change.sequence, change.result)
                append(kind: .turn, change.bytes, to: partition, index, process)
                process.hosts[partition]?.gate.append((host.end.position.next, call, change.result))
            }
            release(partition, index, process)
        }
        finishRound(index)
    }

    private func committed(
        _ position: LogPosition, _ partition: PartitionID, _ index: Int, _ process: SimulatedProcess
    ) {
        guard let replica = process.replication?.replicas[partition] else { return }
        report.commits += 1
        let safe = min(position, replica.durable)
        machines[index].disk.partitions[Int(partition.rawValue)].apply(through: safe)
        if let hash = machines[index].disk.partitions[Int(partition.rawValue)].hash(at: safe) {
            watch(at: index) { $0.committed(partition, safe, hash, by: index) }
        }
        release(partition, index, process)
    }

    /// Lets out what waits for a commit that has happened (R17).
    private func release(_ partition: PartitionID, _ index: Int, _ process: SimulatedProcess) {
        guard let replica = process.replication?.replicas[partition], let host = process.hosts[partition]
        else {
            return
        }
        let isGated = settings.without?.replication.contains(.outputGate) ?? true
        let committed = isGated ? replica.committed : LogPosition(rawValue: .max)
        for (position, call, result) in host.gate where position <= committed {
            if let hash = replica.log.mark(at: position)?.hash
                ?? machines[index].disk.partitions[Int(partition.rawValue)].hash(at: position)
            {
                watch(at: index) { $0.acknowledge(partition, position, hash) }
            }
            answer(SimulatedAnswer(call: call, result: result), from: index)
        }
        process.hosts[partition]?.gate.removeAll { $0.position <= committed }
        for (id, read) in host.reads.sorted(by: { $0.key < $1.key })
        where read.isConfirmed && read.after <= committed {
            process.hosts[partition]?.reads[id] = nil
            let tables = machines[index].disk.partitions[Int(partition.rawValue)].tables
            answer(SimulatedAnswer(call: read.call, result: tables.total), from: index)
        }
        endHandover(partition, host.epoch, index, process)
    }

    private func confirmRead(
        _ id: UInt64, _ partition: PartitionID, _ index: Int, _ process: SimulatedProcess
    ) {
        process.hosts[partition]?.reads[id]?.isConfirmed = true
        release(partition, index, process)
    }

    // MARK: Snapshots

    private func sendSnapshot(
        _ replica: ReplicaID, _ partition: PartitionID, _ index: Int, _ process: SimulatedProcess
    ) {
        let stored = machines[index].disk.partitions[Int(partition.rawValue)]
        let mark = stored.record(at: stored.applied)?.mark ?? stored.base
        if let core = process.replication?.replicas[partition], let epoch = core.owner?.epoch {
            let epochs = core.log.epochs.filter { $0.first <= mark.position }
            let snapshot = PartitionSnapshot(
                mark: mark, epochs: epochs, tables: stored.tables, rows: stored.rows, time: stored.time)
            note("m\(index) sends a snapshot of p\(partition.rawValue) up to \(mark) to \(replica)")
            send(
                .snapshot(partition, snapshot, epoch, from: core.me), from: index,
                to: machine(replica.node, seenBy: index), isControl: false)
        }
        events.plan(
            .snapshotEnded(machine: index, process: process.number, partition, replica), at: now + 100_000)
    }

    /// - Returns: false if the journal is busy, and it has to be tried again.
    func install(
        _ snapshot: PartitionSnapshot, _ partition: PartitionID, _ epoch: Epoch, _ index: Int,
        _ process: SimulatedProcess
    ) -> Bool {
        guard let replica = process.replication?.replicas[partition],
            replica.wantsSnapshot(snapshot.mark, epoch: epoch)
        else { return true }
        guard process.laneWrites.isEmpty, !process.isLaneSyncing else { return false }
        machines[index].disk.partitions[Int(partition.rawValue)].install(snapshot)
        process.node?.times[Int(partition.rawValue)].formMax(snapshot.time)
        note("m\(index) installs a snapshot of p\(partition.rawValue) up to \(snapshot.mark)")
        process.replication?.handle(
            .snapshotInstalled(snapshot.mark, epochs: snapshot.epochs, epoch: epoch), of: partition, now: now)
        finishRound(index)
        return true
    }

    private func answer(_ answer: SimulatedAnswer, from index: Int) {
        send(.answer(answer), from: index, to: machines.count + answer.call.client, isControl: false)
    }
}
