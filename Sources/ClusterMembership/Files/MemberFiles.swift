import ByteCoding
import DurableFiles
import Foundation
import Identifiers
import MeshProtocol
import MeshTransport
import PartitionStore
import PlacementCore

/// The files of a member below its data directory. Each is replaced as a whole (`CredentialFile`).
///
/// `cluster/member` comes last when a node becomes a member, and nothing runs on the directory before it is
/// there. `cluster/draft` comes first and goes last: while it is there without `member`, everything else was
/// made by an attempt that came to no end, and may be cleared away.
struct MemberFiles {
    let data: String
    var cluster: String { data + "/cluster" }
    var control: String { data + "/control" }
    private var memberPath: String { cluster + "/member" }
    private var peersPath: String { cluster + "/peers" }
    private var tokensPath: String { cluster + "/tokens" }
    private var draftPath: String { cluster + "/draft" }

    init(_ data: String) { self.data = data }

    // MARK: A member

    /// What is written here; nil if the node is no member yet.
    func membership() throws(MembershipError) -> Membership? {
        guard DurableFile.exists(memberPath) else { return nil }
        let record = try read(memberPath) { (bytes) throws(WireError) in try MembershipFile.decode(bytes) }
        guard FormatVersions.ofThisProgram.canRead(record.constants.formats) else {
            throw .newerFormat(
                path: memberPath, found: UInt64(record.constants.formats.journal),
                newest: UInt64(FormatVersions.ofThisProgram.journal))
        }
        let credentials = try certified { () throws(CertificateError) in
            try NodeCredentials(directory: cluster)
        }
        guard credentials.identity.cluster == record.constants.cluster,
            credentials.identity.node == record.node
        else {
            throw .otherCertificate(
                path: cluster + "/node.pem", issuedTo: credentials.identity,
                directoryOf: CertificateIdentity(cluster: record.constants.cluster, node: record.node))
        }
        let peers = try read(peersPath) { (bytes) throws(WireError) in try PeersFile.decode(bytes) }
        return Membership(record: record, peers: peers, credentials: credentials)
    }

    func write(_ record: MembershipRecord) throws(MembershipError) {
        try write(MembershipFile.encode(record), memberPath, .open)
    }

    func write(_ peers: [Peer]) throws(MembershipError) {
        try write(PeersFile.encode(peers), peersPath, .open)
    }

    func write(_ book: TokenBook) throws(MembershipError) {
        try write(book.encoded(), tokensPath, .secret)
    }

    func tokens() throws(MembershipError) -> TokenBook {
        guard DurableFile.exists(tokensPath) else { return TokenBook() }
        return try read(tokensPath, .secret) { (bytes) throws(WireError) in try TokenBook.decode(bytes) }
    }

    // MARK: Becoming one

    /// Whether a member can be made of the directory.
    func checkUnused() throws(MembershipError) {
        let identity = try stored { () throws(StoreError) in
            try PartitionStore.storedIdentity(in: data)
        }
        if let identity {
            // An attempt's identity was never used, and its draft says that it was an attempt.
            guard identity.role == .member, identity.incarnation.rawValue == 0,
                DurableFile.exists(draftPath)
            else {
                let what =
                    identity.role == .alone
                    ? "the data of a node alone, which cannot become a member of a cluster"
                    : "the data of node \(identity.node.rawValue) of cluster \(identity.cluster), whose file "
                        + "cluster/member is missing"
                throw .inUse(directory: data, what: what)
            }
        }
        // No attempt writes a record, so none may clear one away.
        let holdsRecords = try stored { () throws(StoreError) in
            try PartitionStore.holdsRecords(in: data)
        }
        guard !holdsRecords else {
            throw .inUse(directory: data, what: "actors' data, whose membership or identity is missing")
        }
        if DurableFile.exists(control + "/control.db"), !DurableFile.exists(draftPath) {
            throw .inUse(directory: data, what: "a voter's log, whose file cluster/member is missing")
        }
    }

    /// Begins an attempt, or begins the last one anew: clears away what it left.
    /// - Returns: the name of the disk, which stays the same over all attempts, so that a node whose answer
    ///   was lost is let in as the same one.
    func beginDraft() throws(MembershipError) -> StoreID {
        try checkUnused()
        var generator = SystemRandomNumberGenerator()
        let store = draftStore() ?? StoreID.random(using: &generator)
        try write(Array("apus-draft 1\nstore \(store)\n".utf8), draftPath, .open)
        for name in ["control", "lanes", "parts", "identity"] { try clear(data + "/" + name) }
        for name in ["node.pem", "cluster.pem", "authority.key", "authority.pem", "peers", "tokens"] {
            try clear(cluster + "/" + name)
        }
        try stored { () throws(StoreError) in try DurableFile.syncDirectory(data) }
        return store
    }

    private func draftStore() -> StoreID? {
        guard let bytes = try? CredentialFile.read(draftPath, .open),
            let text = String(validating: bytes, as: UTF8.self)
        else { return nil }
        let lines = text.split(separator: "\n")
        guard lines.count == 2, lines[0] == "apus-draft 1", lines[1].hasPrefix("store ") else { return nil }
        return StoreID(String(lines[1].dropFirst("store ".count)))
    }

    func removeDraft() throws(MembershipError) { try clear(draftPath) }

    private func clear(_ path: String) throws(MembershipError) {
        guard DurableFile.exists(path) else { return }
        do { try FileManager.default.removeItem(atPath: path) } catch {
            throw .file(operation: "deleting", path: path, reason: error.localizedDescription)
        }
    }

    private func write(
        _ bytes: [UInt8], _ path: String, _ access: CredentialFile.Access
    ) throws(MembershipError) {
        try certified { () throws(CertificateError) in try CredentialFile.replace(path, with: bytes, access) }
    }

    private func read<Value>(
        _ path: String, _ access: CredentialFile.Access = .open,
        _ decode: ([UInt8]) throws(WireError) -> Value
    ) throws(MembershipError) -> Value {
        let bytes = try certified { () throws(CertificateError) in try CredentialFile.read(path, access) }
        do throws(WireError) { return try decode(bytes) } catch {
            throw MembershipError(error, path: path)
        }
    }
}
