import DurableFiles
import Identifiers
import Synchronization

/// What only members of a cluster do with their directory.
extension PartitionStore {
    /// Lays out the directory of a new member, whose disk was never in use before; does nothing if it is
    /// laid out for exactly this member already.
    ///
    /// - Parameters:
    ///   - member: with the incarnation 0.
    ///   - lock: of the same directory.
    public static func format(
        directory: String, as member: StoreIdentity, holding lock: DirectoryLock
    ) throws(StoreError) {
        try withExtendedLifetime(lock) { () throws(StoreError) in
            try Opening(StoreConfiguration(directory: directory, member: member)).format(as: member)
        }
    }

    /// What the directory's identity says; nil if it was never formatted.
    public static func storedIdentity(in directory: String) throws(StoreError) -> StoreIdentity? {
        guard let bytes = try DurableFile.read(Opening.identityPath(in: directory)) else { return nil }
        return try IdentityFile.decode(bytes)
    }

    /// Whether the directory holds data, whether it has an identity or lost it.
    public static func holdsRecords(in directory: String) throws(StoreError) -> Bool {
        try Opening(StoreConfiguration(directory: directory)).holdsRecords()
    }

    /// Makes the incarnation that the control plane issued durable, before anything is done in it (R15).
    /// Waits for the disk: not for the thread of an event loop. After an error the process must stop (R14).
    ///
    /// - Throws: `.configuration` for a node alone, and for an incarnation that is not newer than the one on
    ///   the disk.
    public func recordIncarnation(_ incarnation: Incarnation) throws(StoreError) {
        try currentIdentity.withLock { (current) throws(StoreError) in
            guard current.role == .member else {
                throw .configuration("a node alone counts its incarnations itself")
            }
            guard incarnation > current.incarnation else {
                throw .configuration(
                    "the control plane issued incarnation \(incarnation.rawValue), and the disk is at "
                        + "\(current.incarnation.rawValue) already: another process uses a copy of this "
                        + "directory")
            }
            var next = current
            next.incarnation = incarnation
            try DurableFile.replace(
                Opening.identityPath(in: directory), with: IdentityFile.encode(next))
            current = next
        }
    }
}
