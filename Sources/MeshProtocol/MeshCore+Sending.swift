import Identifiers

extension MeshCore {
    /// Hands a frame to the mesh, to be written in order behind the others of this peer and lane.
    public mutating func send(
        _ frame: Frame, to node: NodeID, on lane: MeshLane
    ) -> (SendOutcome, [MeshEffect]) {
        if let objection = catalog.objection(to: frame.kind, on: lane) { return (.invalid(objection), []) }
        guard frame.payload.count <= Frame.payloadBytesMax else {
            let limit = "the limit is \(Frame.payloadBytesMax)"
            return (.invalid("a frame has a payload of \(frame.payload.count) bytes, \(limit)"), [])
        }
        guard let id = table[LinkKey(node: node, lane: lane)], let peer = links[id]?.peer else {
            return (.notConnected, [])
        }
        // Behind others it goes out with them: whoever is at writing them asks until nothing is left.
        let flush = links[id]?.queue.hasUnfilled == false ? [MeshEffect.flush(id)] : []
        switch links[id]?.queue.offer(frame) {
        case .taken: return (.queued, flush)
        case .takenToHighMark: return (.queued, flush + [.report(.backPressure(peer, isHigh: true))])
        case .full, nil: return (.full, [])
        }
    }

    /// The connection to a peer, if there is one.
    public func peer(_ node: NodeID, on lane: MeshLane) -> MeshPeer? {
        table[LinkKey(node: node, lane: lane)].flatMap { links[$0]?.peer }
    }

    /// Bytes that wait for a peer, whether still here or at the socket.
    public func pendingBytes(to node: NodeID, on lane: MeshLane) -> Int {
        table[LinkKey(node: node, lane: lane)].flatMap { links[$0]?.queue.pendingBytes } ?? 0
    }

    /// Copies waiting bytes of the link into `buffer`. The driver reports with `wrote` when the socket has
    /// them.
    public mutating func fill(_ buffer: UnsafeMutableRawBufferPointer, for id: LinkID, now: Duration) -> Int {
        let count = links[id]?.queue.fill(buffer) ?? 0
        if count > 0 {
            links[id]?.deadlines.writingBegan(now: now)
            wake(at: links[id]?.deadlines.next)
        }
        return count
    }

    mutating func push(_ frame: Frame, on id: LinkID, _ now: Duration) {
        links[id]?.queue.push(frame)
        effects.append(.flush(id))
    }

    mutating func wrote(_ id: LinkID, _ bytes: Int, _ now: Duration) {
        guard links[id]?.queue.wrote(bytes) == true else { return noteProgress(id, now) }
        noteProgress(id, now)
        if let peer = links[id]?.peer { effects.append(.report(.backPressure(peer, isHigh: false))) }
    }

    private mutating func noteProgress(_ id: LinkID, _ now: Duration) {
        guard let queue = links[id]?.queue else { return }
        links[id]?.deadlines.wrote(isDone: queue.inFlightBytes == 0, now: now)
        if queue.isEmpty, links[id]?.phase == .leaving { effects.append(.finish(id)) }
    }

    mutating func pauseReading(_ node: NodeID, _ lane: MeshLane, _ isPaused: Bool, _ now: Duration) {
        guard let id = table[LinkKey(node: node, lane: lane)] else { return }
        links[id]?.deadlines.readingPaused(isPaused, now: now)
        wake(at: links[id]?.deadlines.next)
        effects.append(.read(id, isPaused: isPaused))
    }
}
