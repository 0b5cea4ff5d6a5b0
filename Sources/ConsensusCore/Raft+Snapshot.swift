/// A snapshot that is arriving.
struct IncomingSnapshot: Sendable {
    var position: Raft.Position
    var configuration: Raft.Configuration
    var stateBytes: Int
    var state: [UInt8] = []
}

extension Raft {
    /// The state machine's state takes the place of the log.
    mutating func compact(through index: Index, state: [UInt8]) {
        guard index > snapshot.position.index, index <= applied, let term = log.term(at: index),
            state.count <= settings.snapshotBytesMax
        else { return }
        snapshot = Snapshot(
            position: Position(term: term, index: index), configuration: log.configuration(at: index),
            state: state)
        log.compact(to: snapshot, retaining: settings.retainedEntries)
        persistence.compact(through: log.base.index)
        appliedBytes =
            index < applied ? log.entries(index + 1...applied).reduce(0) { $0 + $1.costBytes } : 0
        compactionAsked = false
    }

    mutating func receive(_ chunk: SnapshotChunk, from leader: Member) {
        guard chunk.position.term <= term, chunk.stateBytes <= settings.snapshotBytesMax else { return }
        guard chunk.position.index > commit else {
            return answer(leader, .accepted(match: commit), chunk.round)
        }
        if incoming?.position != chunk.position || incoming?.stateBytes != chunk.stateBytes {
            incoming = IncomingSnapshot(
                position: chunk.position, configuration: chunk.configuration, stateBytes: chunk.stateBytes)
        }
        let received = incoming?.state.count ?? 0
        if chunk.offset == received, chunk.bytes.count <= chunk.stateBytes - received {
            incoming?.state += chunk.bytes
        }
        if let complete = incoming, complete.state.count == complete.stateBytes {
            install(complete)
            answer(leader, .accepted(match: chunk.position.index), chunk.round)
        } else {
            let response = SnapshotResponse(
                position: chunk.position, receivedBytes: incoming?.state.count ?? 0, round: chunk.round)
            send(.snapshotResponse(response), to: leader, promising: true)
        }
    }

    private mutating func install(_ complete: IncomingSnapshot) {
        incoming = nil
        commit = complete.position.index
        // With this entry the log has all before it; what stands behind it may be needed.
        guard log.term(at: complete.position.index) != complete.position.term else { return }
        snapshot = Snapshot(
            position: complete.position, configuration: complete.configuration, state: complete.state)
        log = Log(snapshot: snapshot, entries: [])
        persistence.install()
        pendingRestore = snapshot
    }
}
