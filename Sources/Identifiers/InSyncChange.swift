/// What the owner of a partition asks of the control plane: nobody else changes an in-sync set (R2, R19).
public enum InSyncChange: Hashable, Sendable {
    case drop(ReplicaID)
    /// Names the life that caught up (R8).
    case add(NodeLife)
}
