/// Who talks to whom through the proxy, what is wrong between them, and the commands that change it.
package struct FaultTable: Sendable {
    package static let nodesMax = 64
    /// Who dials from an address that no node has said to be its own.
    package static let outside = "outside"

    /// A node behind the proxy.
    package struct Node: Hashable, Sendable {
        package var name: String
        /// The host that it dials others from, by which its connections are known; nil: they count as
        /// `outside`.
        package var source: String?

        package init(name: String, source: String?) {
            self.name = name
            self.source = source
        }
    }

    /// From whom to whom bytes go.
    package struct Direction: Hashable, Sendable, Comparable, CustomStringConvertible {
        package var from: String
        package var to: String

        package init(from: String, to: String) {
            self.from = from
            self.to = to
        }

        package var description: String { "\(from) > \(to)" }
        package static func < (a: Self, b: Self) -> Bool { (a.from, a.to) < (b.from, b.to) }
    }

    package enum Effect: Hashable, Sendable {
        /// Connections look up their faults anew.
        case faultsChanged
        /// Connections whose bytes go that way are reset.
        case reset(Set<Direction>)
        case answer([String])
        /// How many connections there are and what they hold is to be told.
        case describeConnections
    }

    package let nodes: [Node]
    private var faults: [Direction: LinkFault] = [:]

    package init(_ nodes: [Node]) throws(ControlError) {
        guard 1...Self.nodesMax ~= nodes.count else {
            throw ControlError("1 to \(Self.nodesMax) nodes can be behind a proxy, not \(nodes.count)")
        }
        for node in nodes {
            let isWord = node.name.utf8.allSatisfy {
                $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".")
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0 | 0x20)
            }
            guard isWord, !node.name.isEmpty, node.name != Self.outside else {
                throw ControlError("\"\(node.name)\" cannot be a node's name: letters, digits, - _ . are")
            }
        }
        guard Set(nodes.map(\.name)).count == nodes.count else {
            throw ControlError("two nodes have the same name")
        }
        let sources = nodes.compactMap(\.source)
        guard Set(sources).count == sources.count else {
            throw ControlError("two nodes dial from the same address, so nobody can tell them apart")
        }
        self.nodes = nodes
    }

    /// Who dials from there.
    package func dialler(at host: String) -> String {
        nodes.first { $0.source == host }?.name ?? Self.outside
    }

    package subscript(_ direction: Direction) -> LinkFault { faults[direction] ?? .none }

    /// What each command does.
    package static let help = [
        "set FROM TO FAULT ...  what is wrong with what FROM sends to TO,",
        "                       in place of what was; no FAULT: nothing",
        "cut A B                nothing passes between them, both ways",
        "heal                   nothing is wrong any more",
        "heal A B               the same between A and B, both ways",
        "reset A B              all connections between them are reset, now",
        "status                 nodes, faults and connections",
        "help                   this list",
        "FAULT: cut, swallow, delay=50ms, jitter=20ms, loss=0.01,",
        "       reset=0.001, rate=BYTES a second",
        "FROM, TO, A, B: a node; outside, who dials from an unknown address;",
        "       several with commas between them; * for all",
    ]

    /// Follows one command.
    package mutating func handle(_ line: some StringProtocol) throws(ControlError) -> [Effect] {
        let words = line.split(whereSeparator: \.isWhitespace).map { Substring($0) }
        guard let command = words.first else { throw ControlError("a command is needed: try help") }
        switch (command, words.count) {
        case ("set", 3...):
            let fault = try LinkFault(words: words[3...])
            for direction in try directions(words[1], words[2]) { set(direction, fault) }
            return [.faultsChanged]
        case ("cut", 3):
            let fault = try LinkFault(words: ["cut"])
            for direction in try both(words[1], words[2]) { set(direction, fault) }
            return [.faultsChanged]
        case ("heal", 1):
            faults = [:]
            return [.faultsChanged]
        case ("heal", 3):
            for direction in try both(words[1], words[2]) { faults[direction] = nil }
            return [.faultsChanged]
        case ("reset", 3): return [.reset(try both(words[1], words[2]))]
        case ("status", 1): return [.answer(status), .describeConnections]
        case ("help", 1): return [.answer(Self.help)]
        case ("set", _): throw ControlError("set FROM TO FAULT ... is needed")
        case ("cut", _), ("reset", _): throw ControlError("\(command) A B is needed")
        case ("heal", _): throw ControlError("heal or heal A B is needed")
        default: throw ControlError("\"\(line)\" is no command: try help")
        }
    }

    private mutating func set(_ direction: Direction, _ fault: LinkFault) {
        faults[direction] = fault == .none ? nil : fault
    }

    private func both(_ a: Substring, _ b: Substring) throws(ControlError) -> Set<Direction> {
        try directions(a, b).union(try directions(b, a))
    }

    private func directions(_ from: Substring, _ to: Substring) throws(ControlError) -> Set<Direction> {
        let targets = try names(to)
        let sources = try names(from)
        var directions: Set<Direction> = []
        for from in sources {
            for to in targets where from != to { directions.insert(Direction(from: from, to: to)) }
        }
        guard !directions.isEmpty else { throw ControlError("between \(from) and \(to) is nothing") }
        return directions
    }

    private func names(_ text: Substring) throws(ControlError) -> [String] {
        let all = nodes.map(\.name) + [Self.outside]
        if text == "*" { return all }
        var names: [String] = []
        for name in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let known = all.first(where: { $0 == name }) else {
                throw ControlError("no node is called \"\(name)\": there are \(all.joined(separator: ", "))")
            }
            names.append(known)
        }
        return names
    }

    private var status: [String] {
        nodes.map { "node \($0.name) from \($0.source ?? "anywhere")" }
            + faults.sorted { $0.key < $1.key }.map { "fault \($0.key): \($0.value)" }
    }
}
