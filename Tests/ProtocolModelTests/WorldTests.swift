import Testing

@testable import ProtocolModel

@Suite("The model's states and promises")
struct WorldTests {
    private let model = Model(scope: Scope())

    @Test func anEntryThatAMemberLacksIsLost() {
        var world = model.initial
        world.acknowledged.append(Entry(epoch: 1, value: 1))
        #expect(model.violation(in: world) == .lost(index: 1, member: 0))
        for node: NodeIndex in [0, 1] { world[node].disk.log.append(Entry(epoch: 1, value: 1)) }
        // Node 2 is no member.
        #expect(model.violation(in: world) == nil)
        world[1].disk.log.truncate(to: 0)
        world[1].disk.log.append(Entry(epoch: 2, value: 2))
        #expect(model.violation(in: world) == .lost(index: 1, member: 1))
        // A disk that is not the registered one is known to be gone.
        world[1].disk.store = 2
        #expect(model.violation(in: world) == nil)
    }

    @Test func twoValuesAtOneIndexAreSeen() {
        var world = model.initial
        world.acknowledged.append(Entry(epoch: 1, value: 1))
        world[0].log.append(Entry(epoch: 1, value: 2))
        world[0].flush()
        world[0].isr = NodeSet(bits: 0b001)
        let committed = model.apply(.commit(0), to: world)
        #expect(model.violation(in: committed) == .twoValues(index: 1))
    }

    @Test func twoOwnersOfAnEpochAreSeen() {
        var world = model.initial
        world[2].role = .owner
        #expect(model.violation(in: world) == .twoOwners(epoch: 1))
        world[2].epoch = 2
        #expect(model.violation(in: world) == nil)
    }

    @Test func logsAreCutAndContinued() {
        var log = Log()
        for value in 1...Log.capacity { log.append(Entry(epoch: 1, value: value)) }
        #expect(log.count == 4)
        #expect(log[4] == Entry(epoch: 1, value: 4))
        log.truncate(to: 2)
        log.append(Entry(epoch: 15, value: 9))
        #expect("\(log)" == "[v1@1 v2@1 v9@15]")
        #expect(!log[0].exists && !log[4].exists && !log[5].exists)
    }

    @Test func theOrderOfSendingIsForgotten() {
        let messages = (1...3).map { Message(.append, from: 0, to: 1, epoch: $0, index: 1) }
        var one = model.initial
        var other = model.initial
        for message in messages { one.messages.insert(message, limit: 4) }
        for message in messages.reversed() + messages { other.messages.insert(message, limit: 4) }
        #expect(one.fingerprint == other.fingerprint)
        #expect(other.messages.count == 3)
        other.messages.remove(1)
        #expect(one.fingerprint != other.fingerprint)
        other.messages.insert(messages[0], limit: 2)
        #expect(other.messages.count == 2)
    }

    /// Bytes that no field owns would make equal states look different.
    @Test func aStateHasNoUndefinedBytes() {
        #expect(MemoryLayout<Replica>.size == 24)
        #expect(MemoryLayout<ControlPlane>.size == 16)
        #expect(MemoryLayout<World.Used>.size == 7)
        let rest = 4 + 1 + 1 + 1 + 1 + 1 + MemoryLayout<Disk>.size
        #expect(MemoryLayout<World>.size == 3 * 24 + 16 + 7 + rest + MemoryLayout<MessageBag>.size)
        #expect(MemoryLayout<World>.size % 8 == 0)
        #expect(MemoryLayout<MessageBag>.size == 8 + 4 * 8)
    }
}
