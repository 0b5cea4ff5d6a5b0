/// A promise that a state breaks.
public enum Violation: Hashable, Sendable {
    /// A member of the ISR whose disk is there does not have what a client was told.
    case lost(index: UInt8, member: NodeIndex)
    case twoValues(index: UInt8)
    case twoOwners(epoch: UInt8)
    /// No disk of the ISR is there any more, although never more than some of them were lost together.
    case noCopy
}

extension Violation: CustomStringConvertible {
    public var description: String {
        switch self {
        case .lost(let index, let node):
            "the acknowledged entry #\(index) is not on the disk of member n\(node)"
        case .twoValues(let index): "#\(index) was acknowledged with two values"
        case .twoOwners(let epoch): "two nodes own epoch \(epoch)"
        case .noCopy: "no disk of the ISR is there any more"
        }
    }
}

extension Model {
    func violation(in world: World) -> Violation? {
        if world.conflict > 0 { return .twoValues(index: world.conflict) }
        if !nodes.contains(where: world.hasMember) { return .noCopy }
        for node in nodes {
            let replica = world[node]
            if world.hasMember(node), let index = missing(in: replica.disk.log, of: world.acknowledged) {
                return .lost(index: index, member: node)
            }
            guard replica.role == .owner else { continue }
            for other in 0..<node where world[other].role == .owner && world[other].epoch == replica.epoch {
                return .twoOwners(epoch: replica.epoch)
            }
        }
        return nil
    }

    private func missing(in log: Log, of acknowledged: Log) -> UInt8? {
        for index in 0..<acknowledged.count where log[index + 1].value != acknowledged[index + 1].value {
            return index + 1
        }
        return nil
    }
}
