/// The history of one run as a tree of scopes, and what the code may do next. Decisions only: no I/O, no
/// time.
///
/// An operation is found by path (W1). `visit` says whether it is recorded; `record` notes what it did and
/// returns the entry to store. A scope is sequential, so when its code asks for something new, everything
/// recorded in that scope must have been visited before: anything else means that the code has changed (W7).
public struct WorkflowCore: Sendable {
    /// Names an operation or scope of the tree; only valid in the core that gave it out.
    public struct Node: Hashable, Sendable {
        let index: Int32
        /// The run itself, the outermost scope.
        public static let root = Node(index: 0)
    }

    struct Item: Sendable {
        var component: PathComponent
        var parent: Int32
        var children: [PathComponent: Int32] = [:]
        var entry: HistoryEntry?
        /// Whether the code has asked for it in this life.
        var visited: Bool
        /// Children that are recorded, or hold something recorded, and were not visited yet.
        var unvisited = 0
        var depth: Int
    }

    var items: [Item] = [
        Item(component: .name(""), parent: -1, entry: nil, visited: true, depth: 0)
    ]
    var free: [Int32] = []
    var nextSequence: UInt64 = 1
    /// Calls of other actors that wait for their answer, by the message that went out.
    private var waitingCalls: [Call: Int32] = [:]

    private struct Call: Hashable, Sendable {
        var partition: UInt32
        var number: UInt64
    }

    /// Entries that are retained.
    public private(set) var entryCount = 0
    /// Recorded operations that this life has not asked for yet.
    public private(set) var unvisitedEntries = 0
    /// Time of the last record that the code has passed: what `workflow.now` shows (W8).
    public private(set) var lastVisitedAt: UInt64

    /// - Parameter startedAt: when the run began, microseconds since 1970.
    public init(startedAt: UInt64) { lastVisitedAt = startedAt }

    /// Whether the code is still going over what is recorded.
    public var isReplaying: Bool { unvisitedEntries > 0 }

    /// Takes up one stored entry; called for all before the code starts.
    public mutating func restore(_ entry: HistoryEntry) {
        var index: Int32 = 0
        let components = entry.path.components
        for (depth, component) in components.enumerated() {
            if let child = items[Int(index)].children[component] {
                index = child
            } else {
                let child = insert(component, under: index, visited: false)
                // A completion hangs under its message and is no step of the code's sequence.
                if !(depth == components.count - 1 && entry.operation.kind == .completion) {
                    items[Int(index)].unvisited += 1
                }
                index = child
            }
        }
        items[Int(index)].entry = entry
        noteCall(entry.operation, index)
        entryCount += 1
        if entry.operation.kind != .completion { unvisitedEntries += 1 }
        nextSequence = max(nextSequence, entry.sequence + 1)
    }

    /// The code asks for the operation `name` of a scope.
    /// - Returns: the operation, and what is recorded of it, if anything.
    public mutating func visit(
        _ component: PathComponent, kind: OperationKind, in scope: Node
    ) throws(Divergence) -> (node: Node, recorded: HistoryOperation?) {
        let parent = scope.index
        if let child = items[Int(parent)].children[component] {
            let node = Node(index: child)
            guard !items[Int(child)].visited else {
                throw Divergence(path: path(of: node), reason: .nameReused)
            }
            items[Int(child)].visited = true
            guard let entry = items[Int(child)].entry else {
                // Holds something recorded without a record of its own: a loop in its first iteration.
                items[Int(parent)].unvisited -= 1
                guard kind == .loop else {
                    throw Divergence(path: path(of: node), reason: .kind(recorded: .loop, asked: kind))
                }
                return (node, nil)
            }
            guard entry.operation.kind == kind else {
                throw Divergence(
                    path: entry.path, reason: .kind(recorded: entry.operation.kind, asked: kind))
            }
            if kind != .completion {
                items[Int(parent)].unvisited -= 1
                unvisitedEntries -= 1
            }
            lastVisitedAt = max(lastVisitedAt, entry.recordedAt)
            return (node, entry.operation)
        }
        try checkFresh(component, kind: kind, under: parent)
        return (Node(index: insert(component, under: parent, visited: true)), nil)
    }

