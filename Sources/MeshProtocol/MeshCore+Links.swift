import Identifiers

extension MeshCore {
    // MARK: Bytes that come

    /// Bytes came on the link.
    public mutating func received(
        _ bytes: UnsafeRawBufferPointer, on id: LinkID, now: Duration,
        random: inout some RandomNumberGenerator
    ) -> [MeshEffect] {
        links[id]?.deadlines.received(now: now)
        var input = bytes
        do {
            // A link can end in the middle of a chunk; what follows is dropped.
            while let frame = try links[id]?.decoder.next(&input) { took(frame, on: id, now) }
        } catch {
            leave(id, .malformed("\(error)"), saying: .malformed("\(error)"), now)
        }
        return settle(now, &random)
    }

    private mutating func took(_ frame: Frame, on id: LinkID, _ now: Duration) {
        switch links[id]?.phase {
        case .open(let peer):
            if frame.kind.isOfMesh {
                tookOwn(frame, from: peer, on: id, now)
            } else if let objection = catalog.objection(to: frame.kind, on: peer.lane) {
                leave(id, .malformed(objection), saying: .malformed(objection), now)
            } else {
                effects.append(.report(.frame(frame, from: peer)))
            }
        case .greeting: tookGreeting(frame, on: id, now)
        case .leaving, .dialling, nil: break
        }
    }

    private mutating func tookOwn(_ frame: Frame, from peer: MeshPeer, on id: LinkID, _ now: Duration) {
        switch frame.kind {
        case .ping: push(Frame(.pong), on: id, now)
        case .pong: if links[id]?.doubt == .asked { links[id]?.doubt = .answered(at: now) }
        case .farewell:
            let refusal = (try? Refusal(decoding: frame.payload)) ?? .malformed("an unreadable farewell")
            forget(id, .refusedByPeer(refusal))
        default:
            let sentence = "a frame of kind \(frame.kind.rawValue) after the handshake"
            leave(id, .malformed(sentence), saying: .malformed(sentence), now)
        }
    }

    // MARK: The handshake

    mutating func greet(_ id: LinkID, _ certificate: CertificateIdentity?, _ now: Duration) {
        guard let link = links[id], link.phase == .greeting, link.handshake == nil else { return }
        let handshake = Handshake(identity, as: link.role, certificate: certificate)
        links[id]?.handshake = handshake
        for frame in handshake.opening { push(frame, on: id, now) }
    }

    private mutating func tookGreeting(_ frame: Frame, on id: LinkID, _ now: Duration) {
        guard var handshake = links[id]?.handshake else { return }
        var outcome = handshake.received(frame, directory: directory) { isBeaten(id, as: $0) }
        links[id]?.handshake = handshake
        if outcome.isWelcome, let peer = handshake.peer, let refusal = objection(toSecond: peer, now) {
            outcome = .refuse(refusal)
        }
        switch outcome {
        case .send(let frames): for frame in frames { push(frame, on: id, now) }
        case .established(let frames, let peer):
            for frame in frames { push(frame, on: id, now) }
            establish(id, peer, now)
        case .refuse(let refusal):
            if refusal.code == .duplicate, let peer = handshake.peer { probe(peer, now) }
            leave(id, .refused(refusal), saying: refusal, now)
        case .refused(let refusal): forget(id, .refusedByPeer(refusal))
        }
    }

    /// Whether an established connection is to be kept instead of this one.
    ///
    /// When both nodes dialled at the same time, both keep what the lower one dialled. When the same side
    /// dialled again it has lost the old connection, and a newer incarnation has lost them all.
    private func isBeaten(_ id: LinkID, as peer: MeshPeer) -> Bool {
        guard let other = table[LinkKey(node: peer.node, lane: peer.lane)], other != id,
            let rival = links[other], let known = rival.peer, let link = links[id]
        else { return false }
        guard known.incarnation == peer.incarnation, known.store == peer.store else { return false }
        if case .dialled(_, _, expected: nil) = link.origin { return true }
        guard rival.isDialler != link.isDialler else { return false }
        return rival.isDialler == (identity.node < peer.node)
    }

    /// The peer dials although a connection exists: perhaps it has lost it and this side has not noticed.
    private mutating func probe(_ peer: MeshPeer, _ now: Duration) {
        if let id = table[LinkKey(node: peer.node, lane: peer.lane)] { probe(id, now) }
    }

    mutating func probe(_ id: LinkID, _ now: Duration) {
        links[id]?.deadlines.expectPong(now: now)
        wake(at: links[id]?.deadlines.next)
        push(Frame(.ping), on: id, now)
    }

