import ByteCoding
import Identifiers
import SQLiteDriver

extension StateFile {
    private static let columns = "id, kind, key, created, wake, run, state, input"

    func actor(at address: ActorAddress) throws(StoreError) -> StoredActor? {
        let row = try attempt { () throws(SQLiteError) in
            let row = try connection.statement(
                "SELECT \(Self.columns) FROM actor WHERE kind = ?1 AND key = ?2")
            try row.bind(text: address.kind.name, at: 1)
            try row.bind(copying: KeyCoding.encode(address.key), at: 2)
            return row
        }
        return try actors(row).first
    }

    func actor(_ id: ActorID) throws(StoreError) -> StoredActor? {
        let row = try attempt { () throws(SQLiteError) in
            let row = try connection.statement("SELECT \(Self.columns) FROM actor WHERE id = ?1")
            try row.bind(Int64(bitPattern: id.rawValue), at: 1)
            return row
        }
        return try actors(row).first
    }

    func actors(kind: String?, limit: Int, after: ActorAddress?) throws(StoreError) -> [StoredActor] {
        let rows = try attempt { () throws(SQLiteError) in
            let condition =
                kind == nil ? "(kind, key) > (?1, ?2)" : "kind = ?4 AND (kind, key) > (?1, ?2)"
            let rows = try connection.statement(
                "SELECT \(Self.columns) FROM actor WHERE \(condition) ORDER BY kind, key LIMIT ?3")
            try rows.bind(text: after?.kind.name ?? "", at: 1)
            try rows.bind(copying: after.map { KeyCoding.encode($0.key) } ?? [], at: 2)
            try rows.bind(Int64(limit), at: 3)
            if let kind { try rows.bind(text: kind, at: 4) }
            return rows
        }
        return try actors(rows)
    }

    func items(of actor: ActorID, space: ItemSpace) throws(StoreError) -> [StoredItem] {
        try attempt { () throws(SQLiteError) in
            let rows = try connection.statement(
                "SELECT id, body FROM item WHERE actor = ?1 AND space = ?2 ORDER BY id")
            try rows.bind(Int64(bitPattern: actor.rawValue), at: 1)
            try rows.bind(Int64(space.rawValue), at: 2)
            var items: [StoredItem] = []
            while try rows.step() { items.append(StoredItem(id: rows.blob(at: 0), body: rows.blob(at: 1))) }
            return items
        }
    }

    func dueActors(
        through time: UInt64, limit: Int
    ) throws(StoreError) -> [(id: ActorID, address: ActorAddress, wakeAt: UInt64)] {
        let rows = try attempt { () throws(SQLiteError) in
            let rows = try connection.statement(
                """
                SELECT id, kind, key, wake FROM actor WHERE wake IS NOT NULL AND wake <= ?1 \
                ORDER BY wake, id LIMIT ?2
                """)
            try rows.bind(Int64(clamping: time), at: 1)
            try rows.bind(Int64(limit), at: 2)
            return rows
        }
        defer { rows.reset() }
        var due: [(id: ActorID, address: ActorAddress, wakeAt: UInt64)] = []
        while try attempt({ () throws(SQLiteError) in try rows.step() }) {
            let id = ActorID(rawValue: UInt64(bitPattern: rows.integer(at: 0)))
            due.append((id, try address(rows, of: id), Self.wake(rows.integer(at: 3))))
        }
        return due
    }

    /// SQLite's integers end before the times do; the last one stands for the last time, which means "at the
    /// next start".
    private static func wake(_ stored: Int64) -> UInt64 { stored == .max ? .max : UInt64(clamping: stored) }

    func nextWake() throws(StoreError) -> UInt64? {
        try attempt { () throws(SQLiteError) in
            let row = try connection.statement("SELECT min(wake) FROM actor WHERE wake IS NOT NULL")
            defer { row.reset() }
            guard try row.step() else { return nil }
            return row.optionalInteger(at: 0).map(Self.wake)
        }
    }

    private func actors(_ rows: Statement) throws(StoreError) -> [StoredActor] {
        defer { rows.reset() }
        var actors: [StoredActor] = []
        while try attempt({ () throws(SQLiteError) in try rows.step() }) {
            let id = ActorID(rawValue: UInt64(bitPattern: rows.integer(at: 0)))
            actors.append(
                StoredActor(
                    id: id, address: try address(rows, of: id),
                    createdAt: UInt64(clamping: rows.integer(at: 3)),
                    state: rows.optionalBlob(at: 6), run: rows.optionalBlob(at: 5),
                    input: rows.optionalBlob(at: 7),
                    wakeAt: rows.optionalInteger(at: 4).map(Self.wake)))
        }
        return actors
    }

    /// Reads columns 1 and 2.
    private func address(_ rows: Statement, of id: ActorID) throws(StoreError) -> ActorAddress {
        guard let kind = try? ActorKind(rows.text(at: 1)), let key = KeyCoding.decode(rows.blob(at: 2)) else {
            throw .damaged(what: what, detail: "the address of actor \(id.rawValue) cannot be read")
        }
        return ActorAddress(kind: kind, key: key)
    }
}
