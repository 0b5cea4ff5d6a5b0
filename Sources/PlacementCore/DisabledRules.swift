/// Rules that a test or a simulation switches off to see that it would notice. Never set in production, and
/// not part of any record.
package struct DisabledRules: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// R4 off: whoever is up may be promoted.
    package static let promoteFromInSyncOnly = DisabledRules(rawValue: 1 << 0)
    /// R8 off: a member is added by its node's number, whatever life or disk caught up, and whatever was
    /// decided since.
    package static let identitiesInChanges = DisabledRules(rawValue: 1 << 1)
    /// R11 off: a node keeps what it owned when it comes with another disk.
    package static let grantsNameAStore = DisabledRules(rawValue: 1 << 2)
    /// R12 off: a node stays in sync when it comes with another disk.
    package static let membersAreStores = DisabledRules(rawValue: 1 << 3)
    /// R15 off: a disk that went back in time is welcome.
    package static let noGoingBack = DisabledRules(rawValue: 1 << 4)
    /// R19 off: who is declared down leaves the in-sync sets in which somebody else is up.
    package static let ownerShrinks = DisabledRules(rawValue: 1 << 5)
}
