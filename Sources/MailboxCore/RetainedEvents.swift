import ByteCoding

/// The last events of each name that an actor keeps for later subscribers (A40). Decisions only.
public struct RetainedEvents: Sendable {
    public static let version: UInt8 = 1
    /// The most events of one name that can be kept.
    public static let countMax = 1_000

    private var events: [String: [(number: UInt64, payload: [UInt8])]] = [:]

    public init() {}

    /// Keeps an event, and forgets the oldest ones beyond `count`.
    /// - Returns: the item to store, and the identifiers of those to delete.
    public mutating func add(
        _ name: String, _ payload: [UInt8], count: Int
    ) -> (id: [UInt8], value: [UInt8], deleted: [[UInt8]]) {
        var kept = events.removeValue(forKey: name) ?? []
        let number = (kept.last?.number ?? 0) + 1
        kept.append((number, payload))
        var deleted: [[UInt8]] = []
        let surplus = max(0, kept.count - max(1, min(count, Self.countMax)))
        for old in kept.prefix(surplus) { deleted.append(Self.id(name, old.number)) }
        kept.removeFirst(surplus)
        events[name] = kept
        var writer = ByteWriter(capacity: payload.count + 8)
        writer.byte(Self.version)
        writer.blob(payload)
        return (Self.id(name, number), writer.bytes, deleted)
    }

    /// The last events of a name, oldest first.
    public func last(_ name: String, count: Int) -> [[UInt8]] {
        (events[name] ?? []).suffix(max(0, count)).map(\.payload)
    }

    /// Takes up a stored item; called in the order of their identifiers.
    public mutating func restore(id: [UInt8], value: [UInt8]) throws(WireError) {
        var idReader = ByteReader(id)
        let name = try idReader.string()
        let rest = Array(id[idReader.offset...])
        let number = try TurnOperation.itemNumber(rest).countable("an event's number")
        var reader = ByteReader(value)
        let version = try reader.byte()
        guard version == Self.version else {
            throw .version(what: "retained event", found: UInt64(version), newest: UInt64(Self.version))
        }
        let payload = try reader.blob()
        try reader.finish()
        events[name, default: []].append((number, payload))
    }

    /// The events of one name lie together, in their order.
    private static func id(_ name: String, _ number: UInt64) -> [UInt8] {
        var writer = ByteWriter(capacity: name.utf8.count + 10)
        writer.string(name)
        writer.raw(TurnOperation.itemID(number))
        return writer.bytes
    }
}
