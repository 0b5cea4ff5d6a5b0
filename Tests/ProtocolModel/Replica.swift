/// What survives a crash of a node.
struct Disk {
    var log = Log()
    /// The highest epoch that the node promised to obey.
    var epoch: UInt8 = 0
    /// Which disk this is: a replaced one has a higher number.
    var store: UInt8 = 0
    /// Counted up at each start, if there are images to tell apart.
    var incarnation: UInt8 = 0
    /// What the node knows to be committed; written down only where R7 is switched off, which needs it.
    var commit: UInt8 = 0
}

enum Role: UInt8 { case down, follower, owner }

/// One node: its disk, and what is only in its memory.
struct Replica {
    var disk = Disk()
    /// Includes what is not on disk yet.
    var log = Log()
    /// Of an owner: which store of each node answered, and how far it has the log on disk.
    var progress = Progress()
    var role = Role.down
    var epoch: UInt8 = 0
    /// Of an owner: the members it knows, as of `revision`, and those it asked the control plane to add.
    var isr = NodeSet()
    var pending = NodeSet()
    var revision: UInt8 = 0
    var commit: UInt8 = 0
    /// Of an owner: the end of its log when it began its epoch.
    var epochStart: UInt8 = 0
    /// Whether the process began with what its disk gave it; counts where R20 does.
    var hasOnlyItsDisk = false

    var isUp: Bool { role != .down }
    var isFlushed: Bool { log == disk.log }

    mutating func flush() { disk.log = log }

    /// Forgets everything that only an owner knows.
    mutating func follow() {
        role = .follower
        progress = Progress()
        isr = NodeSet()
        pending = NodeSet()
        revision = 0
        commit = 0
        epochStart = 0
    }

    mutating func crash() {
        follow()
        role = .down
        log = Log()
        epoch = 0
    }
}

/// For each node a store and the index up to which that store acknowledged, four bits each.
struct Progress {
    private var bits: UInt32 = 0

    subscript(node: NodeIndex) -> (store: UInt8, acknowledged: UInt8) {
        get {
            let byte = UInt8(truncatingIfNeeded: bits >> (8 * UInt32(node)))
            return (byte >> 4, byte & 15)
        }
        set {
            let shift = 8 * UInt32(node)
            bits = bits & ~(0xFF << shift) | UInt32(newValue.store << 4 | newValue.acknowledged) << shift
        }
    }
}
