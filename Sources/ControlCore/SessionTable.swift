import Identifiers
import PlacementCore

/// One voter's view of who lives: when each node's heartbeat came last, and what it said of the others.
///
/// Time is counted in ticks of the process: one that stood still has not heard of anybody for no longer than
/// it ran, so it accuses nobody after its own pause.
struct SessionTable: Sendable {
    /// A voter tells the others of silences from so many ticks on.
    static let toldTicks: UInt64 = 10

    /// Whoever is so sick for so long should not own anything (D34).
    static let sickHealth: UInt8 = 6
    static let sickTicks: UInt64 = 200

    private struct Session: Sendable {
        var incarnation: Incarnation
        var heardAt: UInt64
        /// What it said last; nil for somebody who has just appeared.
        var said: Heartbeat?
        /// Since when it says that it is sick; nil while it is not.
        var sickSince: UInt64?
    }

    private var now: UInt64 = 0
    /// Of the nodes that are up in the map. Whoever has just appeared counts as heard.
    private var sessions: [NodeID: Session] = [:]
    private var version: MapVersion?

    mutating func tick(_ map: ClusterMap?) {
        now += 1
        guard let map, map.version != version else { return }
        version = map.version
        var kept: [NodeID: Session] = [:]
        for node in map.nodes where node.isUp {
            if let known = sessions[node.id], known.incarnation == node.incarnation {
                kept[node.id] = known
            } else {
                kept[node.id] = Session(incarnation: node.incarnation, heardAt: now)
            }
        }
        sessions = kept
    }

    /// What a life says that is not the node's present one counts for nothing.
    mutating func hear(_ heartbeat: Heartbeat) {
        guard var session = sessions[heartbeat.life.node],
            session.incarnation == heartbeat.life.incarnation
        else { return }
        (session.heardAt, session.said) = (now, heartbeat)
        let isSick = heartbeat.condition.health >= Self.sickHealth
        session.sickSince = isSick ? session.sickSince ?? now : nil
        sessions[heartbeat.life.node] = session
    }

    /// Nodes that should own nothing: about to end, or sick.
    var unfit: Set<NodeID> {
        Set(
            sessions.compactMap { node, session in
                let isSick = session.sickSince.map { now - $0 >= Self.sickTicks } ?? false
                return isSick || session.said?.condition.isLeaving == true ? node : nil
            })
    }

    /// For this voter's own heartbeats.
    var silences: [Heartbeat.Silence] {
        sessions.compactMap { node, session in
            let ticks = now - session.heardAt
            guard ticks >= Self.toldTicks else { return nil }
            return Heartbeat.Silence(node: node, incarnation: session.incarnation, ticks: ticks)
        }.sorted { $0.node < $1.node }
    }

    /// What is known about the nodes of whom this voter has not heard for a while.
    /// - Parameter voters: the nodes that vote, this one too.
    /// - Parameter freshTicks: what a node said longer ago is not counted any more.
    func evidence(me: NodeID, voters: [NodeID], freshTicks: UInt64) -> [NodeID: Evidence] {
        var evidence: [NodeID: Evidence] = [:]
        for silence in silences where silence.node != me {
            var found = Evidence(incarnation: silence.incarnation, silentTicks: [silence.ticks])
            for (node, session) in sessions where node != silence.node {
                guard let said = session.said, now - session.heardAt <= freshTicks else { continue }
                let complaint = Heartbeat.Complaint(node: silence.node, incarnation: silence.incarnation)
                if said.complaints.contains(complaint) { found.reporters.append(node) }
                guard node != me, voters.contains(node),
                    let told = said.silences.first(where: { $0.node == silence.node }),
                    told.incarnation == silence.incarnation
                else { continue }
                found.silentTicks.append(told.ticks)
            }
            found.reporters.sort()
            found.silentTicks.sort(by: >)
            evidence[silence.node] = found
        }
        return evidence
    }
}
