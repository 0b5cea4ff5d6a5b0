import ConsensusCore
import Testing

/// What a replica refuses, drops or stops for.
@Suite("Limits and refusals")
struct LimitTests {
    private func leader(_ change: (inout Raft.Settings) -> Void = { _ in }) throws -> Raft {
        var settings = Raft.Settings()
        change(&settings)
        let member = Raft.Member(number: 1, generation: 0)
        let others = [2, 3].map { Raft.Member(number: $0, generation: 0) }
        let voters = try #require(Raft.Configuration(voters: [member] + others))
        var raft = try Raft(
            id: member, state: Raft.PersistentState(founding: voters, state: []), settings: settings, seed: 1)
        while raft.role != .preCandidate { _ = raft.handle(.tick) }
        _ = raft.handle(
            .message(
                Raft.Message(from: others[0], to: member, term: 2, body: .preVoteResponse(granted: true))))
        _ = raft.handle(.persisted(1))
        _ = raft.handle(
            .message(Raft.Message(from: others[0], to: member, term: 2, body: .voteResponse(granted: true))))
        #expect(raft.role == .leader)
        return raft
    }

    @Test func proposalsAboveTheLimitsAreRefused() throws {
        var raft = try leader {
            $0.commandBytesMax = 10
            $0.uncommittedBytesMax = 100
        }
        let proposals = [11, 10, 10, 10].enumerated().map {
            Raft.Proposal(token: UInt64($0.offset), command: Array(repeating: 7, count: $0.element))
        }
        let output = raft.handle(.propose(proposals))
        #expect(output.accepted.map(\.token) == [1, 2])
        #expect(output.refused.map(\.token) == [0, 3])
        #expect(output.refused.map(\.reason) == [.commandTooLong, .tooMuchUncommitted])
    }

    @Test func readsAboveTheLimitAreRefused() throws {
        var raft = try leader { $0.readsMax = 2 }
        for token in 1...2 as ClosedRange<UInt64> {
            #expect(raft.handle(.read(token: token)).refused.isEmpty)
        }
        #expect(raft.handle(.read(token: 3)).refused.map(\.reason) == [.tooManyReads])
    }

    @Test func noMessageCarriesMoreThanItMayAndNoFollowerIsFlooded() throws {
        var raft = try leader {
            $0.appendBytesMax = 100
            $0.appendsInFlightMax = 4
        }
        let follower = Raft.Member(number: 2, generation: 0)
        let accepted = Raft.Message.Body.appendResponse(
            Raft.AppendResponse(result: .accepted(match: 2), round: 0))
        _ = raft.handle(.message(Raft.Message(from: follower, to: raft.id, term: 2, body: accepted)))
        let proposals = (1...100).map {
            Raft.Proposal(token: $0, command: Array(repeating: 7, count: $0 == 50 ? 200 : 20))
        }
        let appends = raft.handle(.propose(proposals)).messages.filter { $0.to == follower }
        #expect(appends.count == 4)
        for message in appends {
            guard case .append(let append) = message.body else { continue }
            #expect(append.entries.count == 2)
        }
    }

