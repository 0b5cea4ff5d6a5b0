/// The rules that hosts keep, so that a test can take one away and see what it is for.
package struct HostRules: OptionSet, Hashable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// R17: replies, effects and results wait until the records that they tell of are committed.
    package static let outputGate = Self(rawValue: 1 << 0)
    /// R17: a message to another actor leaves after the commit of its record.
    package static let outboxAfterCommit = Self(rawValue: 1 << 1)
    /// W60: an owner knows how far the streams of messages from other partitions were performed.
    package static let inboxPositions = Self(rawValue: 1 << 2)
    /// A13: an actor that wakes knows which requests it has performed.
    package static let rememberedRequests = Self(rawValue: 1 << 3)
    /// W30: a deadline has not come before its time.
    package static let timersInTime = Self(rawValue: 1 << 4)
    /// W10: a step whose result is recorded is not performed again.
    package static let recordedSteps = Self(rawValue: 1 << 5)
    /// W31: a message leaves its queue with the record that it was taken.
    package static let takenWithRecord = Self(rawValue: 1 << 6)
    /// W30: who takes a partition over wakes the actors that wait for a time.
    package static let wakesDueActors = Self(rawValue: 1 << 7)
    /// D43: a process's wall clock follows the machine's jumps no faster than its pace allows.
    package static let steadyTime = Self(rawValue: 1 << 8)

    package static let all = Self(rawValue: .max)
}
