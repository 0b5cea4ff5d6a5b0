import Identifiers

extension Raft {
    /// The members of the group: those that vote, and those that only receive the log.
    public struct Configuration: Hashable, Sendable {
        public static let membersMax = 32

        /// In ascending order.
        public private(set) var voters: [Member]
        /// In ascending order; none of them is a voter.
        public private(set) var learners: [Member]

        /// No members: the state of a disk that was never part of a group.
        public static let empty = Configuration(sortedVoters: [], sortedLearners: [])

        /// Fails if there are too many members, or if a node is in it twice, under whichever store.
        public init?(voters: [Member], learners: [Member] = []) {
            let nodes = (voters + learners).map(\.node).sorted()
            guard nodes.count <= Self.membersMax, zip(nodes, nodes.dropFirst()).allSatisfy({ $0 < $1 })
            else { return nil }
            self.init(sortedVoters: voters.sorted(), sortedLearners: learners.sorted())
        }

        private init(sortedVoters: [Member], sortedLearners: [Member]) {
            voters = sortedVoters
            learners = sortedLearners
        }

        /// Voters and learners, in ascending order.
        public var members: [Member] { (voters + learners).sorted() }

        /// The smallest number of voters that any two sets of which have one in common.
        public var quorum: Int { voters.count / 2 + 1 }

        public func isVoter(_ member: Member) -> Bool { voters.contains(member) }

        /// The configuration after a change, or why there is none.
        ///
        /// A change adds or removes at most one voter, so that a quorum before it and a quorum after it
        /// have a member in common.
        func applying(_ change: Change) -> Result<Configuration, Refusal> {
            var voters = voters
            var learners = learners
            switch change {
            case .addLearner(let member):
                learners.append(member)
            case .promote(let member):
                guard learners.contains(member) else { return .failure(.notALearner) }
                learners.removeAll { $0 == member }
                voters.append(member)
            case .remove(let member):
                guard members.contains(member) else { return .failure(.notAMember) }
                voters.removeAll { $0 == member }
                learners.removeAll { $0 == member }
            }
            guard let next = Configuration(voters: voters, learners: learners) else {
                return .failure(members.count < Self.membersMax ? .nodeIsAMember : .tooManyMembers)
            }
            return .success(next)
        }
    }

    /// One step from a configuration to the next.
    public enum Change: Hashable, Sendable {
        /// The member receives the log and does not vote.
        case addLearner(Member)
        /// A learner that has caught up becomes a voter.
        case promote(Member)
        /// A voter or learner leaves. The leader must hand over before it can be removed.
        case remove(Member)
    }
}