    /// Answers that wait for a slow disk are dropped like any lost message, not gathered without end.
    @Test func heldAnswersAreBounded() throws {
        var settings = Raft.Settings()
        settings.heldMessagesMax = 5
        let members = [1, 2].map { Raft.Member(number: $0, generation: 0) }
        let voters = try #require(Raft.Configuration(voters: members))
        var raft = try Raft(
            id: members[0], state: Raft.PersistentState(founding: voters, state: []), settings: settings,
            seed: 1)
        let heartbeat = Raft.Message(
            from: members[1], to: members[0], term: 2,
            body: .append(
                Raft.Append(previous: Raft.Position(term: 1, index: 1), entries: [], commit: 1, round: 0)))
        let number = try #require(raft.handle(.message(heartbeat)).write?.number)
        for _ in 0..<20 { #expect(raft.handle(.message(heartbeat)).messages.isEmpty) }
        #expect(raft.handle(.persisted(number)).messages.count == 5)
    }

    @Test func aSnapshotIsAskedForOnceTheLogHasGrown() throws {
        var settings = Raft.Settings()
        settings.compactionBytes = 200
        let member = Raft.Member(number: 1, generation: 0)
        let voters = try #require(Raft.Configuration(voters: [member]))
        var raft = try Raft(
            id: member, state: Raft.PersistentState(founding: voters, state: []), settings: settings, seed: 1)
        var due = 0
        func drive(_ event: Raft.Event) {
            let output = raft.handle(event)
            if output.compactionDue { due += 1 }
            if let write = output.write { drive(.persisted(write.number)) }
        }
        while raft.role != .leader { drive(.tick) }
        for token in 1...20 { drive(.propose([Raft.Proposal(token: UInt64(token), command: [1])])) }
        #expect(due == 1)
        drive(.compact(through: raft.applied, state: [1]))
        for token in 1...9 { drive(.propose([Raft.Proposal(token: UInt64(token), command: [1])])) }
        #expect(due == 2)
    }

    /// A leader that contradicts what is committed is not believed; the replica stops, and stays so.
    @Test func aContradictionOfWhatIsCommittedStopsTheReplica() throws {
        let members = [1, 2].map { Raft.Member(number: $0, generation: 0) }
        let voters = try #require(Raft.Configuration(voters: members))
        var raft = try Raft(
            id: members[0], state: Raft.PersistentState(founding: voters, state: []), seed: 1)
        func append(_ term: Raft.Term) -> Raft.Event {
            let entry = Raft.Entry(position: Raft.Position(term: term, index: 2), payload: .noop)
            let append = Raft.Append(
                previous: Raft.Position(term: 1, index: 1), entries: [entry], commit: 2, round: 0)
            return .message(
                Raft.Message(from: members[1], to: members[0], term: term, body: .append(append)))
        }
        #expect(raft.handle(append(2)).fault == nil)
        #expect(raft.commit == 2)
        let output = raft.handle(append(3))
        #expect(output.fault == .committedEntryContradicted(2))
        #expect(output.write == nil && output.messages.isEmpty)
        #expect(raft.handle(.tick).fault == .committedEntryContradicted(2))
    }

    @Test func aDiskThatCannotBeIsRefused() throws {
        let member = Raft.Member(number: 1, generation: 0)
        let voters = try #require(Raft.Configuration(voters: [member]))
        func start(_ positions: [Raft.Position]) throws {
            var state = Raft.PersistentState(founding: voters, state: [])
            state.hardState.term = 5
            state.entries = positions.map { Raft.Entry(position: $0, payload: .noop) }
            _ = try Raft(id: member, state: state, seed: 1)
        }
        func position(_ term: Raft.Term, _ index: Raft.Index) -> Raft.Position {
            Raft.Position(term: term, index: index)
        }
        #expect(throws: Never.self) { try start([position(2, 2), position(3, 3)]) }
        #expect(throws: Raft.Inconsistency.gap(before: 3)) { try start([position(2, 3)]) }
        #expect(throws: Raft.Inconsistency.gap(before: 4)) { try start([position(2, 2), position(2, 4)]) }
        #expect(throws: Raft.Inconsistency.termOutOfOrder(at: 3)) {
            try start([position(3, 2), position(2, 3)])
        }
        #expect(throws: Raft.Inconsistency.termOutOfOrder(at: 2)) { try start([position(6, 2)]) }
    }

    @Test func aConfigurationNamesANodeOnce() {
        let old = Raft.Member(number: 1, generation: 0)
        let new = Raft.Member(number: 1, generation: 1)
        #expect(Raft.Configuration(voters: [old], learners: [new]) == nil)
        let many = (1...33).map { Raft.Member(number: $0, generation: 0) }
        #expect(Raft.Configuration(voters: many) == nil)
    }
}
