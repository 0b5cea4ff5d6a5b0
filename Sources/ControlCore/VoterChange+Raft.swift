import ConsensusCore
import PlacementCore

extension Raft.Change {
    /// What the controller wants, in the words of consensus.
    public init(_ change: VoterChange) {
        switch change {
        case .addLearner(let member): self = .addLearner(member)
        case .promote(let member): self = .promote(member)
        case .remove(let member): self = .remove(member)
        }
    }
}

extension ControlServer {
    /// The members of the consensus group, for the controller.
    public var group: Controller.Group {
        Controller.Group(voters: raft.configuration.voters, learners: raft.configuration.learners)
    }
}
