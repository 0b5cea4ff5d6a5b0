import ByteCoding
import Foundation

/// The open file `witness`: the seal of the last transaction, beside the database.
final class WitnessFile {
    private let descriptor: Int32
    private let path: String

    init(path: String) throws(ConsensusStoreError) {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemCall.failure("opening", path) }
    }

    deinit { close(descriptor) }

    /// Overwrites the seal and syncs it.
    func write(_ seal: Seal) throws(ConsensusStoreError) {
        try SystemCall.write(seal.encoded(), to: descriptor, path: path)
    }

    /// Makes the file, or replaces what is there. The caller syncs the directory.
    static func create(path: String, _ seal: Seal) throws(ConsensusStoreError) {
        let temporary = path + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw SystemCall.failure("creating", temporary) }
        do {
            defer { close(descriptor) }
            try SystemCall.write(seal.encoded(), to: descriptor, path: temporary)
        }
        try SystemCall.rename(temporary, to: path)
    }

    /// Nil if there is no such file.
    static func read(path: String) throws(ConsensusStoreError) -> Seal? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw SystemCall.failure("opening", path)
        }
        defer { close(descriptor) }
        // One byte more, so that a longer file shows.
        var bytes = [UInt8](repeating: 0, count: Seal.byteCount + 1)
        let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        guard count >= 0 else { throw SystemCall.failure("reading", path) }
        bytes.removeLast(bytes.count - count)
        do {
            return try Seal.decode(bytes)
        } catch {
            if case .version = error { throw .newerFormat(path: path, detail: "\(error)") }
            throw .damaged(path: path, detail: "\(error)")
        }
    }
}
