/// One state of the model: the nodes, the control plane, the messages under way and what clients were told.
///
/// Fixed size and without undefined bytes, so that its bytes are its identity.
struct World {
    private var replicas = (Replica(), Replica(), Replica())
    var control = ControlPlane()
    /// What clients were told: for each index, the entry that was acknowledged.
    var acknowledged = Log()
    /// The index that was acknowledged with two values, or zero.
    var conflict: UInt8 = 0
    /// Disks that lost the end of their log and were not started since.
    var damaged = NodeSet()
    /// The node whose disk was set back in the same life, and where its log ended before, until it reaches as
    /// far again.
    var setBack: NodeIndex = ControlPlane.nobody
    var lostEnd = LogEnd()
    var used = Used()
    /// An image of the disk of node `imageOf`.
    var imageOf: NodeIndex = ControlPlane.nobody
    var image = Disk()
    var messages = MessageBag()

    /// What was used up of the bounds of `Scope`.
    struct Used {
        var values: UInt8 = 0
        var additions: UInt8 = 0
        var crashes: UInt8 = 0
        var wipes: UInt8 = 0
        var images: UInt8 = 0
        var lostTails: UInt8 = 0
        var journalErrors: UInt8 = 0
    }

    subscript(node: NodeIndex) -> Replica {
        get {
            switch node {
            case 0: replicas.0
            case 1: replicas.1
            default: replicas.2
            }
        }
        set {
            switch node {
            case 0: replicas.0 = newValue
            case 1: replicas.1 = newValue
            default: replicas.2 = newValue
            }
        }
    }

    /// Whether the node has the disk that the control plane believes it has.
    func hasRegisteredStore(_ node: NodeIndex) -> Bool {
        let disk = self[node].disk
        return disk.store == control.stores[node] && disk.incarnation == control.incarnations[node]
            && !damaged.contains(node) && setBack != node
    }

    /// Whether the node is in sync with a disk that is there.
    func hasMember(_ node: NodeIndex) -> Bool {
        control.isr.contains(node) && !control.replaced.contains(node) && hasRegisteredStore(node)
    }

    /// The disk that was set back has everything again, or is gone.
    mutating func forgetSetBack() { (setBack, lostEnd) = (ControlPlane.nobody, LogEnd()) }

    /// Equal worlds have equal fingerprints. That different ones have different fingerprints is as good as
    /// certain: with ten million states, two collide once in some 400,000 searches.
    var fingerprint: UInt64 {
        withUnsafeBytes(of: self) { bytes in
            var hash: UInt64 = 0x9E37_79B9_7F4A_7C15
            for word in bytes.bindMemory(to: UInt64.self) {
                hash = (hash ^ word) &* 0xBF58_476D_1CE4_E5B9
                hash ^= hash >> 29
            }
            hash = (hash ^ hash >> 32) &* 0x94D0_49BB_1331_11EB
            return hash ^ hash >> 31
        }
    }
}
