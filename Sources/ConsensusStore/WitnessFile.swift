import ByteCoding
import DurableFiles
import Foundation

/// The open file `witness`: the seal of the last transaction, beside the database.
final class WitnessFile {
    private let descriptor: Int32
    private let path: String

    init(path: String) throws(ConsensusStoreError) {
        self.path = path
        descriptor = try DurableFile.open(path, O_WRONLY | O_CLOEXEC)
    }

    deinit { DurableFile.close(descriptor) }

    /// Overwrites the seal and syncs it.
    func write(_ seal: Seal) throws(ConsensusStoreError) {
        try DurableFile.writeAll(descriptor, seal.encoded(), at: 0, path: path)
        try DurableFile.sync(descriptor, path: path)
    }

    /// Makes the file, or replaces what is there. The caller syncs the directory.
    static func create(path: String, _ seal: Seal) throws(ConsensusStoreError) {
        try DurableFile.replace(path, with: seal.encoded(), syncName: false)
    }

    /// Nil if there is no such file.
    static func read(path: String) throws(ConsensusStoreError) -> Seal? {
        guard let bytes = try DurableFile.read(path) else { return nil }
        do {
            return try Seal.decode(bytes)
        } catch {
            if case .version = error { throw .newerFormat(path: path, detail: "\(error)") }
            throw .damaged(path: path, detail: "\(error)")
        }
    }
}
