import ClientProtocol
import ControlCore
import Identifiers
import PlacementCore
import Synchronization
import Testing

@testable import ClusterHost

@Suite("Clients hear of changes of the map")
struct RouteBookTests {
    private static let me = NodeID(rawValue: 1)

    /// Node 1 has both partitions; then node 2 gets a copy of the second, and takes it over.
    private static func history() throws -> (before: ClusterMap, copied: ClusterMap, after: ClusterMap) {
        var history = try MapHistory()
        for number in 0..<2 { try history.promote(number, to: 1) }
        try history.join(2)
        let before = try history.map
        try history.replicate(1, to: 2)
        let copied = try history.map
        try history.lose(1)
        try history.promote(1, to: 2)
        return (before, copied, try history.map)
    }

    private static func owners(_ map: RoutingMap?) -> [PartitionID: UInt64] {
        Dictionary(uniqueKeysWithValues: (map?.entries ?? []).map { ($0.partition, $0.owner?.rawValue ?? 0) })
    }

    @Test("A60: who has a version hears what has changed since, who has none or an old one hears everything")
    func changes() throws {
        let (before, copied, after) = try Self.history()
        var book = RouteBook()
        #expect(book.routes(after: nil, teller: Self.me) == nil && !book.hasNews(after: nil))
        book.publish(before)
        let all = [PartitionID(0): 1, PartitionID(1): 1] as [PartitionID: UInt64]
        for version in [nil, 0, before.version.rawValue - 1] {
            #expect(Self.owners(book.routes(after: version, teller: Self.me)) == all)
            #expect(book.hasNews(after: version))
        }
        let whole = try #require(book.routes(after: nil, teller: Self.me))
        #expect(whole.nodes.map(\.address) == ["c1:1", "c2:1"] && whole.teller == Self.me)
        #expect(whole.version == before.version.rawValue && whole.ring == MapHistory.ring)
        // A copy more is nothing to clients.
        book.publish(copied)
        #expect(!book.hasNews(after: before.version.rawValue))
        book.publish(after)
        #expect(book.hasNews(after: before.version.rawValue))
        let news = try #require(book.routes(after: before.version.rawValue, teller: Self.me))
        #expect(Self.owners(news) == [PartitionID(0): 0, PartitionID(1): 2])
        #expect(news.nodes.map(\.address) == ["c2:1"])
        #expect(Self.owners(book.routes(after: after.version.rawValue, teller: Self.me)).isEmpty)
    }

    @Test("A question is answered when there is something new, at its time, or when nobody waits any more")
    func waiting() async throws {
        let (before, _, after) = try Self.history()
        let board = MapBoard()
        board.publish(before)
        let version = before.version.rawValue
        async let news = board.routes(after: version, within: .seconds(60), teller: Self.me)
        try await within("the question to wait") {
            while board.routeBook.withLock({ $0.waiters.isEmpty }) { await Task.yield() }
        }
        board.publish(after)
        #expect(await news?.version == after.version.rawValue)
        let late = after.version.rawValue
        let nothing = await board.routes(after: late, within: .milliseconds(1), teller: Self.me)
        #expect(nothing?.entries.isEmpty == true)
        let left = Task { await board.routes(after: late, within: .seconds(60), teller: Self.me) }
        left.cancel()
        #expect(await left.value?.entries.isEmpty == true)
        #expect(board.routeBook.withLock { $0.waiters.isEmpty })
    }
}
