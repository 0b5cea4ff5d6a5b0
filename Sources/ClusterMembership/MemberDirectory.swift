import ByteCoding
import DurableFiles
import Foundation
import Identifiers
import MeshProtocol
import MeshTransport
import PartitionStore
import PlacementCore
import Synchronization

/// What of a data directory makes its node a member of a cluster: the files in `cluster/`.
///
/// Holds the lock of the data directory from the start of the process, whether there is a membership yet or
/// not, so that two processes cannot make two of it (D30).
public final class MemberDirectory: Sendable {
    /// The data directory.
    public let path: String
    /// To be handed to `PartitionStore.open`.
    public let lock: DirectoryLock
    let state: Mutex<State>

    struct State {
        var membership: Membership?
        /// On the founding node only.
        var authority: ClusterAuthority?
        var tokens = TokenBook()
        /// An attempt to found or to join is under way.
        var isBusy = false
    }

    private init(path: String, lock: DirectoryLock, state: sending State) {
        self.path = path
        self.lock = lock
        self.state = Mutex(state)
    }

    /// Locks the data directory, makes it if it is absent, and reads the membership if there is one.
    /// - Throws: `.inUse` if it holds data that no membership belongs to, such as a node alone's.
    public static func open(_ path: String) throws(MembershipError) -> MemberDirectory {
        let lock = try stored { () throws(StoreError) in
            try DurableFile.createDirectory(path)
            try DurableFile.createDirectory(path + "/cluster")
            return try DirectoryLock(directory: path)
        }
        let files = MemberFiles(path)
        guard let membership = try files.membership() else {
            try files.checkUnused()
            return MemberDirectory(path: path, lock: lock, state: State())
        }
        try files.removeDraft()
        var state = State(membership: membership)
        if membership.record.origin == .founded {
            state.authority = try certified { () throws(CertificateError) in
                try ClusterAuthority(cluster: membership.cluster, directory: files.cluster)
            }
            state.tokens = try files.tokens()
        }
        return MemberDirectory(path: path, lock: lock, state: state)
    }

    /// Nil as long as the node belongs to no cluster.
    public var membership: Membership? { state.withLock { $0.membership } }

    /// Whether new nodes are admitted here.
    public var isFounder: Bool { state.withLock { $0.authority != nil } }

    /// Where `ConsensusStore` has its files. They are there once the node is a member: open them without
    /// `creating`, so that a voter that lost them is found out.
    public var consensusDirectory: String { MemberFiles(path).control }

    /// How to open the `PartitionStore` of a member, with `lock`.
    public var storeConfiguration: StoreConfiguration? {
        membership.map { StoreConfiguration(directory: path, member: $0.storeIdentity) }
    }

    /// Takes over from the map where the voters are, for the next start. Waits for the disk if that changed.
    public func rememberPeers(of map: ClusterMap) throws(MembershipError) {
        let peers = map.peers
        try state.withLock { (state) throws(MembershipError) in
            guard let known = state.membership?.peers, !peers.isEmpty, peers != known else { return }
            try MemberFiles(path).write(peers)
            state.membership?.peers = peers
        }
    }

    // MARK: Join tokens

    /// Changes the join tokens, durably; on an error, nothing is changed.
    func changeTokens<Value: Sendable>(
        _ change: (inout TokenBook) throws -> Value
    ) throws -> Value {
        try state.withLock { state in
            var book = state.tokens
            let value = try change(&book)
            if book != state.tokens { try MemberFiles(path).write(book) }
            state.tokens = book
            return value
        }
    }

    var tokens: TokenBook { state.withLock { $0.tokens } }
    var authority: ClusterAuthority? { state.withLock { $0.authority } }
}

extension ClusterMap {
    /// The voters, and where their meshes listen.
    public var peers: [Peer] {
        (voters.voters + voters.learners).sorted().compactMap { replica in
            guard let node = self[replica.node], let address = MeshAddress(node.profile.meshAddress) else {
                return nil
            }
            return Peer(node: node.id, address: address)
        }
    }
}
