import Identifiers
import ReplicationCore
import Testing
import TimeAndChance

/// Both ends of one snapshot over a connection that breaks, with disks that take their time.
private struct Transfer {
    static let settings: SnapshotSettings = {
        var settings = SnapshotSettings()
        settings.windowChunks = 3
        settings.offerAgainTicks = 5
        settings.giveUpTicks = 40
        return settings
    }()

    let header: SnapshotHeader
    let chunks: [SnapshotChunk]
    var random: SplitMix64
    var sender: SnapshotSender
    var receiver: SnapshotReceiver?
    var isLinked = false
    var toReceiver: [SnapshotMessage] = []
    var toSender: [SnapshotAnswer] = []
    var reads: [Int] = []
    /// What the receiver's disk has, in order.
    var written: [SnapshotChunk] = []
    var unwritten: [SnapshotChunk] = []
    var mustInstall = false
    var isInstalled = false
    var sent = 0
    var ends: [SnapshotSender.Outcome] = []
    var receiverEnds: [SnapshotReceiver.Outcome] = []
    var inFlightMax = 0

    init(seed: UInt64, chunkCount: Int = 12) {
        random = SplitMix64(seed: seed)
        var header = SnapshotMessageTests.header
        header.byteCount = chunkCount * 8
        header.chunkBytes = 8
        self.header = header
        var hash = SnapshotHash(header)
        chunks = (0..<chunkCount).map { index in
            let bytes = [UInt8](repeating: UInt8(index), count: 8)
            hash.add(bytes)
            return SnapshotChunk(index: index, hash: hash.value, bytes: bytes)
        }
        sender = SnapshotSender(header, settings: Self.settings)
    }

    mutating func tell(_ event: SnapshotSender.Event) {
        for effect in sender.handle(event) {
            switch effect {
            case .send(let message):
                if case .chunk = message { sent += 1 }
                if isLinked { toReceiver.append(message) }
            case .read(let chunk): reads.append(chunk)
            case .ended(let outcome): ends.append(outcome)
            }
        }
        let ahead = toReceiver.count { if case .chunk = $0 { true } else { false } }
        inFlightMax = max(inFlightMax, ahead + unwritten.count)
    }

    mutating func tell(_ event: SnapshotReceiver.Event) {
        guard var receiver else { return }
        let effects = receiver.handle(event)
        self.receiver = receiver
        for effect in effects {
            switch effect {
            case .answer(let answer): if isLinked { toSender.append(answer) }
            case .write(let chunk): unwritten.append(chunk)
            case .install: mustInstall = true
            case .ended(let outcome):
                receiverEnds.append(outcome)
                self.receiver = nil
                if outcome != .installed { (written, unwritten) = ([], []) }
            }
        }
    }

    mutating func link(_ isUp: Bool) {
        guard isUp != isLinked else { return }
        isLinked = isUp
        (toReceiver, toSender) = ([], [])
        tell(isUp ? SnapshotSender.Event.linkUp : .linkDown)
        if !isUp { tell(SnapshotReceiver.Event.linkDown) }
    }

    /// One thing that is under way happens.
    mutating func step() {
        switch Int.random(in: 0..<5, using: &random) {
        case 0 where !reads.isEmpty: tell(.chunk(chunks[reads.removeFirst()]))
        case 1 where !toReceiver.isEmpty: arrive(toReceiver.removeFirst())
        case 2 where !toSender.isEmpty: tell(.answer(toSender.removeFirst()))
        case 3 where !unwritten.isEmpty:
            written.append(unwritten.removeFirst())
            tell(.written(next: written.count))
        case 4 where mustInstall:
            mustInstall = false
            isInstalled = true
            tell(SnapshotReceiver.Event.installed)
        default: break
        }
    }

    private mutating func arrive(_ message: SnapshotMessage) {
        if receiver == nil, case .offer(let header) = message {
            if isInstalled {
                toSender.append(SnapshotAnswer(header.partition, id: header.id, .refused(.notWanted)))
                return
            }
            receiver = SnapshotReceiver(header, settings: Self.settings)
            written = []
        }
        tell(.message(message))
    }

    mutating func tick() {
        tell(SnapshotSender.Event.tick)
        tell(SnapshotReceiver.Event.tick)
    }

    /// The receiver's process is another one now, which has nothing.
    mutating func restartReceiver() {
        link(false)
        receiver = nil
        (written, unwritten, mustInstall) = ([], [], false)
    }
}

@Suite struct SnapshotTransferTests {
    @Test func `A snapshot arrives whole and in order, a few chunks at a time`() {
        for seed in 0..<20 as Range<UInt64> {
            var transfer = Transfer(seed: seed)
            transfer.link(true)
            for _ in 0..<2_000 where transfer.ends.isEmpty { transfer.step() }
            #expect(transfer.ends == [.installed])
            #expect(transfer.receiverEnds == [.installed])
            #expect(transfer.written == transfer.chunks)
            #expect(transfer.sent == transfer.chunks.count, "nothing goes twice over one connection")
            #expect(transfer.inFlightMax <= Transfer.settings.windowChunks)
            #expect(transfer.sender.acknowledgedBytes == transfer.header.byteCount)
        }
    }

