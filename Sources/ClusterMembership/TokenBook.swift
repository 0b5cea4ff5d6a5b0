import Identifiers
import TimeAndChance

/// The join tokens that a cluster has given out: not the secrets, but what checks who knows them.
package struct TokenBook: Hashable, Sendable {
    package static let tokensMax = 32
    package static let usesMax = 64

    /// One token, good until it expires, is used up, or is revoked.
    package struct Entry: Hashable, Sendable {
        package var id: [UInt8]
        package var memberKey: [UInt8]
        package var expiresAt: Timestamp
        package var usesMax: Int
        /// The disks that were let in with it. One whose answer was lost may ask again.
        package var stores: [StoreID] = []

        package init(id: [UInt8], memberKey: [UInt8], expiresAt: Timestamp, usesMax: Int) {
            self.id = id
            self.memberKey = memberKey
            self.expiresAt = expiresAt
            self.usesMax = usesMax
        }
    }

    /// Why a token lets nobody in.
    package enum Refusal: Error, Hashable, Sendable, CustomStringConvertible {
        case unknown, expired, usedUp, full

        package var description: String {
            switch self {
            case .unknown:
                "the join token is not known here: it was revoked, expired long ago, or belongs to another "
                    + "cluster; make a new one with `apus cluster token` at the member that founded the "
                    + "cluster"
            case .expired:
                "the join token has expired: make a new one with `apus cluster token`, and compare the clocks"
            case .usedUp:
                "the join token has let in as many nodes as it was made for: make a new one with `apus "
                    + "cluster token`"
            case .full:
                "there are \(TokenBook.tokensMax) join tokens already: revoke one with `apus cluster token "
                    + "revoke`, or wait until one expires"
            }
        }
    }

    package internal(set) var entries: [Entry] = []

    package init() {}

    package mutating func add(_ entry: Entry, at now: Timestamp) throws(Refusal) {
        forgetExpired(at: now)
        guard entries.count < Self.tokensMax else { throw .full }
        entries.append(entry)
    }

    /// - Returns: whether there was such a token.
    package mutating func revoke(_ id: [UInt8]) -> Bool {
        let count = entries.count
        entries.removeAll { $0.id == id }
        return entries.count < count
    }

    /// What checks that whoever names the token knows it.
    package func memberKey(of id: [UInt8]) throws(Refusal) -> [UInt8] {
        guard let entry = entries.first(where: { $0.id == id }) else { throw .unknown }
        return entry.memberKey
    }

    /// Counts the disk as one of those that the token lets in, once.
    /// - Returns: whether it was not counted before.
    package mutating func use(
        _ id: [UInt8], by store: StoreID, at now: Timestamp
    ) throws(Refusal) -> Bool {
        guard let place = entries.firstIndex(where: { $0.id == id }) else { throw .unknown }
        guard now < entries[place].expiresAt else { throw .expired }
        guard !entries[place].stores.contains(store) else { return false }
        guard entries[place].stores.count < entries[place].usesMax else { throw .usedUp }
        entries[place].stores.append(store)
        return true
    }

    /// Expired tokens stay for a day, to be called that.
    private mutating func forgetExpired(at now: Timestamp) {
        entries.removeAll { $0.expiresAt + .seconds(86_400) <= now }
    }
}
