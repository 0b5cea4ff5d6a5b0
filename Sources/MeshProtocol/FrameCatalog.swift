/// Which kinds of frames a node knows, who owns them, and on which lane they travel.
///
/// The mesh does not read what is inside of a frame; this table only keeps two users off one number, and a
/// kind off a lane where it would stand in the way of others.
public struct FrameCatalog: Hashable, Sendable {
    public struct Entry: Hashable, Sendable {
        public var kind: FrameKind
        /// For errors and logs, such as `consensus.append`.
        public var name: String
        public var lanes: Set<MeshLane>

        public init(_ kind: FrameKind, _ name: String, on lanes: Set<MeshLane>) {
            self.kind = kind
            self.name = name
            self.lanes = lanes
        }
    }

    public enum Conflict: Error, Hashable, Sendable, CustomStringConvertible {
        case reserved(Entry)
        case taken(Entry, by: Entry)

        public var description: String {
            switch self {
            case .reserved(let entry):
                "\(entry.name) asks for kind \(entry.kind.rawValue); kinds below "
                    + "\(FrameKind.firstForUsers.rawValue) are the mesh's own"
            case .taken(let entry, let other):
                "\(entry.name) asks for kind \(entry.kind.rawValue), which \(other.name) has"
            }
        }
    }

    private var entries: [Entry?] = Array(repeating: nil, count: 256)

    /// Fails when two entries ask for one number.
    public init(_ entries: [Entry]) throws(Conflict) {
        for entry in entries {
            guard !entry.kind.isOfMesh else { throw .reserved(entry) }
            if let other = self.entries[Int(entry.kind.rawValue)] { throw .taken(entry, by: other) }
            self.entries[Int(entry.kind.rawValue)] = entry
        }
    }

    public func entry(of kind: FrameKind) -> Entry? { entries[Int(kind.rawValue)] }

    /// Why a frame of that kind may not travel on the lane; nil if it may.
    public func objection(to kind: FrameKind, on lane: MeshLane) -> String? {
        guard let entry = entry(of: kind) else { return "frames of kind \(kind.rawValue) are not registered" }
        return entry.lanes.contains(lane) ? nil : "frames of \(entry.name) do not travel on lane \(lane)"
    }
}
