/// The linearizable control plane: one value, changed by one step at a time.
struct ControlPlane {
    static let nobody: NodeIndex = 0xFF

    var epoch: UInt8 = 1
    var owner: NodeIndex = 0
    var isr = NodeSet()
    /// Members whose disk is not the registered one any more: what is in sync is a disk that was replaced.
    var replaced = NodeSet()
    /// Counts the changes of owner and ISR; requests name the one they expect.
    var revision: UInt8 = 1
    var stores = PerNode()
    var incarnations = PerNode()
    /// A request to add a member that is under way; requests to drop take effect when they arrive.
    var addition = Addition()
    mutating func change(isr: NodeSet) {
        self.isr = isr
        replaced = replaced.intersection(isr)
        revision += 1
    }

    mutating func voidGrant() {
        owner = Self.nobody
        revision += 1
    }
}

/// "Add this store of this node to the ISR, if epoch and revision are still these."
struct Addition {
    var isUnderWay = false
    var node: NodeIndex = 0
    var store: UInt8 = 0
    var epoch: UInt8 = 0
    var revision: UInt8 = 0
}

/// A small number for each of three nodes.
struct PerNode {
    private var first: UInt8 = 0
    private var second: UInt8 = 0
    private var third: UInt8 = 0

    subscript(node: NodeIndex) -> UInt8 {
        get { node == 0 ? first : node == 1 ? second : third }
        set {
            switch node {
            case 0: first = newValue
            case 1: second = newValue
            default: third = newValue
            }
        }
    }
}
