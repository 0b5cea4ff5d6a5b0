/// How much of the world is explored: everything in the model has a bound, so that its states can be counted.
public struct Scope: Hashable, Sendable {
    /// 2 or 3.
    public var nodes: UInt8 = 3
    /// How many of the nodes are members of the ISR at the beginning; node 0 owns epoch 1.
    public var members: UInt8 = 2
    /// The highest epoch that the control plane grants.
    public var epochs: UInt8 = 3
    /// Up to `Log.capacity`.
    public var logLength: UInt8 = 2
    /// How many different values clients write, up to 15.
    public var values: UInt8 = 3
    /// Messages that are under way at the same time, up to `MessageBag.capacity`.
    public var messages: UInt8 = 2

    /// How often an owner asks to add a member. Without a bound, members leave and come back for ever.
    public var additions: UInt8 = 1

    // How often each fault may happen, all nodes together.
    public var crashes: UInt8 = 1
    public var wipes: UInt8 = 0
    /// Old images of a disk that are taken and put back.
    public var images: UInt8 = 0
    /// Whether an image may be put back that the process which ran last wrote itself. No incarnation can tell
    /// it from the disk that was lost (R15), the other members can: R20 is in the model only where there are
    /// such images, since everything else must hold without it.
    public var restoresImageOfSameLife = false
    /// Ends of logs that a disk forgets without an error.
    public var lostTails: UInt8 = 0
    public var journalErrors: UInt8 = 0

    public init() {}

    /// The same scope with some of its bounds changed.
    public func with(_ change: (inout Scope) -> Void) -> Scope {
        var scope = self
        change(&scope)
        return scope
    }
}
