import Foundation
import SQLiteDriver
import Testing

@Suite struct ConnectionTests {
    private let directory = NSTemporaryDirectory() + "apus-sqlite-" + UUID().uuidString

    init() throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    private func open(_ name: String = "test.db", create: Bool = true) throws(SQLiteError) -> Connection {
        try Connection(path: directory + "/" + name, create: create)
    }

    @Test func `Values of every type come back as they were`() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let connection = try open()
        try connection.execute("CREATE TABLE t(a INTEGER, b BLOB, c TEXT, d BLOB)")
        let insert = try connection.statement("INSERT INTO t VALUES(?1, ?2, ?3, ?4)")
        let blob: [UInt8] = [0, 1, 255, 0]
        for (number, bytes, text) in [(Int64.min, blob, "ü\0x"), (.max, [], ""), (0, [7], "a")] {
            try insert.bind(number, at: 1)
            try insert.bind(copying: bytes, at: 2)
            try insert.bind(text: text, at: 3)
            try bytes.withUnsafeBufferPointer { buffer throws(SQLiteError) in
                try insert.bind(borrowing: buffer, at: 4)
                try insert.run()
            }
        }
        try insert.run()
        let select = try connection.statement("SELECT a, b, c, d FROM t ORDER BY rowid")
        for (number, bytes, text) in [(Int64.min, blob, "ü\0x"), (.max, [], ""), (0, [7], "a")] {
            #expect(try select.step())
            #expect(select.integer(at: 0) == number)
            #expect(select.blob(at: 1) == bytes)
            #expect(select.optionalBlob(at: 3) == bytes, "the empty blob is not NULL")
            #expect(select.text(at: 2) == text)
        }
        #expect(try select.step())
        #expect(select.optionalInteger(at: 0) == nil)
        #expect(select.optionalBlob(at: 1) == nil)
        #expect(select.text(at: 2) == "")
        #expect(try !select.step())
    }

    @Test func `A statement is prepared once and forgets its parameters`() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let connection = try open()
        let first = try connection.statement("SELECT ?1")
        #expect(try connection.statement("SELECT ?1") === first)
        try first.bind(5, at: 1)
        #expect(try first.step())
        #expect(first.integer(at: 0) == 5)
        first.reset()
        #expect(try first.step())
        #expect(first.isNull(at: 0))
    }

    @Test func `Errors carry the extended code, the words and the statement`() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let connection = try open()
        try connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE)")
        let insert = try connection.statement("INSERT INTO t(b) VALUES(1)")
        try insert.run()
        do {
            try insert.run()
            Issue.record("a second row under a unique key")
        } catch {
            #expect(error.isConstraint)
            #expect(error.extendedCode == 2_067)
            #expect(error.operation == "INSERT INTO t(b) VALUES(1)")
            #expect(error.message.contains("t.b"))
        }
        #expect(throws: SQLiteError.self) { try connection.statement("SELECT nothing FROM nowhere") }
        #expect(throws: SQLiteError.self) { try connection.statement("") }
    }

    @Test func `A failed transaction leaves nothing`() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let connection = try open()
        try connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY)")
        #expect(throws: SQLiteError.self) {
            try connection.transaction { () throws(SQLiteError) in
                try connection.execute("INSERT INTO t VALUES(1)")
                try connection.execute("INSERT INTO t VALUES(1)")
            }
        }
        let count = try connection.statement("SELECT count(*) FROM t")
        #expect(try count.step())
        #expect(count.integer(at: 0) == 0)
        count.reset()
        try connection.transaction { () throws(SQLiteError) in
            try connection.execute("INSERT INTO t VALUES(1)")
        }
        #expect(connection.changes == 1)
    }

    @Test func `A file that is missing, foreign or full says so`() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        do {
            _ = try open("missing.db", create: false)
            Issue.record("opened")
        } catch { #expect(error.isCannotOpen) }
        try Data(repeating: 0x55, count: 5_000).write(to: URL(fileURLWithPath: directory + "/foreign.db"))
        let foreign = try open("foreign.db", create: false)
        do {
            _ = try foreign.pragma("user_version")
            Issue.record("read")
        } catch { #expect(error.isCorrupt) }
        let small = try open("small.db")
        try small.execute("CREATE TABLE t(a)")
        #expect(try small.pragma("max_page_count=3") == "3")
        do {
            try small.execute("INSERT INTO t VALUES(zeroblob(100000))")
            Issue.record("written")
        } catch { #expect(error.isFull) }
    }

    @Test func `Only checkpoints empty the log, and its pages are counted`() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let connection = try open()
        #expect(try connection.pragma("journal_mode=WAL") == "wal")
        try connection.pragma("locking_mode=EXCLUSIVE")
        try connection.execute("CREATE TABLE t(a)")
        for _ in 0..<1_500 { try connection.execute("INSERT INTO t VALUES(zeroblob(100))") }
        #expect(connection.logPages > 1_500, "SQLite's own checkpoints at 1000 pages are off")
        #expect(try connection.checkpoint())
        #expect(connection.logPages == 0)
        try connection.execute("INSERT INTO t VALUES(1)")
        #expect(connection.logPages == 1)
    }

    @Test func `A log that is kept is still there after closing, with its commits`() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        do {
            let connection = try open()
            try connection.pragma("journal_mode=WAL")
            try connection.keepLogOnClose()
            try connection.execute("CREATE TABLE t(a); INSERT INTO t VALUES(7)")
        }
        let log = try FileManager.default.attributesOfItem(atPath: directory + "/test.db-wal")
        #expect(try #require(log[.size] as? Int) > 0)
        let again = try open(create: false)
        let select = try again.statement("SELECT a FROM t")
        #expect(try select.step())
        #expect(select.integer(at: 0) == 7)
    }
}
