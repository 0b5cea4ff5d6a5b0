/// Something that can happen next. What it means is in `Model.apply`.
public enum Step: Hashable, Sendable {
    // Clients and owners
    case write(NodeIndex)
    case flush(NodeIndex)
    case send(owner: NodeIndex, to: NodeIndex, index: UInt8)
    case commit(NodeIndex)
    case requestAddition(owner: NodeIndex, NodeIndex)
    /// The owner learns of a newer configuration, or that it is no longer the owner.
    case learn(NodeIndex)
    case activate(NodeIndex)

    // The control plane
    case decideAddition
    /// By request of the owner; without R19, also because the node is held to be down.
    case drop(NodeIndex)
    case promote(NodeIndex, isr: NodeSet)

    // The network
    case deliver(slot: UInt8)
    /// Another copy stays under way.
    case deliverCopy(slot: UInt8)
    case lose(slot: UInt8)

    // Faults
    case crash(NodeIndex)
    /// Starts the process, which registers with the control plane.
    case start(NodeIndex)
    case wipe(NodeIndex)
    case takeImage(NodeIndex)
    case restoreImage(NodeIndex)
    case loseTail(NodeIndex)

    // What only a switched-off rule allows
    case dropAlone(owner: NodeIndex, NodeIndex)
    case surviveJournalError(NodeIndex)
}

extension Step {
    /// In words, for a trace; `world` is the state before the step.
    func sentence(in world: World) -> String {
        switch self {
        case .write(let node): "n\(node) takes a write, #\(world[node].log.count + 1)"
        case .flush(let node): "n\(node) flushes its log \(world[node].log)"
        case .send(let owner, let node, let index):
            "n\(owner) sends n\(node) #\(index)=\(world[owner].log[index]) of epoch \(world[owner].epoch)"
        case .commit(let node): "n\(node) commits what it can and answers its clients"
        case .requestAddition(let owner, let node): "n\(owner) asks to add n\(node) to the ISR"
        case .learn(let node):
            world.control.owner == node ? "n\(node) learns the ISR" : "n\(node) learns that it is deposed"
        case .activate(let node): "n\(node) begins to own epoch \(world.control.epoch)"
        case .decideAddition: "control plane decides on the addition of n\(world.control.addition.node)"
        case .drop(let node): "control plane drops n\(node) from the ISR"
        case .promote(let node, let isr):
            "control plane promotes n\(node) to epoch \(world.control.epoch + 1), ISR \(isr)"
        case .deliver(let slot): "arrives: \(world.messages[slot])"
        case .deliverCopy(let slot): "arrives, not for the last time: \(world.messages[slot])"
        case .lose(let slot): "is lost: \(world.messages[slot])"
        case .crash(let node): "n\(node) crashes"
        case .start(let node): "n\(node) starts and registers"
        case .wipe(let node): "n\(node) gets an empty disk"
        case .takeImage(let node): "an image of the disk of n\(node) is taken"
        case .restoreImage(let node): "n\(node) gets its disk back from the image"
        case .loseTail(let node): "the disk of n\(node) loses its last entry"
        case .dropAlone(let owner, let node): "n\(owner) drops n\(node) by itself"
        case .surviveJournalError(let node): "n\(node) fails to write its journal and goes on"
        }
    }
}
