import ControlCore
import Identifiers
import MembershipCore
import PlacementCore
import TimeAndChance

/// What each machine sees of the others: its connections, and its failure detector, the real one.
extension Simulation {
    /// As `GossipDriver` has it: of the process's life, and of the map.
    func followMembers(_ map: ClusterMap, _ index: Int, _ process: SimulatedProcess) {
        guard let life = process.life else { return }
        if process.swim == nil {
            process.swim = Swim(life.node, life.incarnation, seed: chance(0 ... .max), now: elapsed)
        }
        // An incarnation that is issued and not yet on the node's disk is nobody's yet.
        let listed = map.nodes.map { Swim.Listed($0.id, $0.disk.persisted, isUp: $0.isUp) }
        guard listed != process.listed else { return }
        process.listed = listed
        gossip(.members(listed), index, process)
    }

    func observe(_ index: Int, _ process: SimulatedProcess) {
        detectFailures(index, process)
        guard process.client.isHeartbeatDue else { return }
        let swim = process.swim
        process.client.observe(
            silences: process.server.silences, isLinked: { isLinked(index, machine($0, seenBy: index)) },
            seemsDown: { swim?.doubts($0, $1) ?? false })
    }

    private func detectFailures(_ index: Int, _ process: SimulatedProcess) {
        guard let swim = process.swim, elapsed >= process.nextGossip else { return }
        process.nextGossip = elapsed + swim.settings.tick
        let health = process.client.condition.health
        let version = process.client.map?.version.rawValue ?? 0
        gossip(.facts(mapVersion: version, health: health, backlog: 0), index, process)
        gossip(.tick, index, process)
    }

    func gossip(_ event: Swim.Event, _ index: Int, _ process: SimulatedProcess) {
        for effect in process.swim?.handle(event, now: elapsed) ?? [] {
            switch effect {
            case .send(let message, let node):
                send(
                    .gossip(message.encoded()), from: index, to: machine(node, seenBy: index),
                    isControl: true)
            case .changed(let node, let standing):
                note("m\(index): m\(machine(node, seenBy: index)) seems \(standing.state)")
            case .accused, .loneliness, .stalled, .succeeded: break
            }
        }
    }

    func heard(_ gossiped: [UInt8], _ line: SimulatedNetwork.Line, _ process: SimulatedProcess) {
        do { gossip(.message(try SwimMessage.decode(gossiped)), line.to, process) } catch {
            checker.fail("m\(line.to) cannot read the gossip of m\(line.from): \(error)")
        }
    }

    /// A process that stands still keeps its connections; a cut ends them.
    private func isLinked(_ one: Int, _ other: Int) -> Bool {
        machines[other].process != nil && !network.isCut(one, other) && !network.isCut(other, one)
    }

    private var elapsed: Duration { .microseconds(Int64(now)) }
}
