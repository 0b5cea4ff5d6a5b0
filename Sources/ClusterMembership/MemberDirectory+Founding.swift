import ConsensusCore
import ConsensusStore
import Identifiers
import MeshProtocol
import MeshTransport
import PartitionStore
import PlacementCore
import Synchronization
import TimeAndChance

/// What a cluster is founded with.
public struct Founding: Hashable, Sendable {
    public static let partitionsStandard = 256

    public var partitions: Int
    public var settings: ClusterSettings

    public init(partitions: Int = partitionsStandard, settings: ClusterSettings = ClusterSettings()) {
        self.partitions = partitions
        self.settings = settings
    }
}

extension MemberDirectory {
    /// Makes a cluster with this node as its first member and only voter, for the time being.
    ///
    /// What an interrupted founding left does not count: the next attempt makes another cluster.
    /// - Parameter profile: as in every registration of this node.
    public func found(
        _ founding: Founding, profile: NodeProfile, at now: Timestamp
    ) throws(MembershipError) -> Membership {
        try occupied { () throws(MembershipError) in
            let address = try Self.checked(profile)
            guard founding.settings.isValid else { throw .invalid(Self.settingsSentence) }
            var generator = SystemRandomNumberGenerator()
            let seed: (UInt64, UInt64) = (generator.next(), generator.next())
            guard let ring = HashRing(partitionCount: founding.partitions, seed: seed) else {
                throw .invalid(
                    "\(founding.partitions) partitions are not a power of two from 1 to 65536: choose 256 "
                        + "for up to about 16 nodes, 1024 for 64, 4096 for 256; it cannot be changed later")
            }
            let files = MemberFiles(path)
            let store = try files.beginDraft()
            let constants = ClusterConstants(
                cluster: .random(using: &generator), ring: ring, formats: .ofThisProgram)
            let first = try Self.firstState(constants, founding.settings, store, profile, at: now)
            let record = MembershipRecord(
                origin: .founded, constants: constants, node: first.node, store: store)
            try layOut(record, consensus: first.state)
            let (authority, credentials) = try certified { () throws(CertificateError) in
                let authority = try ClusterAuthority(cluster: constants.cluster, at: now)
                try authority.save(in: files.cluster)
                let credentials = try authority.credentials(for: first.node, at: now)
                try credentials.save(in: files.cluster)
                return (authority, credentials)
            }
            let membership = Membership(
                record: record, peers: [Peer(node: first.node, address: address)], credentials: credentials)
            try finish(membership, authority)
            return membership
        }
    }

    static let settingsSentence =
        "these settings cannot be: the replication factor is 1 to \(ClusterSettings.replicationFactorMax), "
        + "the least copies in sync 1 up to that, and the voters are 1, 3 or 5"

    /// The node's address on the mesh, if everything that it says of itself is in order.
    static func checked(_ profile: NodeProfile) throws(MembershipError) -> MeshAddress {
        guard profile.isValid else {
            throw .invalid("an address or the zone is over \(NodeProfile.textBytesMax) bytes")
        }
        guard let address = MeshAddress(profile.meshAddress) else {
            throw .invalid(
                "\"\(profile.meshAddress)\" is not HOST:PORT: say with --advertise where other nodes find "
                    + "this one")
        }
        return address
    }

    /// What the first voter's log begins with.
    private static func firstState(
        _ constants: ClusterConstants, _ settings: ClusterSettings, _ store: StoreID,
        _ profile: NodeProfile, at now: Timestamp
    ) throws(MembershipError) -> (node: NodeID, state: Raft.PersistentState) {
        var state = ClusterState()
        let applied = state.apply(
            ClusterEntry(time: now, commands: [.initialize(constants, settings, store: store, profile)]),
            at: 1)
        guard case .registered(let life) = applied.outcomes.first,
            let voters = Raft.Configuration(voters: [life.replica])
        else { throw .invalid(settingsSentence) }
        return (life.node, Raft.PersistentState(founding: voters, state: state.encoded()))
    }

    // MARK: What founding and joining share

    /// Lets only one attempt run at a time, and none after one that succeeded.
    func occupied<Value>(
        _ body: () throws(MembershipError) -> Value
    ) throws(MembershipError) -> Value {
        try occupy()
        defer { vacate() }
        return try body()
    }

    func occupy() throws(MembershipError) {
        try state.withLock { (state) throws(MembershipError) in
            if let membership = state.membership {
                throw .member(of: membership.cluster, node: membership.record.node)
            }
            guard !state.isBusy else { throw .busy }
            state.isBusy = true
        }
    }

    func vacate() { state.withLock { $0.isBusy = false } }

    /// Formats the disk: the log of consensus and the store of the partitions. Nobody does so later, so a
    /// member that lost either of them is found out (R12).
    func layOut(
        _ record: MembershipRecord, consensus: Raft.PersistentState
    ) throws(MembershipError) {
        let replica = ReplicaID(node: record.node, store: record.store)
        do throws(ConsensusStoreError) {
            _ = try ConsensusStore.open(
                directory: consensusDirectory, replica: replica, creating: consensus)
        } catch { throw .consensus(error) }
        try stored { () throws(StoreError) in
            try PartitionStore.format(directory: path, as: record.storeIdentity, holding: lock)
        }
    }

    /// From here on the node is a member.
    func finish(_ membership: Membership, _ authority: ClusterAuthority?) throws(MembershipError) {
        let files = MemberFiles(path)
        try files.write(membership.peers)
        try files.write(membership.record)
        state.withLock { state in
            state.membership = membership
            state.authority = authority
        }
        // It means nothing beside `member`, and the next start tries again.
        try? files.removeDraft()
    }
}
