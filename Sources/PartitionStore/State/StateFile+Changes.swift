import Identifiers
import SQLiteDriver

extension StateFile {
    /// Writes the changes of many actors. Ends come first, so that their keys are free for new actors; then
    /// the rest in the order of the tables, which touches each page once.
    func write(_ changes: [TurnCoalescer.Change]) throws(SQLiteError) {
        let sorted = changes.sorted { $0.id < $1.id }
        for change in sorted where change.isDestroyed && change.created == nil {
            try deleteActor(Int64(bitPattern: change.id.rawValue))
        }
        for change in sorted where !change.isDestroyed {
            if let created = change.created {
                try insertActor(change, address: created.address, time: created.time)
            } else {
                try updateActor(change)
            }
            try writeItems(change)
        }
    }

    private func deleteActor(_ id: Int64) throws(SQLiteError) {
        for sql in ["DELETE FROM item WHERE actor = ?1", "DELETE FROM actor WHERE id = ?1"] {
            let delete = try connection.statement(sql)
            try delete.bind(id, at: 1)
            try delete.run()
        }
    }

    private func insertActor(
        _ change: TurnCoalescer.Change, address: ActorAddress, time: UInt64
    ) throws(SQLiteError) {
        let insert = try connection.statement(
            """
            INSERT INTO actor(id, kind, key, created, wake, run, state, input) \
            VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
            """)
        try insert.bind(Int64(bitPattern: change.id.rawValue), at: 1)
        try insert.bind(text: address.kind.name, at: 2)
        try insert.bind(copying: KeyCoding.encode(address.key), at: 3)
        try insert.bind(Int64(clamping: time), at: 4)
        if let wake = change.wake ?? nil { try insert.bind(Int64(clamping: wake), at: 5) }
        if let run = change.run { try insert.bind(copying: run, at: 6) }
        if let state = change.state { try insert.bind(copying: state, at: 7) }
        if let input = change.input { try insert.bind(copying: input, at: 8) }
        try insert.run()
    }

    /// One statement for each set of changed columns: naming `wake` without need would rewrite its index.
    private func updateActor(_ change: TurnCoalescer.Change) throws(SQLiteError) {
        var columns: [String] = []
        if change.wake != nil { columns.append("wake = ?2") }
        if change.run != nil { columns.append("run = ?3") }
        if change.state != nil { columns.append("state = ?4") }
        if change.input != nil { columns.append("input = ?5") }
        guard !columns.isEmpty else { return }
        let update = try connection.statement(
            "UPDATE actor SET \(columns.joined(separator: ", ")) WHERE id = ?1")
        try update.bind(Int64(bitPattern: change.id.rawValue), at: 1)
        if let wake = change.wake ?? nil { try update.bind(Int64(clamping: wake), at: 2) }
        if let run = change.run { try update.bind(copying: run, at: 3) }
        if let state = change.state { try update.bind(copying: state, at: 4) }
        if let input = change.input { try update.bind(copying: input, at: 5) }
        try update.run()
    }

    private func writeItems(_ change: TurnCoalescer.Change) throws(SQLiteError) {
        let actor = Int64(bitPattern: change.id.rawValue)
        if !change.ranges.isEmpty {
            let delete = try connection.statement(
                "DELETE FROM item WHERE actor = ?1 AND space = ?2 AND id >= ?3 AND id <= ?4")
            for range in change.ranges {
                try delete.bind(actor, at: 1)
                try delete.bind(Int64(range.space), at: 2)
                try delete.bind(copying: range.from, at: 3)
                try delete.bind(copying: range.through, at: 4)
                try delete.run()
            }
        }
        guard !change.items.isEmpty else { return }
        let put = try connection.statement(
            "INSERT OR REPLACE INTO item(actor, space, id, body) VALUES(?1, ?2, ?3, ?4)")
        let delete = try connection.statement("DELETE FROM item WHERE actor = ?1 AND space = ?2 AND id = ?3")
        for (key, body) in change.items.sorted(by: { $0.key < $1.key }) {
            let statement = body == nil ? delete : put
            try statement.bind(actor, at: 1)
            try statement.bind(Int64(key.space), at: 2)
            try statement.bind(copying: key.id, at: 3)
            guard let body else {
                try delete.run()
                continue
            }
            try body.withUnsafeBufferPointer { bytes throws(SQLiteError) in
                try put.bind(borrowing: bytes, at: 4)
                try put.run()
            }
        }
    }
}