    private func checkFresh(
        _ component: PathComponent, kind: OperationKind, under parent: Int32
    ) throws(Divergence) {
        func fail(_ reason: Divergence.Reason) -> Divergence {
            Divergence(
                path: HistoryPath(path(of: Node(index: parent)).components + [component]), reason: reason)
        }
        if kind != .completion, items[Int(parent)].unvisited > 0 {
            throw fail(.unexpected(asked: kind, recorded: unvisitedNames(under: parent)))
        }
        if items[Int(parent)].depth >= HistoryPath.depthMax - 1 {
            throw fail(.limit("scopes are nested deeper than \(HistoryPath.depthMax)"))
        }
        if case .name(let name) = component {
            if name.isEmpty { throw fail(.limit("the name is empty")) }
            if name.utf8.count > HistoryPath.nameBytesMax {
                throw fail(.limit("the name is longer than \(HistoryPath.nameBytesMax) bytes"))
            }
        }
    }

    /// Whether the code has asked for that operation in this life.
    public func isVisited(_ component: PathComponent, in scope: Node) -> Bool {
        items[Int(scope.index)].children[component].map { items[Int($0)].visited } ?? false
    }

    /// Notes what an operation did.
    /// - Returns: the entry to store under its sequence number.
    public mutating func record(_ operation: HistoryOperation, at node: Node, time: UInt64) -> HistoryEntry {
        let index = Int(node.index)
        let entry: HistoryEntry
        if let old = items[index].entry {
            entry = HistoryEntry(
                sequence: old.sequence, path: old.path, recordedAt: time, operation: operation)
        } else {
            entry = HistoryEntry(
                sequence: nextSequence, path: path(of: node), recordedAt: time, operation: operation)
            nextSequence += 1
            entryCount += 1
        }
        items[index].entry = entry
        noteCall(operation, node.index)
        // An answer may come before the code, going over its history, gets there.
        if items[index].visited { lastVisitedAt = max(lastVisitedAt, time) }
        return entry
    }

    /// The call that waits for the answer to a message.
    public func waitingCall(partition: UInt32, number: UInt64) -> (node: Node, operation: HistoryOperation)? {
        guard let index = waitingCalls[Call(partition: partition, number: number)],
            let entry = items[Int(index)].entry
        else { return nil }
        return (Node(index: index), entry.operation)
    }

    private mutating func noteCall(_ operation: HistoryOperation, _ index: Int32) {
        guard case .call(let sent, _, let state) = operation else { return }
        let call = Call(partition: sent.partition, number: sent.number)
        waitingCalls[call] = state == .waiting ? index : nil
    }

    /// The messages that the code has taken directly in a scope, in their order, and where their completions
    /// are recorded.
    public func takenMessages(in scope: Node) -> [(next: Node, index: Int, message: TakenMessage)] {
        let taken = items[Int(scope.index)].children.values.compactMap { child in
            guard items[Int(child)].visited, let entry = items[Int(child)].entry,
                case .next(_, let messages?) = entry.operation
            else { return nil as (sequence: UInt64, next: Node, messages: [TakenMessage])? }
            return (entry.sequence, Node(index: child), messages)
        }
        return taken.sorted { $0.sequence < $1.sequence }.flatMap { taken in
            taken.messages.enumerated().map { (taken.next, $0.offset, $0.element) }
        }
    }

    /// What is recorded of an operation.
    public func recorded(at node: Node) -> HistoryOperation? { items[Int(node.index)].entry?.operation }

    /// The scope of one iteration of a loop.
    public mutating func enter(iteration: UInt64, of loop: Node) -> Node {
        let component = PathComponent.iteration(iteration)
        if let child = items[Int(loop.index)].children[component] {
            if !items[Int(child)].visited {
                items[Int(child)].visited = true
                items[Int(loop.index)].unvisited -= 1
            }
            return Node(index: child)
        }
        return Node(index: insert(component, under: loop.index, visited: true))
    }

    /// The code of a scope has ended: everything recorded in it must have been visited (W7).
    public func leave(_ scope: Node) throws(Divergence) {
        guard items[Int(scope.index)].unvisited == 0 else {
            throw Divergence(path: path(of: scope), reason: .unvisited(unvisitedNames(under: scope.index)))
        }
    }

