import Apus
import ClientProtocol
import Identifiers
import PlacementCore
import Synchronization
import Testing

@testable import ClusterHost

/// Sleeps, and then rings once.
struct Sleeper: DurableActor {
    static let nap = Duration.seconds(3)
    /// When the alarm of each actor rang, by a clock that nobody sets.
    static let rings = Mutex<[String: [ContinuousClock.Instant]]>([:])

    struct State: DurableState { var rung = 0 }
    struct Queues: Declarations {
        let names = Queue<String>()
    }
    struct Actions: Declarations {
        let rung = Query<Int> { $0.state.rung }
    }
    func run(_ workflow: inout Workflow<Self>) async throws {
        let name = try await workflow.next("name", from: \.names).body
        try await workflow.sleep("nap", for: Self.nap)
        try await workflow.step("ring") {
            Self.rings.withLock { $0[name, default: []].append(.now) }
        } commit: {
            $0.state.rung += 1
        }
    }
}

/// Its only step never ends, and the test ends the process that tries it.
struct Deadly: DurableActor {
    static let tries = Atomic<Int>(0)

    struct State: DurableState {}
    func run(_ workflow: inout Workflow<Self>) async throws {
        try await workflow.step("deadly", retry: .forever) {
            Self.tries.add(1, ordering: .relaxed)
            try await Task.sleep(for: .seconds(600))
        }
    }
}

/// Does one thing after the other, each of which takes a while.
struct Worker: DurableActor {
    /// By actor and thing, how often it was begun.
    static let begun = Mutex<[String: Int]>([:])
    static let things = 8

    struct State: DurableState {}
    func run(_ workflow: inout Workflow<Self>) async throws {
        let key = "\(workflow.key)"
        for thing in 0..<Self.things {
            try await workflow.step("thing-\(thing)") {
                Self.begun.withLock { $0["\(key) \(thing)", default: 0] += 1 }
                try await Task.sleep(for: .milliseconds(300))
            }
        }
    }
}

@Suite("Actors in trouble over changes of owner", .serialized)
struct ActorTroubleTests {
    private typealias Cluster = ActorCluster

    @Test("D42: timers ring once and not early, whoever owns them and however often that changes")
    func timers() async throws {
        let running = try Cluster()
        let map = try await running.startAll()
        let client = try running.service(1)
        let victim = try #require(map.partitions.compactMap(\.owner?.node).first { $0 != ClusterLab.node(1) })
        let number = Int(victim.rawValue)
        var begun: [String: ContinuousClock.Instant] = [:]
        for (index, key) in Cluster.keys.enumerated() {
            _ = try await Cluster.ask(client, "sleeper", key, .getOrCreate(input: nil))
            begun[key] = .now
            _ = try await Cluster.ask(
                client, "sleeper", key, .send(queue: "names", body: Payload("\"\(key)\"")),
                as: .session(SessionID(high: 3, low: 3), sequence: UInt64(index + 1), acknowledged: 0))
        }
        // Its timers go to others, and when it is back some come to it from them.
        try await running.lose(number)
        try await running.start(number)
        for key in Cluster.keys {
            try await within("the alarm of \(key)") {
                while try await Cluster.rung(client, key) == 0 { await Task.yield() }
            }
        }
        _ = try await running.settled(3)
        let rings = Sleeper.rings.withLock { $0 }
        for key in Cluster.keys {
            #expect(try await Cluster.rung(client, key) == 1)
            let times = try #require(rings[key])
            // A ring whose record a change of owner took is repeated; none comes before its time.
            for time in times {
                let slept = time - (begun[key] ?? time)
                #expect(slept >= Sleeper.nap, "\(key) rang after \(slept)")
            }
        }
        await running.stop()
    }

    @Test("2.8 D31: a node is drained while its actors work: no step is cut off and none done twice")
    func drained() async throws {
        let running = try Cluster()
        let map = try await running.startAll()
        let client = try running.service(1)
        let victim = try #require(map.partitions.compactMap(\.owner?.node).first { $0 != ClusterLab.node(1) })
        for key in Cluster.keys { _ = try await Cluster.ask(client, "worker", key, .getOrCreate(input: nil)) }
        let member = try #require(running.members[Int(victim.rawValue)])
        #expect(await member.handOff(within: .seconds(30)) == 0)
        for key in Cluster.keys {
            try await within("the end of the work of \(key)") {
                while try await !Cluster.description(client, "worker", key).contains("completed") {
                    try await Task.sleep(for: .milliseconds(20))
                }
            }
        }
        let begun = Worker.begun.withLock { $0 }
        #expect(begun.count == Cluster.keys.count * Worker.things)
        #expect(begun.allSatisfy { $0.value == 1 }, "\(begun.filter { $0.value > 1 })")
        await running.stop()
    }

    @Test("D37 W13: an actor that ends one process after the other is parked, and its neighbours are served")
    func crashLoop() async throws {
        // A step that is cut off in good order is no crash, and breaks the row of them.
        let running = try Cluster(asksOwners: false)
        let map = try await running.startAll()
        let partition = map.constants.ring.partition(of: try Cluster.address("deadly", "d"))
        _ = try await Cluster.ask(try running.service(1), "deadly", "d", .getOrCreate(input: nil))
        var (seen, dead, deaths) = (0, Set<NodeID>(), 0)
        var status = ""
        while true {
            let (board, client) = (try running.anybody.control.maps, try running.anybody.service)
            let former = seen
            status = try await within("another try, or the end of them") {
                while true {
                    let status = try await Cluster.description(client, "deadly", "d")
                    if status.contains("stalled") || Deadly.tries.load(ordering: .relaxed) > former {
                        return status
                    }
                    try await Task.sleep(for: .milliseconds(10))
                }
            }
            if status.contains("stalled") { break }
            seen = Deadly.tries.load(ordering: .relaxed)
            let owner = try #require(board.map?[partition]?.owner?.node)
            (deaths, _) = (deaths + 1, dead.insert(owner))
            #expect(deaths <= 10)
            guard deaths <= 10 else { break }
            try await running.lose(Int(owner.rawValue))
            try await running.start(Int(owner.rawValue))
            _ = try await running.settled(3)
        }
        print("parked after \(deaths) processes on \(dead.count) nodes, \(seen) tries")
        #expect(status.contains("quarantined"), "\(status)")
        #expect(dead.count > 1, "it followed the actor")
        // It stays parked where it goes next, and everybody else is served.
        let tries = Deadly.tries.load(ordering: .relaxed)
        let owner = try #require(try running.anybody.control.maps.map?[partition]?.owner?.node)
        try await running.lose(Int(owner.rawValue))
        let client = try running.anybody.service
        #expect(try await Cluster.description(client, "deadly", "d").contains("quarantined"))
        for key in Cluster.keys { #expect(try await Cluster.count(client, key) == 0) }
        #expect(Deadly.tries.load(ordering: .relaxed) == tries)
        await running.stop()
    }
}

extension ActorCluster {
    fileprivate var anybody: ClusterMember {
        get throws { try #require(members.keys.min().flatMap { members[$0] }) }
    }

    fileprivate static func rung(_ service: ClusterService, _ key: String) async throws -> Int {
        guard case .output(let output) = try await ask(service, "sleeper", key, .action("rung", input: .null))
        else { throw ClusterLab.Failure.stopped }
        return Int(output.text) ?? -1
    }

    fileprivate static func description(
        _ service: ClusterService, _ kind: String, _ key: String
    ) async throws -> String {
        guard case .document(let text) = try await ask(service, kind, key, .describe) else {
            throw ClusterLab.Failure.stopped
        }
        return text.text
    }
}
