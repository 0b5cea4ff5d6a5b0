/// What nodes send each other: one entry of the log, or "I have the log on disk up to here".
struct Message: Equatable {
    enum Kind: UInt8 { case none, append, acknowledge }

    var kind = Kind.none
    /// The receiver in the low four bits, the sender in the high ones.
    private var route: UInt8 = 0
    var epoch: UInt8 = 0
    var index: UInt8 = 0
    /// Of an append: the epoch of the entry before, which must match.
    var previousEpoch: UInt8 = 0
    /// Of an append.
    var entry = Entry(bits: 0)
    /// Of an acknowledgement: who speaks.
    var store: UInt8 = 0
    /// Of an append: what the owner committed; only where R7 is switched off.
    var commit: UInt8 = 0

    init() {}

    init(_ kind: Kind, from sender: NodeIndex, to receiver: NodeIndex, epoch: UInt8, index: UInt8) {
        self.kind = kind
        self.epoch = epoch
        self.index = index
        route = sender << 4 | receiver
    }

    var receiver: NodeIndex { route & 15 }
    var sender: NodeIndex { route >> 4 }

    /// For an order that does not depend on when a message was sent.
    fileprivate var key: UInt64 { unsafeBitCast(self, to: UInt64.self) }
}

/// The messages under way, in no order: a sorted set, so that equal bags have equal bytes.
struct MessageBag {
    static let capacity: UInt8 = 4
    private(set) var count: UInt64 = 0
    private var slots = (Message(), Message(), Message(), Message())

    subscript(slot: UInt8) -> Message {
        get {
            switch slot {
            case 0: slots.0
            case 1: slots.1
            case 2: slots.2
            default: slots.3
            }
        }
        set {
            switch slot {
            case 0: slots.0 = newValue
            case 1: slots.1 = newValue
            case 2: slots.2 = newValue
            default: slots.3 = newValue
            }
        }
    }

    /// Nothing happens if it is under way already, or if the bag is full: the message is lost.
    mutating func insert(_ message: Message, limit: UInt8) {
        var slot = UInt8(count)
        guard slot < limit, !(0..<slot).contains(where: { self[$0] == message }) else { return }
        while slot > 0, self[slot - 1].key > message.key {
            self[slot] = self[slot - 1]
            slot -= 1
        }
        self[slot] = message
        count += 1
    }

    mutating func remove(_ slot: UInt8) {
        count -= 1
        for place in slot..<UInt8(count) { self[place] = self[place + 1] }
        self[UInt8(count)] = Message()
    }
}

extension Message: CustomStringConvertible {
    var description: String {
        switch kind {
        case .none: "nothing"
        case .append: "append #\(index)=\(entry) of epoch \(epoch), n\(sender) to n\(receiver)"
        case .acknowledge:
            "acknowledgement of #\(index) in epoch \(epoch) by store \(store), n\(sender) to n\(receiver)"
        }
    }
}
