import Foundation
import SQLiteDriver

/// What the machine itself can do, measured in the same run: the limits that the node is compared with.
enum RawDisk {
    /// One fsynced SQLite commit after the other, each of one row with that many bytes; microseconds.
    static func commits(in directory: String, bytes: Int, count: Int) throws -> Samples {
        let connection = try Connection(path: directory + "/raw.db", create: true)
        for pragma in [
            "journal_mode=WAL", "synchronous=FULL", "locking_mode=EXCLUSIVE", "secure_delete=OFF",
            "wal_autocheckpoint=0",
        ] { _ = try connection.pragma(pragma) }
        try connection.execute("CREATE TABLE log(seq INTEGER PRIMARY KEY, body BLOB)")
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
