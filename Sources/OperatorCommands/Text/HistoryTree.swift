/// The operations of a run, each below the scope that it stands in.
struct HistoryTree {
    struct Branch {
        /// The last part of the path: an operation's name, or `#3` for a loop's iteration.
        var name: String
        /// nil for a scope that is not recorded itself, such as an iteration.
        var entry: EntryDocument?
        var children: [Branch] = []
    }

    private(set) var branches: [Branch] = []

    init(_ entries: [EntryDocument]) {
        for entry in entries.sorted(by: { $0.sequence < $1.sequence }) {
            let parts = entry.path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            Self.insert(entry, parts[...], into: &branches)
        }
    }

    private static func insert(
        _ entry: EntryDocument, _ path: ArraySlice<String>, into branches: inout [Branch]
    ) {
        guard let name = path.first else { return }
        // The newest scope is where most operations belong, so it is looked for from the end.
        let found = branches.lastIndex { $0.name == name }
        let index = found ?? branches.endIndex
        if found == nil { branches.append(Branch(name: name)) }
        let rest = path.dropFirst()
        if rest.isEmpty {
            branches[index].entry = entry
        } else {
            insert(entry, rest, into: &branches[index].children)
        }
    }

    /// Each branch with its depth, parents before children.
    var flattened: [(depth: Int, branch: Branch)] {
        var result: [(depth: Int, branch: Branch)] = []
        func walk(_ branches: [Branch], _ depth: Int) {
            for branch in branches {
                result.append((depth, branch))
                walk(branch.children, depth + 1)
            }
        }
        walk(branches, 0)
        return result
    }
}