    @Test func `It goes on where it was after a connection was lost, and from the front after a restart`() {
        var resent = 0
        for seed in 0..<200 as Range<UInt64> {
            var transfer = Transfer(seed: seed)
            transfer.link(true)
            var restarts = 0
            for number in 0..<20_000 where transfer.ends.isEmpty {
                transfer.step()
                if number % 50 == 49 { transfer.tick() }
                switch transfer.random.next() % 100 {
                case 0: transfer.link(!transfer.isLinked)
                case 1 where restarts < 2 && !transfer.isInstalled:
                    restarts += 1
                    transfer.restartReceiver()
                case 2...20: transfer.link(true)
                default: break
                }
            }
            #expect(transfer.isInstalled, "seed \(seed)")
            let isKnown = transfer.ends == [.installed] || transfer.ends == [.refused(.notWanted)]
            #expect(isKnown, "seed \(seed): \(transfer.ends)")
            #expect(transfer.written == transfer.chunks, "seed \(seed)")
            if restarts == 0 { resent = max(resent, transfer.sent - transfer.chunks.count) }
        }
        #expect(resent > 0, "some were lost with a connection")
    }

    @Test func `A chunk that was lost on a living connection is sent again`() {
        var transfer = Transfer(seed: 1)
        transfer.link(true)
        var hasLost = false
        for number in 0..<5_000 where transfer.ends.isEmpty {
            if !hasLost, case .chunk? = transfer.toReceiver.first {
                transfer.toReceiver.removeFirst()
                hasLost = true
            }
            transfer.step()
            if number % 50 == 49 { transfer.tick() }
        }
        #expect(transfer.ends == [.installed])
        #expect(transfer.written == transfer.chunks)
    }

    @Test func `Both sides give up when nobody is there, and nothing is left`() {
        var transfer = Transfer(seed: 3)
        transfer.link(true)
        for _ in 0..<30 { transfer.step() }
        #expect(transfer.receiver != nil)
        transfer.link(false)
        for _ in 0..<Transfer.settings.giveUpTicks { transfer.tick() }
        #expect(transfer.ends == [.gaveUp])
        #expect(transfer.receiverEnds == [.abandoned])
        #expect(transfer.sender.handle(.linkUp).isEmpty)
    }

    @Test func `What was read for a lost connection is not sent in the wrong place of the next`() {
        var transfer = Transfer(seed: 2)
        let (header, chunks) = (transfer.header, transfer.chunks)
        func accepted(_ next: Int) -> SnapshotSender.Event {
            .answer(SnapshotAnswer(header.partition, id: header.id, .accepted(next: next)))
        }
        _ = transfer.sender.handle(.linkUp)
        #expect(transfer.sender.handle(accepted(5)) == (5..<8).map { .read(chunk: $0) })
        _ = transfer.sender.handle(.linkDown)
        _ = transfer.sender.handle(.linkUp)
        // The receiver is another process, which has nothing.
        #expect(transfer.sender.handle(accepted(0)).isEmpty, "as many reads are under way as may be")
        for stale in 5..<8 {
            #expect(transfer.sender.handle(.chunk(chunks[stale])) == [.read(chunk: stale - 5)])
        }
        let sent = transfer.sender.handle(.chunk(chunks[0]))
        #expect(sent == [.send(.chunk(header.partition, id: header.id, chunks[0]))])
    }

    @Test func `A busy receiver is asked again; one that refuses is not`() {
        let header = SnapshotMessageTests.header
        for reason in SnapshotAnswer.Refusal.allCases {
            var sender = SnapshotSender(header, settings: Transfer.settings)
            #expect(sender.handle(.linkUp) == [.send(.offer(header))])
            let answer = SnapshotAnswer(header.partition, id: header.id, .refused(reason))
            let isBusy = reason == .busy
            #expect(sender.handle(.answer(answer)) == (isBusy ? [] : [.ended(.refused(reason))]))
            var later: [SnapshotSender.Effect] = []
            for _ in 0..<Transfer.settings.offerAgainTicks { later += sender.handle(.tick) }
            #expect(later == (isBusy ? [.send(.offer(header))] : []))
        }
    }

    @Test func `What cannot be read or written ends the snapshot on both sides`() {
        var broken = Transfer(seed: 4)
        broken.link(true)
        for _ in 0..<20 { broken.step() }
        broken.tell(SnapshotSender.Event.broken)
        for _ in 0..<200 { broken.step() }
        #expect(broken.ends == [.broken])
        #expect(broken.receiverEnds == [.abandoned])
        var failing = Transfer(seed: 5)
        failing.link(true)
        while failing.unwritten.isEmpty { failing.step() }
        failing.tell(SnapshotReceiver.Event.failed)
        for _ in 0..<200 where failing.ends.isEmpty { failing.step() }
        #expect(failing.ends == [.refused(.failed)])
        #expect(failing.receiverEnds == [.failed])
    }

    @Test func `Messages of another snapshot change nothing`() {
        let header = SnapshotMessageTests.header
        var sender = SnapshotSender(header)
        _ = sender.handle(.linkUp)
        let before = sender
        for (partition, id) in [(PartitionID(1), header.id), (header.partition, 9)] {
            let answer = SnapshotAnswer(partition, id: id, .accepted(next: 0))
            #expect(sender.handle(.answer(answer)).isEmpty)
        }
        #expect(sender == before)
        var receiver = SnapshotReceiver(header)
        #expect(receiver.handle(.message(.end(header.partition, id: 9))).isEmpty)
        #expect(receiver.handle(.message(.end(header.partition, id: header.id))) == [.ended(.abandoned)])
        // An answer that no chunk was sent for.
        let answer = SnapshotAnswer(header.partition, id: header.id, .accepted(next: 99))
        #expect(sender.handle(.answer(answer)) == [.ended(.refused(.failed))])
    }
}