    /// The run's code has ended: everything recorded must have been visited, also inside of scopes that it
    /// left with an error (W7).
    public func leaveRun() throws(Divergence) {
        try leave(.root)
        guard unvisitedEntries > 0 else { return }
        for index in items.indices where items[index].unvisited > 0 { try leave(Node(index: Int32(index))) }
    }

    /// Forgets the iterations of a loop before `first`, which a replay starts after (W40).
    /// - Returns: the sequence numbers of the entries to delete.
    public mutating func prune(_ loop: Node, before first: UInt64) -> [UInt64] {
        var sequences: [UInt64] = []
        for (component, child) in items[Int(loop.index)].children {
            guard case .iteration(let number) = component, number < first else { continue }
            remove(child, &sequences)
            items[Int(loop.index)].children[component] = nil
        }
        return sequences.sorted()
    }

    /// Replays start at the loop's recorded iteration: those that are retained before it are kept for people
    /// to read, and do not count as unvisited.
    public mutating func skipIterations(of loop: Node, before first: UInt64) {
        for (component, child) in items[Int(loop.index)].children {
            guard case .iteration(let number) = component, number < first else { continue }
            if !items[Int(child)].visited {
                items[Int(child)].visited = true
                items[Int(loop.index)].unvisited -= 1
            }
            skip(child)
        }
    }

    public func path(of node: Node) -> HistoryPath {
        var index = Int(node.index)
        let depth = items[index].depth
        var components = [PathComponent](repeating: items[index].component, count: depth)
        for place in stride(from: depth - 2, through: 0, by: -1) {
            index = Int(items[index].parent)
            components[place] = items[index].component
        }
        return HistoryPath(components)
    }

    /// All retained entries in the order of their sequence numbers.
    public var entries: [HistoryEntry] {
        items.compactMap(\.entry).sorted { $0.sequence < $1.sequence }
    }

    // MARK: The tree

    private mutating func insert(_ component: PathComponent, under parent: Int32, visited: Bool) -> Int32 {
        let item = Item(
            component: component, parent: parent, entry: nil, visited: visited,
            depth: items[Int(parent)].depth + 1)
        let index: Int32
        if let reused = free.popLast() {
            index = reused
            items[Int(reused)] = item
        } else {
            index = Int32(items.count)
            items.append(item)
        }
        items[Int(parent)].children[component] = index
        return index
    }

    private mutating func remove(_ index: Int32, _ sequences: inout [UInt64]) {
        for child in items[Int(index)].children.values { remove(child, &sequences) }
        if let entry = items[Int(index)].entry {
            sequences.append(entry.sequence)
            if case .call(let sent, _, _) = entry.operation {
                waitingCalls[Call(partition: sent.partition, number: sent.number)] = nil
            }
            entryCount -= 1
            if !items[Int(index)].visited, entry.operation.kind != .completion { unvisitedEntries -= 1 }
        }
        items[Int(index)] = Item(component: .name(""), parent: -1, entry: nil, visited: true, depth: 0)
        free.append(index)
    }

    private mutating func skip(_ index: Int32) {
        for child in items[Int(index)].children.values {
            if !items[Int(child)].visited {
                items[Int(child)].visited = true
                if let entry = items[Int(child)].entry, entry.operation.kind != .completion {
                    unvisitedEntries -= 1
                }
            }
            skip(child)
        }
        items[Int(index)].unvisited = 0
    }

    private func unvisitedNames(under index: Int32) -> [String] {
        items[Int(index)].children.values
            .filter { !items[Int($0)].visited }
            .sorted { first(under: $0) < first(under: $1) }
            .prefix(5)
            .map { child in
                let kind = items[Int(child)].entry.map { "\($0.operation.kind) " } ?? ""
                return kind + items[Int(child)].component.description
            }
    }

    /// The smallest sequence number in a subtree, which is when the code first got there.
    private func first(under index: Int32) -> UInt64 {
        items[Int(index)].children.values.map { first(under: $0) }
            .min(by: <).map { min($0, items[Int(index)].entry?.sequence ?? .max) }
            ?? items[Int(index)].entry?.sequence ?? .max
    }
}
