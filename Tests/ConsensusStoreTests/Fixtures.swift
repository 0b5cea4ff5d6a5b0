import ConsensusCore
import Foundation
import Identifiers

@testable import ConsensusStore

/// A directory that goes away with the test.
final class Scratch: Sendable {
    let path: String

    init() {
        path = NSTemporaryDirectory() + "apus-consensus-" + UUID().uuidString
        try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func sub(_ name: String) -> String { path + "/" + name }

    /// A copy of one directory of it, as a crash at this moment would leave it.
    @discardableResult
    func copy(_ from: String, to: String) -> String {
        try? FileManager.default.removeItem(atPath: sub(to))
        try! FileManager.default.copyItem(atPath: sub(from), toPath: sub(to))
        return sub(to)
    }

    func bytes(_ file: String) -> [UInt8] { [UInt8](FileManager.default.contents(atPath: sub(file))!) }
    func has(_ file: String) -> Bool { FileManager.default.fileExists(atPath: sub(file)) }
    func write(_ bytes: [UInt8], to file: String) {
        try! Data(bytes).write(to: URL(fileURLWithPath: sub(file)))
    }
    func remove(_ file: String) { try! FileManager.default.removeItem(atPath: sub(file)) }
}

extension ReplicaID {
    init(_ node: UInt64) {
        self.init(node: NodeID(rawValue: node), store: StoreID(high: node, low: 7))
    }
}

extension ConsensusStore.Limits {
    init(logBytesMax: Int = 4 << 20, pagesMax: Int? = nil) {
        self.init()
        self.logBytesMax = logBytesMax
        self.pagesMax = pagesMax
    }
}

let one = ReplicaID(1)
let founding = Raft.PersistentState(founding: Raft.Configuration(voters: [one])!, state: [1, 2, 3])

/// What the directory holds.
func contents(
    _ directory: String, _ replica: ReplicaID = one
) throws(ConsensusStoreError) -> Raft.PersistentState {
    try ConsensusStore.open(directory: directory, replica: replica).state
}
