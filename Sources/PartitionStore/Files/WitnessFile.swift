import DurableFiles
import Foundation

/// The open file `witness` of a lane.
final class WitnessFile {
    private let descriptor: Int32
    private let path: String
    /// Whether something was written after the last sync.
    private(set) var isUnsynced = false

    init(path: String) throws(StoreError) {
        self.path = path
        descriptor = try DurableFile.open(path, O_WRONLY | O_CLOEXEC)
    }

    deinit { DurableFile.close(descriptor) }

    /// Overwrites the witness in the system's cache: it survives the process, not yet a power failure.
    func write(_ witness: Witness) throws(StoreError) {
        try DurableFile.writeAll(descriptor, witness.encoded(), at: 0, path: path)
        isUnsynced = true
    }

    func sync() throws(StoreError) {
        guard isUnsynced else { return }
        try DurableFile.sync(descriptor, path: path, isWhole: false)
        isUnsynced = false
    }
}
