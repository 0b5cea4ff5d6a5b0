import DurableFiles
import Foundation

/// Zeros at the end of the journal's write-ahead log. A sync after a write that makes the file longer, or
/// fills a hole, also has to commit the file system's own records, which takes twice as long as the data.
/// SQLite takes zeros for the end of the log.
struct PreparedLog {
    private let path: String
    /// How many zeros are written at once; 0 for none.
    private let step: Int
    private var size: Int

    /// - Parameter path: the log; it is made if it is absent.
    init(path: String, step: Int) throws(StoreError) {
        self.path = path
        self.step = step
        size = try Self.withFile(path) { (_, size) throws(StoreError) in size }
    }

    /// Whether soon the end will be reached.
    func isShort(used: Int) -> Bool { step > 0 && size < used + step / 2 }

    /// Makes the file longer than what is used of it.
    mutating func extend(used: Int) throws(StoreError) {
        guard isShort(used: used) else { return }
        let (path, step) = (path, step)
        size = try Self.withFile(path) { (descriptor, size) throws(StoreError) in
            // Never where SQLite has written.
            let end = max(size, used) + step
            do throws(StoreError) {
                try DurableFile.writeAll(
                    descriptor, [UInt8](repeating: 0, count: end - size), at: size, path: path)
            } catch .full {
                // Then there are none; a commit that does not fit will say so itself.
                return end
            }
            try DurableFile.sync(descriptor, path: path)
            return end
        }
    }

    /// SQLite holds no locks on the log itself that closing it here could break.
    private static func withFile(
        _ path: String, _ body: (_ descriptor: Int32, _ size: Int) throws(StoreError) -> Int
    ) throws(StoreError) -> Int {
        let descriptor = try DurableFile.open(path, O_WRONLY | O_CREAT | O_CLOEXEC)
        defer { DurableFile.close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw DurableFile.failure("reading", path) }
        return try body(descriptor, Int(status.st_size))
    }
}
