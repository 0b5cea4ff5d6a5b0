import Identifiers
import ReplicationCore

extension ReplicaWorld {
    /// Runs one seed: faults for a while, then a healed world that must make progress.
    static func run(
        seed: UInt64, rules: ReplicationRules = .all, settings: WorldSettings = WorldSettings()
    ) throws -> ReplicaWorld {
        var world = ReplicaWorld(seed: seed, rules: rules, settings: settings)
        do {
            for _ in 0..<settings.steps {
                world.step()
                try world.check()
            }
            if rules == .all { try world.converge() }
        } catch let violation as Violation {
            throw Violation(
                description: "seed \(seed): \(violation)\n" + world.trace.suffix(400).joined(separator: "\n"))
        }
        return world
    }

    mutating func step() {
        let index = Int.random(in: nodes.indices, using: &random)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<14: if nextValue < settings.valuesMax { append(at: index) }
        case 14..<34: persistNext(index)
        case 34..<62: deliver()
        case 62..<74: flush(index)
        case 74..<82: pass()
        case 82..<88: learnMap(index)
        case 88..<92: decideRequest()
        case 92..<95: promoteSomebody()
        case 95..<96: suspectSomebody()
        case 96..<97: trimJournal(index)
        default: fail(index)
        }
    }

    private mutating func persistNext(_ index: Int) {
        guard let write = nodes[index].process?.pending.first else { return }
        nodes[index].process?.pending.removeFirst()
        nodes[index].disk.apply(write)
        switch write {
        case .log(let ticket, _): perform(.persisted(ticket: ticket), at: index)
        case .snapshot(let mark, let epochs, let epoch):
            perform(.snapshotInstalled(mark, epochs: epochs, epoch: epoch), at: index)
        }
    }

    private mutating func deliver() {
        guard !network.isEmpty else { return }
        let place = Int.random(in: network.indices, using: &random)
        let packet = network[place]
        // Sometimes it comes again later, sometimes never.
        if !chance(8) { network.remove(at: place) }
        if chance(5) { return }
        receive(packet.packet, at: packet.to)
    }

    private mutating func receive(_ packet: Packet, at index: Int) {
        guard let process = nodes[index].process else { return }
        switch packet {
        case .message(let message, let sender): perform(.received(message, from: sender), at: index)
        case .snapshot(let mark, let epochs, let epoch):
            guard !process.replica.isInstalling else { return }
            nodes[index].process?.arrived = .snapshot(mark, epochs, epoch)
            perform(.snapshotReady(mark, epoch: epoch), at: index)
        }
    }

    private mutating func flush(_ index: Int) { perform(.flush, at: index) }

    private mutating func pass() {
        now += UInt64.random(in: 1_000...40_000, using: &random)
        for index in nodes.indices { perform(.tick, at: index) }
    }

    private mutating func learnMap(_ index: Int) {
        guard let process = nodes[index].process else { return }
        let first = rules.contains(.learnsEpochsFirst) ? max(process.map, process.mapAtStart) : process.map
        let version = Int.random(in: first..<maps.count, using: &random)
        nodes[index].process?.map = version
        perform(.configured(maps[version]), at: index)
    }

    /// The control plane applies what an owner has asked for, if it still fits (R2, R8); or it is lost.
    private mutating func decideRequest() {
        guard !requests.isEmpty else { return }
        let place = Int.random(in: requests.indices, using: &random)
        let request = requests[place]
        if !chance(20) { requests.remove(at: place) }
        if chance(10) { return }
        guard request.epoch == config.epoch,
            request.revision == config.revision || !settings.checksRequests
        else { return }
        switch request.change {
        case .drop(let replica):
            guard config.owner?.replica != replica, config.inSync.contains(replica), config.inSync.count > 1
            else { return }
            let present = registered[Self.index(replica.node)].replica
            decide { map in
                map.inSync.removeAll { $0 == replica }
                map.leaving.removeAll { $0 == replica }
                map.learners.append(present)
            }
        case .add(let life):
            guard registered[Self.index(life.node)] == life || !settings.checksRequests else {
                for index in nodes.indices { perform(.changeRefused(request), at: index) }
                return
            }
            guard !config.inSync.contains(where: { $0.node == life.node }) else { return }
            let replica = registered[Self.index(life.node)].replica
            decide { map in
                map.learners.removeAll { $0.node == life.node }
                map.inSync.append(replica)
            }
        }
    }

    /// Anybody may be suspected at any time, rightly or not; the next owner is a live in-sync member (R4).
    private mutating func promoteSomebody() {
        guard config.epoch.rawValue < settings.epochsMax else { return }
        let candidates = registered.filter { life in
            config.inSync.contains(life.replica) || settings.promotesAnybody
        }
        guard let life = candidates.randomElement(using: &random),
            config.owner == nil || chance(40)
        else { return }
        let isAlone = settings.promotesAlone
        decide { map in
            map.epoch = Epoch(rawValue: map.epoch.rawValue + 1)
            map.owner = life
            // All stay, whoever is down (R19).
            let others = map.inSync.filter { $0.node != life.node }
            map.inSync = [life.replica]
            map.learners.removeAll { $0 == life.replica }
            if isAlone { map.learners += others } else { map.inSync += others }
        }
    }

    /// The control plane declares a replica down, or has it back; the owner's request is all that drops it.
    private mutating func suspectSomebody() {
        guard let replica = (config.inSync + config.learners).randomElement(using: &random),
            registered[Self.index(replica.node)].replica == replica
        else { return }
        var next = config
        if next.leaving.contains(replica) {
            next.leaving.removeAll { $0 == replica }
        } else {
            next.leaving.append(replica)
        }
        maps.append(next)
        note("control plane: leaving \(next.leaving)")
    }

    /// Committed and applied records leave the journal.
    private mutating func trimJournal(_ index: Int) {
        guard let process = nodes[index].process else { return }
        let safe = min(process.replica.committed, process.replica.durable, process.replica.log.base.position)
        while let first = nodes[index].disk.records.first, first.mark.position <= safe {
            let start = nodes[index].disk.baseEpochs.last?.epoch
            if start.map({ first.mark.epoch > $0 }) ?? true {
                nodes[index].disk.baseEpochs.append(
                    EpochStart(epoch: first.mark.epoch, first: first.mark.position))
            }
            nodes[index].disk.base = first.mark
            nodes[index].disk.records.removeFirst()
        }
        nodes[index].disk.applied = max(nodes[index].disk.applied, nodes[index].disk.base.position)
    }

    private mutating func fail(_ index: Int) {
        if nodes[index].process == nil {
            // A disk may be replaced while somebody else in sync has everything.
            if wipesLeft > 0, maySpare(index), chance(40) {
                wipesLeft -= 1
                wipe(index)
            }
            return start(index)
        }
        guard crashesLeft > 0 else { return }
        crashesLeft -= 1
        crash(index)
    }

    /// Nothing fails any more: the partition must serve, and everybody catch up.
    mutating func converge() throws {
        for index in nodes.indices where nodes[index].process == nil { start(index) }
        var settled = config
        settled.leaving.removeAll { registered[Self.index($0.node)].replica == $0 }
        maps.append(settled)
        let goal = acknowledgedEnd
        for round in 0..<4_000 {
            if config.owner == nil, let life = registered.first(where: { config.inSync.contains($0.replica) })
            {
                decide { map in
                    map.epoch = Epoch(rawValue: map.epoch.rawValue + 1)
                    map.owner = life
                }
            }
            now += 5_000
            for index in nodes.indices {
                if let process = nodes[index].process, process.map < maps.count - 1 || round % 50 == 0 {
                    nodes[index].process?.map = maps.count - 1
                    perform(.configured(config), at: index)
                }
                while nodes[index].process?.pending.isEmpty == false { persistNext(index) }
                perform(.tick, at: index)
                perform(.flush, at: index)
            }
            for _ in 0..<network.count {
                let packet = network.removeFirst()
                receive(packet.packet, at: packet.to)
            }
            decideRequest()
            try check()
            let owners = nodes.indices.filter { nodes[$0].process?.serving == config.epoch }
            guard let owner = owners.first, acknowledgedEnd > goal || appendOnce(owner) else { continue }
            let ends = Set(nodes.map { $0.process?.replica.durable ?? .zero })
            if acknowledgedEnd > goal, config.inSync.count == nodes.count, ends.count == 1 { return }
        }
        throw Violation(
            description: "no progress: acknowledged \(acknowledgedEnd.rawValue), map \(config), ends "
                + nodes.map {
                    $0.process.map { "\($0.replica.log.end) durable \($0.replica.durable.rawValue)" } ?? "-"
                }
                .joined(separator: ", "))
    }

    private mutating func appendOnce(_ index: Int) -> Bool {
        append(at: index)
        return true
    }
}
