/// The rules of replication (`cluster.md` 2.0) that the model can switch off.
///
/// R16 (one map) is about placement and has no counterpart here.
public struct Rules: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    private init(number: UInt32) { rawValue = 1 << number }

    /// R1: an entry is committed once every member of ISR and pending additions has it on disk.
    public static let commitNeedsEveryMember = Rules(number: 1)
    /// R2: an owner never drops a member by itself.
    public static let isrThroughControlPlane = Rules(number: 2)
    /// R3: from the moment an addition is requested, the new member's acknowledgement is needed.
    public static let maximalISR = Rules(number: 3)
    /// R4: a new owner is a member of the ISR.
    public static let promoteFromISR = Rules(number: 4)
    /// R5: a restarted process never resumes an epoch.
    public static let oneLifePerEpoch = Rules(number: 5)
    /// R6: a follower acknowledges what is on its disk.
    public static let acknowledgeAfterSync = Rules(number: 6)
    /// R7: a log is cut where (epoch, index) stop to match, never at a commit index.
    public static let truncateByMatch = Rules(number: 7)
    /// R8: acknowledgements and additions name the store they speak of.
    public static let identitiesInChanges = Rules(number: 8)
    /// R9: a learner may be added only past the end of the log that the owner began its epoch with.
    public static let caughtUpPastEpochStart = Rules(number: 9)
    /// R10: who already has an entry acknowledges it only once it is on disk.
    public static let flushBeforeVouching = Rules(number: 10)
    /// R11: another store does not inherit a grant of ownership.
    public static let grantsNameStore = Rules(number: 11)
    /// R12: the owner counts members as (node, store); a fresh store learns the epoch before it answers.
    public static let membersNameStore = Rules(number: 12)
    /// R13: a log that lost its end is not believed.
    public static let logEndIsNoProof = Rules(number: 13)
    /// R14: a failed write of the journal ends the process.
    public static let stopOnJournalError = Rules(number: 14)
    /// R15: a disk with an older incarnation is refused.
    public static let noGoingBack = Rules(number: 15)
    /// R17: nothing is answered before it is committed.
    public static let outputGate = Rules(number: 17)
    /// R18: an epoch is on disk before anything is said under it.
    public static let epochIsDurable = Rules(number: 18)
    /// R19: only the owner of the epoch, with its own log there, lets a member go.
    public static let ownerShrinks = Rules(number: 19)

    /// R20: who has only its disk's word for its log begins when no other member has more.
    public static let asksBeforeItBegins = Rules(number: 20)

    public static let all: Rules = [
        .commitNeedsEveryMember, .isrThroughControlPlane, .maximalISR, .promoteFromISR,
        .oneLifePerEpoch,
        .acknowledgeAfterSync, .truncateByMatch, .identitiesInChanges, .caughtUpPastEpochStart,
        .flushBeforeVouching, .grantsNameStore, .membersNameStore, .logEndIsNoProof,
        .stopOnJournalError,
        .noGoingBack, .outputGate, .epochIsDurable, .ownerShrinks, .asksBeforeItBegins,
    ]

    /// "R4", or "R4 R7" for several.
    public var names: String {
        (1...20).filter { contains(Rules(number: $0)) }.map { "R\($0)" }.joined(separator: " ")
    }
}
