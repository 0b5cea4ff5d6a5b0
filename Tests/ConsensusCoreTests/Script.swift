import ConsensusCore
import Testing

/// Runs a transcript's commands and writes the transcript anew: commands after `> `, then what happened.
///
/// Writes are durable at once, unless a node holds them; messages wait until they are delivered.
struct Script {
    private var cluster = Cluster(voters: 1, traced: true)
    private var mutations: Mutations = []
    /// Copies that arrive a second time.
    private var kept: [Raft.Message] = []

    static func run(_ text: String) -> String {
        var script = Script()
        var lines: [String] = []
        for line in text.split(separator: "\n") where line.hasPrefix("> ") {
            lines.append(String(line))
            script.execute(line.dropFirst(2).split(separator: " ").map(String.init))
            lines += script.cluster.trace ?? []
            // One tells it all: the rest follows from it.
            lines += script.cluster.checker.violations.prefix(1).map { "VIOLATION \($0)" }
            script.cluster.trace = []
            script.cluster.checker.forget()
        }
        return lines.joined(separator: "\n")
    }

    private mutating func execute(_ words: [String]) {
        let rest = Array(words.dropFirst())
        let number = rest.first.flatMap(Int.init) ?? 0
        let other = rest.count > 1 ? Int(rest[1]) ?? 0 : 0
        switch words[0] {
        case "without": mutations.formUnion(Self.mutation(rest[0]))
        case "cluster":
            cluster = Cluster(voters: number, blank: other, mutations: mutations, traced: true)
        case "quietly":
            execute(rest)
            cluster.trace = []
        case "elect":
            timeout(number)
            deliver(nil, silently: true)
            cluster.trace = ["\(number) \(cluster[number].raft?.roleText ?? "is down")"]
        case "timeout": timeout(number)
        case "tick": tick(rest[0], times: other)
        case "deliver":
            for link in rest { deliver(link, silently: false) }
            if rest.isEmpty { deliver(nil, silently: false) }
        case "pass": for link in rest { deliver(link, silently: true) }
        case "settle": deliver(nil, silently: true)
        case "drop": cluster.network = cluster.network.filter { !matches($0, rest.first) }
        case "keep": kept = cluster.network.filter { matches($0, rest.first) }
        case "again": cluster.network += kept
        case "cut": cut(number, other)
        case "isolate":
            for peer in 1...cluster.nodes.count where peer != number { cut(number, peer) }
        case "heal": cluster.cut = []
        case "hold": cluster[number].holdsWrites = true
        case "flush":
            cluster[number].holdsWrites = false
            while !cluster[number].pending.isEmpty { cluster.completeWrite(number) }
        case "crash": for number in rest.compactMap(Int.init) { cluster.crash(number) }
        case "restart": for number in rest.compactMap(Int.init) { restart(number) }
        case "wipe": cluster.wipe(number)
        case "propose": cluster.propose(Array(rest.dropFirst()), at: number)
        case "read": cluster.read(rest[1], at: number)
        case "add", "promote", "remove": change(words[0], number, rest[1])
        case "transfer":
            let token = cluster.token("transfer to \(rest[1])")
            cluster.handle(.transfer(token: token, to: member(rest[1])), at: number)
        case "compact": cluster.compact(number)
        case "show": show(number)
        default: cluster.say("unknown command \(words[0])")
        }
    }

    private mutating func restart(_ number: Int) {
        cluster.crash(number)
        cluster[number].holdsWrites = false
        cluster.start(number)
    }

    private mutating func change(_ verb: String, _ number: Int, _ name: String) {
        let member = member(name)
        let change: Raft.Change =
            verb == "add" ? .addLearner(member) : verb == "promote" ? .promote(member) : .remove(member)
        let token = cluster.token(change.text)
        cluster.handle(.change(token: token, change), at: number)
    }

    /// A name as `Raft.Member.name` gives it.
    private func member(_ name: String) -> Raft.Member {
        let digits = name.prefix { $0.isNumber }
        let letter = name.dropFirst(digits.count).utf8.first ?? UInt8(ascii: "a")
        return Raft.Member(number: Int(digits) ?? 0, generation: Int(letter - UInt8(ascii: "a")))
    }

    /// Ticks until the node stands for election, or would have.
    private mutating func timeout(_ number: Int) {
        let term = cluster[number].raft?.term
        for _ in 0..<40 {
            cluster.handle(.tick, at: number)
            guard let raft = cluster[number].raft, raft.role == .follower, raft.term == term else { return }
        }
    }

    private mutating func tick(_ who: String, times: Int) {
        for _ in 0..<max(times, 1) {
            if let number = Int(who) {
                cluster.handle(.tick, at: number)
            } else {
                for number in 1...cluster.nodes.count { cluster.handle(.tick, at: number) }
            }
        }
    }

    private mutating func cut(_ a: Int, _ b: Int) {
        cluster.cut.formUnion([Cluster.Link(from: a, to: b), Cluster.Link(from: b, to: a)])
    }

    /// - Parameter link: `1>2`, or nil for all.
    private func matches(_ message: Raft.Message, _ link: String?) -> Bool {
        link == nil || link == "\(message.from.number)>\(message.to.number)"
    }

    /// What waits on one link arrives; or everything, and what it leads to, until it is quiet.
    private mutating func deliver(_ link: String?, silently: Bool) {
        for _ in 0..<200 {
            let batch = cluster.network.filter { matches($0, link) }
            if batch.isEmpty { return }
            cluster.network = cluster.network.filter { !matches($0, link) }
            for message in batch {
                if !silently {
                    let isLost = cluster.isCut(message) || cluster[message.to.number].raft == nil
                    cluster.say(message.text + (isLost ? " (lost)" : ""))
                }
                cluster.deliver(message)
            }
            if link != nil { return }
        }
        cluster.say("it is not quiet after 200 rounds")
    }

    private mutating func show(_ only: Int) {
        for node in cluster.nodes where only == 0 || node.member.number == only {
            guard let raft = node.raft else {
                cluster.say("\(node.member.name) is down")
                continue
            }
            let (leader, last) = (raft.leader?.name ?? "-", raft.lastPosition.name)
            let members = raft.configuration.name
            cluster.say(
                "\(node.member.name) \(raft.roleText) leader \(leader) last \(last)"
                    + " durable \(raft.durableIndex) commit \(raft.commit) members(\(members))")
        }
    }

    private static func mutation(_ name: String) -> Mutations {
        switch name {
        case "older-terms-rule": .commitsOlderTerms
        case "own-term-rule": .changesBeforeOwnTerm
        case "asking": .changesUnasked
        case "log-order": .votesForShorterLogs
        case "pre-vote": .noPreVote
        case "stickiness": .heedsDisruption
        case "check-quorum": .noCheckQuorum
        case "read-round": .readsWithoutRound
        case "read-term": .readsBeforeOwnTerm
        case "store-identity": .ignoresStores
        case "own-durability": .countsOwnUnwritten
        case "held-answers": .answersBeforeWrite
        case "match-rule": .truncatesMatching
        case "proven-commit": .commitsUnproven
        case "one-change": .changesInParallel
        default: []
        }
    }
}

/// The transcript is exactly what happens.
func expect(_ transcript: String, sourceLocation: SourceLocation = #_sourceLocation) {
    let actual = Script.run(transcript)
    guard actual != transcript else { return }
    Issue.record("what happened is not what is written:\n\(actual)\n", sourceLocation: sourceLocation)
}
