/// The limits of a host.
public struct HostSettings: Sendable {
    /// Threads that actors run on; a partition belongs to one of them.
    public var shards: Int
    /// Actors that a shard keeps in memory before it lets idle ones go early.
    public var liveActorsMax: Int
    /// Bytes of records that may wait to be applied; above it new requests are refused as `node.overloaded`.
    public var backlogBytesMax: Int
    /// Requests that may wait for the completion of their message at one actor.
    public var waitersMax: Int
    /// Requests and subscriptions that may wait at one partition until turns may run there; one more is
    /// refused as `node.overloaded`.
    public var arrivalsMax: Int
    /// In place of each kind's own time until hibernation.
    public var idleOverride: Duration?

    /// How long user code may hold a shard's thread before the log says so.
    public var blockedLimit: Duration
    /// How long a message from another actor waits for room in its queue, before it is sent back as
    /// undelivered. Those behind it wait, too.
    public var fullQueuePatience: Duration
    /// The shards have no threads: whoever made the host calls `ActorHost.step`, on one thread, and what is
    /// left to chance follows from this seed.
    package var steppedSeed: UInt64?
    /// For tests: the rules that the host keeps.
    package var rules = HostRules.all

    public init(
        shards: Int = 2, liveActorsMax: Int = 50_000, backlogBytesMax: Int = 512 << 20,
        waitersMax: Int = 10_000, arrivalsMax: Int = 1_000,
        idleOverride: Duration? = nil, blockedLimit: Duration = .seconds(3),
        fullQueuePatience: Duration = .seconds(60)
    ) {
        self.shards = max(1, shards)
        self.liveActorsMax = max(1, liveActorsMax)
        self.backlogBytesMax = backlogBytesMax
        self.waitersMax = waitersMax
        self.arrivalsMax = arrivalsMax
        self.idleOverride = idleOverride
        self.blockedLimit = blockedLimit
        self.fullQueuePatience = fullQueuePatience
    }
}

/// What a shard has done since its start.
struct HostCounters: Sendable {
    var records: UInt64 = 0
    var requests: UInt64 = 0
    var wakes: UInt64 = 0
    var creations: UInt64 = 0
    var hibernations: UInt64 = 0
    var steps: UInt64 = 0
    var repliesRepeated: UInt64 = 0
    var runsEnded: UInt64 = 0
    /// Messages and answers to other actors.
    var messagesSent: UInt64 = 0
    var messagesReceived: UInt64 = 0
    /// Messages that came back, because they could not be delivered.
    var messagesUndelivered: UInt64 = 0
    /// Answers, and messages that came back, for which nobody is there.
    var answersDropped: UInt64 = 0
}
