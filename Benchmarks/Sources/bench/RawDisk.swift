import Foundation
import SQLiteDriver

/// What the machine itself can do, measured in the same run: the limits that the node is compared with.
enum RawDisk {
    /// Megabytes a second of a file that is written in pieces of 1 MiB and synced after every eight and at
    /// its end.
    static func stream(in directory: String, bytes: Int) throws -> Double {
        let path = directory + "/raw"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        guard descriptor >= 0 else { throw BenchError("no file can be made") }
        defer {
            close(descriptor)
            unlink(path)
        }
        var generator = SystemRandomNumberGenerator()
        let piece = (0..<131_072).map { _ in generator.next() }
        let count = max(1, bytes >> 20)
        let began = ContinuousClock.now
        for index in 0..<count {
            let written = piece.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            let mustSync = index % 8 == 7 || index == count - 1
            guard written == 1 << 20, !mustSync || fdatasync(descriptor) == 0 else {
                throw BenchError("the disk is full")
            }
        }
        return Double(count << 20) / 1_000_000 / (ContinuousClock.now - began).inSeconds
    }

    /// One fsynced SQLite commit after the other, each of one row with that many bytes; microseconds.
    static func commits(in directory: String, bytes: Int, count: Int) throws -> Samples {
        let connection = try Connection(path: directory + "/raw.db", create: true)
        for pragma in [
            "journal_mode=WAL", "synchronous=FULL", "locking_mode=EXCLUSIVE", "secure_delete=OFF",
            "wal_autocheckpoint=0",
        ] { _ = try connection.pragma(pragma) }
        try connection.execute("CREATE TABLE IF NOT EXISTS log(seq INTEGER PRIMARY KEY, body BLOB)")
        let insert = try connection.statement("INSERT INTO log(body) VALUES(?)")
        let row = [UInt8](repeating: 7, count: bytes)
        let samples = Samples()
        for index in 0..<count {
            let began = ContinuousClock.now
            try connection.execute("BEGIN IMMEDIATE")
            try insert.bind(copying: row, at: 1)
            try insert.run()
            try connection.execute("COMMIT")
            samples.add(ContinuousClock.now - began)
            if index % 500 == 499 { _ = try connection.checkpoint() }
        }
        return samples
    }
}
