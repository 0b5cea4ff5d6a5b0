import Identifiers

@testable import MembershipCore

/// One failure detector, and what it is told and asked by hand.
struct Bench {
    static let me = NodeID(rawValue: 1)
    var swim: Swim
    var now: Duration
    private(set) var effects: [Swim.Effect] = []

    /// - Parameter size: nodes of the cluster, 1 to `size`; the first is the one that is looked at.
    init(_ size: Int, settings: SwimSettings = SwimSettings(), seed: UInt64 = 7) {
        now = .seconds(100)
        swim = Swim(Self.me, Incarnation(rawValue: 1), settings: settings, seed: seed, now: now)
        handle(.members(Self.listed(1...UInt64(size))))
        effects = []
    }

    static func node(_ number: UInt64) -> NodeID { NodeID(rawValue: number) }

    static func listed(_ numbers: ClosedRange<UInt64>) -> [Swim.Listed] {
        numbers.map { Swim.Listed(node($0), Incarnation(rawValue: 1), isUp: true) }
    }

    @discardableResult
    mutating func handle(_ event: Swim.Event) -> [Swim.Effect] {
        let new = swim.handle(event, now: now)
        effects += new
        return new
    }

    /// Ticks for a while; what was asked in it is in the result.
    @discardableResult
    mutating func tick(for time: Duration) -> [Swim.Effect] {
        let start = effects.count
        let end = now + time
        while now < end {
            now += .milliseconds(100)
            handle(.tick)
        }
        return Array(effects[start...])
    }

    /// Ticks, and answers every ping to one of the nodes, which objects if it is doubted.
    mutating func tick(for time: Duration, answering nodes: Set<UInt64>) {
        let end = now + time
        while now < end {
            now += .milliseconds(100)
            for (body, node, rumours) in Self.sent(handle(.tick)) {
                guard case .ping(let sequence) = body, nodes.contains(node.rawValue) else { continue }
                let doubt = rumours.first { $0.node == node }
                hear(node.rawValue, .ack(sequence), swim: doubt.map { $0.swimIncarnation + 1 } ?? 0)
            }
        }
    }

    /// A message from a node.
    @discardableResult
    mutating func hear(
        _ number: UInt64, _ body: SwimMessage.Body, _ rumours: [Rumour] = [], incarnation: UInt32 = 1,
        swim: UInt64 = 0, meta: NodeMeta = NodeMeta()
    ) -> [Swim.Effect] {
        let sender = Presence(
            node: Self.node(number), incarnation: Incarnation(rawValue: incarnation), swimIncarnation: swim,
            meta: meta)
        return handle(.message(SwimMessage(sender: sender, body: body, rumours: rumours)))
    }

    static func sent(
        _ effects: [Swim.Effect]
    ) -> [(body: SwimMessage.Body, to: NodeID, rumours: [Rumour])] {
        effects.compactMap { effect in
            if case .send(let message, let node) = effect {
                (message.body, node, message.rumours)
            } else {
                nil
            }
        }
    }

    static func rumour(
        _ number: UInt64, _ content: Rumour.Content, incarnation: UInt32 = 1, swim: UInt64 = 0
    ) -> Rumour {
        Rumour(
            node: node(number), incarnation: Incarnation(rawValue: incarnation), swimIncarnation: swim,
            content: content)
    }

    static func suspect(_ number: UInt64, by accuser: UInt64, swim: UInt64 = 0) -> Rumour {
        rumour(number, .suspect(by: node(accuser)), swim: swim)
    }

    func state(_ number: UInt64) -> MemberState? { swim.members[Self.node(number)]?.state }

    enum Failure: Error { case never }

    /// Ticks until a ping to the node leaves, and gives its number. Others answer meanwhile.
    mutating func awaitPing(to number: UInt64) throws -> UInt64 {
        for _ in 0..<2_000 {
            for (body, node, _) in Self.sent(tick(for: .milliseconds(100))) {
                guard case .ping(let sequence) = body else { continue }
                if node.rawValue == number { return sequence }
                hear(node.rawValue, .ack(sequence))
            }
        }
        throw Failure.never
    }

    /// Ticks until the member is in the state, and gives how long that took.
    mutating func awaitState(
        _ state: MemberState, of number: UInt64, limit: Duration
    ) throws -> Duration {
        let start = now
        while now - start <= limit {
            if self.state(number) == state { return now - start }
            tick(for: .milliseconds(100))
        }
        throw Failure.never
    }
}
