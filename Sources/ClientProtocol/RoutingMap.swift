import Identifiers

/// Which node serves which actors, as nodes tell clients: `GET /cluster/map`, and the reply to a `map` frame.
///
/// One JSON object. `entries` has what has changed since the version that was asked for, or everything;
/// `nodes` is always whole.
public struct RoutingMap: Hashable, Sendable {
    /// Where one partition is.
    public struct Entry: Hashable, Sendable {
        public var partition: PartitionID
        public var epoch: Epoch
        /// Counts the changes of the entry.
        public var revision: UInt64
        /// None while nobody owns the partition.
        public var owner: NodeID?

        public init(partition: PartitionID, epoch: Epoch, revision: UInt64, owner: NodeID?) {
            self.partition = partition
            self.epoch = epoch
            self.revision = revision
            self.owner = owner
        }

        /// A redirect is followed only if it leads to a newer entry, so that two nodes that are both behind
        /// cannot send a client back and forth.
        public func isNewer(than other: Entry) -> Bool {
            (epoch.rawValue, revision) > (other.epoch.rawValue, other.revision)
        }
    }

    /// Host and port where clients reach a node.
    public struct Node: Hashable, Sendable {
        public var node: NodeID
        public var address: String

        public init(node: NodeID, address: String) {
            self.node = node
            self.address = address
        }
    }

    public static let nodesMax = 65_536
    static let addressBytesMax = 255

    public var cluster: ClusterID
    /// The node that tells it.
    public var teller: NodeID
    /// The version of the cluster's map, up to which this is complete.
    public var version: UInt64
    public var ring: HashRing
    public var nodes: [Node]
    public var entries: [Entry]

    public init(
        cluster: ClusterID, teller: NodeID, version: UInt64, ring: HashRing, nodes: [Node], entries: [Entry]
    ) {
        self.cluster = cluster
        self.teller = teller
        self.version = version
        self.ring = ring
        self.nodes = nodes
        self.entries = entries
    }
}

extension RoutingMap {
    /// The JSON text.
    public func encoded() -> Payload {
        var text = JSONText()
        text.object { text in
            text.member("cluster") { $0.string(cluster.description) }
            text.member("node") { $0.raw(String(teller.rawValue)) }
            text.member("version") { $0.raw(String(version)) }
            text.member("partitions") { $0.raw(String(ring.partitionCount)) }
            text.member("seed") { $0.raw("[\"\(Self.hex(ring.seed.0))\",\"\(Self.hex(ring.seed.1))\"]") }
            text.member("nodes") { text in
                text.array { text in
                    for node in nodes {
                        text.element { text in
                            text.array { text in
                                text.element { $0.raw(String(node.node.rawValue)) }
                                text.element { $0.string(node.address) }
                            }
                        }
                    }
                }
            }
            text.member("entries") { text in
                text.array { text in
                    for entry in entries {
                        let owner = entry.owner?.rawValue ?? 0
                        text.element {
                            $0.raw(
                                "[\(entry.partition.rawValue),\(entry.epoch.rawValue),\(entry.revision),"
                                    + "\(owner)]")
                        }
                    }
                }
            }
        }
        return Payload(text.bytes)
    }

    private static func hex(_ word: UInt64) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// Reads what `encoded` wrote. Total: any bytes give a map or a typed error. Members that are not known
    /// are passed over.
    public static func decode(_ payload: Payload) throws(FrameError) -> RoutingMap {
        let bytes = payload.bytes.span
        let members: [String: JSONSlice]
        do throws(JSONError) { members = try JSONSlice.members(of: bytes) } catch {
            throw .malformed(error)
        }
        func member(_ name: String) throws(FrameError) -> JSONSlice {
            guard let slice = members[name] else { throw .field(name) }
            return slice
        }
        func number(_ name: String) throws(FrameError) -> UInt64 {
            guard let value = try member(name).integer(in: payload.bytes.span) else { throw .field(name) }
            return value
        }
        guard let cluster = try member("cluster").string(in: bytes).flatMap({ ClusterID($0) }) else {
            throw .field("cluster")
        }
        guard let seeds = try member("seed").strings(in: bytes), seeds.count == 2,
            let seed = words(seeds), let count = Int(exactly: try number("partitions")),
            let ring = HashRing(partitionCount: count, seed: seed)
        else { throw .field("seed") }
        let teller = try number("node")
        guard teller > 0 else { throw .field("node") }
        return RoutingMap(
            cluster: cluster, teller: NodeID(rawValue: teller), version: try number("version"), ring: ring,
            nodes: try nodes(bytes, member("nodes")), entries: try entries(bytes, member("entries"), ring))
    }

    private static func words(_ texts: [String]) -> (UInt64, UInt64)? {
        guard texts.allSatisfy({ $0.utf8.count == 16 && $0.utf8.first != UInt8(ascii: "+") }),
            let first = UInt64(texts[0], radix: 16), let second = UInt64(texts[1], radix: 16)
        else { return nil }
        return (first, second)
    }

    private static func nodes(
        _ bytes: borrowing Span<UInt8>, _ slice: JSONSlice
    ) throws(FrameError) -> [Node] {
        let rows = try rows(bytes, slice, "nodes", limit: nodesMax)
        var nodes: [Node] = []
        nodes.reserveCapacity(rows.count)
        for row in rows {
            guard row.count == 2, let number = row[0].integer(in: bytes), number > 0,
                let address = row[1].string(in: bytes), address.utf8.count <= addressBytesMax
            else { throw .field("nodes") }
            nodes.append(Node(node: NodeID(rawValue: number), address: address))
        }
        return nodes
    }

    private static func entries(
        _ bytes: borrowing Span<UInt8>, _ slice: JSONSlice, _ ring: HashRing
    ) throws(FrameError) -> [Entry] {
        let rows = try rows(bytes, slice, "entries", limit: ring.partitionCount)
        var entries: [Entry] = []
        entries.reserveCapacity(rows.count)
        for row in rows {
            let numbers = row.compactMap { $0.integer(in: bytes) }
            guard row.count == 4, numbers.count == 4, numbers[0] < UInt64(ring.partitionCount) else {
                throw .field("entries")
            }
            entries.append(
                Entry(
                    partition: PartitionID(Int(numbers[0])), epoch: Epoch(rawValue: numbers[1]),
                    revision: numbers[2], owner: numbers[3] == 0 ? nil : NodeID(rawValue: numbers[3])))
        }
        return entries
    }

    /// The elements of the arrays in an array.
    private static func rows(
        _ bytes: borrowing Span<UInt8>, _ slice: JSONSlice, _ name: String, limit: Int
    ) throws(FrameError) -> [[JSONSlice]] {
        do throws(JSONError) {
            let places = try JSONScanner.elements(bytes, in: slice.place)
            guard places.count <= limit else {
                throw JSONError(reason: .syntax, offset: slice.place.lowerBound)
            }
            var rows: [[JSONSlice]] = []
            rows.reserveCapacity(places.count)
            for place in places {
                rows.append(try JSONScanner.elements(bytes, in: place).map { JSONSlice(place: $0) })
            }
            return rows
        } catch { throw .field(name) }
    }
}