    private mutating func establish(_ id: LinkID, _ peer: MeshPeer, _ now: Duration) {
        let key = LinkKey(node: peer.node, lane: peer.lane)
        if let old = table[key] { leave(old, .refused(.superseded), saying: .superseded, now) }
        let index = Int(peer.lane.rawValue)
        if let dial = targets[peer.node]?.lanes[index]?.link, dial != id { cancelDial(dial) }
        if targets[peer.node]?.lanes[index] != nil { targets[peer.node]?.lanes[index]?.link = id }
        if links[id]?.isDialler == false { handshakes -= 1 }
        links[id]?.open(peer, settings, now: now)
        wake(at: links[id]?.deadlines.next)
        table[key] = id
        directory.met(peer)
        closeOutdated(peer.node, now)
        // What ended by this is reported before what began.
        for failure in failures {
            if let old = failure.link.peer { effects.append(.report(.disconnected(old, failure.reason))) }
        }
        failures.removeAll { $0.link.peer != nil }
        mayDial = true
        effects.append(.report(.connected(peer)))
    }

    /// An attempt that is not needed any more ends without a word: the other side reports no such connection.
    private mutating func cancelDial(_ id: LinkID) {
        guard let link = links[id], link.peer == nil else { return }
        remove(id, link)
        effects.append(.abort(id))
    }

    /// Closes connections of a node that are known to lead to an older process or another store.
    mutating func closeOutdated(_ node: NodeID, _ now: Duration) {
        guard let known = directory[node] else { return }
        for lane in MeshLane.allCases {
            guard let id = table[LinkKey(node: node, lane: lane)], let peer = links[id]?.peer else {
                continue
            }
            if peer.store != known.store {
                let refusal = Refusal.otherStore(node, registered: known.store, peer: peer.store)
                leave(id, .refused(refusal), saying: refusal, now)
            } else if peer.incarnation < known.incarnation {
                let refusal = Refusal.oldIncarnation(node, known: known.incarnation, peer: peer.incarnation)
                leave(id, .refused(refusal), saying: refusal, now)
            }
        }
    }

    /// Closes connections of nodes that are none of the cluster any more.
    mutating func closeRemoved(_ now: Duration) {
        for key in table.keys.sorted() where directory.hasLeft(key.node) {
            guard let id = table[key] else { continue }
            leave(id, .refused(.removed(key.node)), saying: .removed(key.node), now)
        }
    }

    // MARK: Ends

    /// Ends a link, with a farewell if there is one and the link can carry it.
    mutating func leave(_ id: LinkID, _ reason: CloseReason, saying refusal: Refusal?, _ now: Duration) {
        guard let link = links[id], link.phase != .leaving || refusal == nil else { return }
        guard let refusal, link.handshake != nil else { return forget(id, reason) }
        retire(id, link, reason)
        links[id]?.phase = .leaving
        links[id]?.queue.dropUnbegun()
        links[id]?.deadlines.enter(.leaving, now: now)
        wake(at: links[id]?.deadlines.next)
        push(refusal.frame, on: id, now)
    }

    /// Ends a link at once.
    private mutating func forget(_ id: LinkID, _ reason: CloseReason) {
        guard let link = links[id] else { return }
        retire(id, link, reason)
        links.remove(id)
        effects.append(.abort(id))
    }

    /// The driver says that the connection is gone.
    mutating func ended(_ id: LinkID, _ reason: CloseReason?) {
        guard let link = links[id] else { return }
        retire(id, link, reason ?? .peerClosed(insideFrame: link.decoder.isInsideFrame))
        links.remove(id)
    }

    /// Takes a link out of the tables. A leaving one was taken out when it began to leave.
    private mutating func retire(_ id: LinkID, _ link: Link, _ reason: CloseReason) {
        guard link.phase != .leaving else { return }
        release(id, link)
        failures.append(Failure(link: link, reason: reason))
    }

    private mutating func remove(_ id: LinkID, _ link: Link) {
        if link.phase != .leaving { release(id, link) }
        links.remove(id)
    }

    private mutating func release(_ id: LinkID, _ link: Link) {
        if !link.isDialler, link.phase == .greeting { handshakes -= 1 }
        let key = link.peer.map { LinkKey(node: $0.node, lane: $0.lane) } ?? link.target
        guard let key else { return }
        if table[key] == id { table[key] = nil }
        if targets[key.node]?.lanes[Int(key.lane.rawValue)]?.link == id {
            targets[key.node]?.lanes[Int(key.lane.rawValue)]?.link = nil
        }
    }
}
