/// Something under way that must hear of it when its epoch ends first. It knows its place, so that joining
/// and leaving are cheap.
protocol OpenEntry: AnyObject {
    var place: Int? { get set }
}

/// What is under way, in no order.
struct OpenSet<Entry: OpenEntry> {
    private var entries: [Entry] = []

    mutating func insert(_ entry: Entry) {
        entry.place = entries.count
        entries.append(entry)
    }

    mutating func remove(_ entry: Entry) {
        guard let place = entry.place else { return }
        entry.place = nil
        guard let last = entries.popLast(), last !== entry else { return }
        entries[place] = last
        last.place = place
    }

    /// A copy, so that they may leave meanwhile.
    var all: [Entry] { entries }
}
