import DurableFiles
import Identifiers

/// Random numbers from where the configuration says.
private struct Chance: RandomNumberGenerator {
    let next64: @Sendable () -> UInt64
    mutating func next() -> UInt64 { next64() }
}

/// Whose directory it is.
extension Opening {
    /// The identity to open with: a member's as it is; a node's alone with its next incarnation, made
    /// durable. Formats an empty directory for a node alone.
    func identity() throws(StoreError) -> StoreIdentity {
        guard var identity = try storedIdentity() else {
            if let member = configuration.member {
                // Formatting it again would bring a wiped disk back under its old name (R12).
                throw .damaged(
                    what: "the data directory \(directory) of node \(member.node.rawValue)",
                    detail: "the file identity is missing")
            }
            return try format { (ring) throws(StoreError) in
                var generator = Chance(next64: configuration.random)
                return StoreIdentity(
                    cluster: .random(using: &generator), node: NodeID(rawValue: 1),
                    store: .random(using: &generator), incarnation: Incarnation(rawValue: 1), ring: ring)
            }
        }
        if let member = configuration.member {
            try check(identity, against: member)
            return identity
        }
        guard identity.role == .alone else {
            throw .configuration(
                "\(directory) holds the data of node \(identity.node.rawValue) of cluster "
                    + "\(identity.cluster), and this node was started alone: start it with --mesh, or give "
                    + "it another directory with --data")
        }
        guard identity.ring.partitionCount == configuration.partitionCount else {
            throw .configuration(
                "\(directory) was made with \(identity.ring.partitionCount) partitions, the configuration "
                    + "says \(configuration.partitionCount)")
        }
        guard identity.incarnation.rawValue < .max else {
            throw .damaged(what: "the file identity", detail: "the incarnation cannot be counted further")
        }
        identity.incarnation.rawValue += 1
        try DurableFile.replace(identityPath, with: IdentityFile.encode(identity))
        return identity
    }

    private func storedIdentity() throws(StoreError) -> StoreIdentity? {
        guard let bytes = try DurableFile.read(identityPath) else { return nil }
        return try IdentityFile.decode(bytes)
    }

    private func check(
        _ identity: StoreIdentity, against member: StoreIdentity
    ) throws(StoreError) {
        guard identity.role == .member else {
            throw .configuration(
                "\(directory) holds the data of a node alone, which cannot become a member of a cluster: "
                    + "start with an empty directory (--data), or without --mesh")
        }
        guard identity.cluster == member.cluster, identity.node == member.node,
            identity.store == member.store
        else {
            throw .configuration(
                "\(directory) holds store \(identity.store) of node \(identity.node.rawValue) of cluster "
                    + "\(identity.cluster), and its membership says store \(member.store) of node "
                    + "\(member.node.rawValue) of cluster \(member.cluster): two directories were mixed, "
                    + "start with an empty one and let it join")
        }
        guard identity.ring == member.ring else {
            throw .configuration(
                "\(directory) was made with other constants of the partition map (R16) than its membership "
                    + "says: two directories were mixed, start with an empty one and let it join")
        }
    }

    /// Lays out a member's directory, unless that was done before.
    func format(as member: StoreIdentity) throws(StoreError) {
        if let identity = try storedIdentity() { return try check(identity, against: member) }
        _ = try format { (_) throws(StoreError) in member }
    }

    /// Whether anything was ever appended.
    func holdsRecords() throws(StoreError) -> Bool {
        let used = try DurableFile.names(in: partsPath).contains { Int($0, radix: 16) != nil }
        let witness = try DurableFile.read(lanePath + "/witness").flatMap { Witness($0) }
        return used || witness?.sequence ?? 0 > 0
    }

    /// Lays out a new directory. The identity comes last: a directory without one was never in use.
    private func format(
        _ identity: (HashRing) throws(StoreError) -> StoreIdentity
    ) throws(StoreError) -> StoreIdentity {
        guard try !holdsRecords() else {
            throw .damaged(what: "the data directory \(directory)", detail: "the file identity is missing")
        }
        for path in [directory + "/lanes", lanePath, partsPath] { try DurableFile.createDirectory(path) }
        for suffix in ["", "-wal", "-shm"] { try DurableFile.remove(lanePath + "/journal.db" + suffix) }
        try JournalDatabase.create(path: lanePath + "/journal.db")
        try DurableFile.replace(lanePath + "/witness", with: Witness(sequence: 0, hash: 0).encoded())
        try DurableFile.syncDirectory(lanePath)
        var generator = Chance(next64: configuration.random)
        let seed: (UInt64, UInt64) = (generator.next(), generator.next())
        guard let ring = HashRing(partitionCount: configuration.partitionCount, seed: seed) else {
            throw .configuration("\(configuration.partitionCount) partitions are not possible")
        }
        let made = try identity(ring)
        try DurableFile.replace(identityPath, with: IdentityFile.encode(made))
        return made
    }
}
