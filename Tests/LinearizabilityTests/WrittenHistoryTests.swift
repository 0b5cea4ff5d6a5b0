import Linearizability
import Testing

/// A short way to write operations down; every client has a number of its own.
private func op<Model: SequentialModel>(
    _ input: Model.Input, _ output: Model.Output, _ times: ClosedRange<UInt64>, actor: String = "a",
    client: Int = 1
) -> Operation<Model> {
    Operation(
        actor: actor, client: client, input, call: times.lowerBound,
        .returned(output, at: times.upperBound))
}

private func unheard<Model: SequentialModel>(_ input: Model.Input, from call: UInt64) -> Operation<Model> {
    Operation(actor: "a", client: 9, input, call: call, .unknown)
}

@Suite("Histories that are right")
struct RightHistoryTests {
    @Test func anEmptyHistory() {
        #expect(LinearizabilityChecker.check([Operation<Register>]()).isLinearizable)
    }

    @Test func aReadDuringAWriteSeesEitherValue() {
        for seen in [0, 5] {
            let history: [Operation<Register>] = [
                op(.write(5), .written, 10...20), op(.read, .value(seen), 12...18),
            ]
            #expect(LinearizabilityChecker.check(history).isLinearizable)
        }
    }

    @Test func operationsThatTouchAreConcurrent() {
        let history: [Operation<Register>] = [
            op(.write(5), .written, 10...20), op(.read, .value(0), 20...30),
        ]
        #expect(LinearizabilityChecker.check(history).isLinearizable)
    }

    @Test func oneOfTwoExchangesWins() {
        let history: [Operation<Register>] = [
            op(.compareAndSet(expected: 0, new: 1), .exchanged(false), 10...20),
            op(.compareAndSet(expected: 0, new: 2), .exchanged(true), 10...20),
            op(.read, .value(2), 30...31),
        ]
        #expect(LinearizabilityChecker.check(history).isLinearizable)
    }

    @Test func anUnknownOutcomeMayTakeEffectLateOrNever() {
        for seen in [[1], [1, 7]] {
            let history: [Operation<AppendList>] = [
                unheard(.append(7), from: 1), op(.append(1), .count(1), 10...20),
                op(.read, .elements(seen), 30...40),
            ]
            #expect(LinearizabilityChecker.check(history).isLinearizable)
        }
    }

    @Test func aRepeatedRequestCountsOnce() {
        let history: [Operation<DedupCounter>] = [
            unheard(.increment(request: 1), from: 1), op(.increment(request: 1), 1, 10...20),
            op(.increment(request: 2), 2, 11...22), op(.read, 2, 30...40),
        ]
        #expect(LinearizabilityChecker.check(history).isLinearizable)
    }

    @Test func concurrentElementsLeaveInEitherOrder() {
        for (first, second) in [(1, 2), (2, 1)] {
            let history: [Operation<FirstInFirstOut>] = [
                op(.enqueue(1), .enqueued, 10...20), op(.enqueue(2), .enqueued, 11...21),
                op(.dequeue, .dequeued(first), 30...31), op(.dequeue, .dequeued(second), 32...33),
                op(.dequeue, .empty, 34...35),
            ]
            #expect(LinearizabilityChecker.check(history).isLinearizable)
        }
    }

    @Test func actorsDoNotDisturbEachOther() {
        let history: [Operation<Register>] = [
            op(.write(1), .written, 1...2, actor: "a"), op(.write(2), .written, 3...4, actor: "b"),
            op(.read, .value(1), 5...6, actor: "a"), op(.read, .value(2), 5...6, actor: "b"),
        ]
        #expect(LinearizabilityChecker.check(history).isLinearizable)
    }
}

@Suite("Histories that are wrong")
struct WrongHistoryTests {
    private func isViolation<Model>(_ history: [Operation<Model>]) -> Bool {
        LinearizabilityChecker.check(history).explanation != nil
    }

    @Test func aStaleRead() {
        let history: [Operation<Register>] = [
            op(.write(1), .written, 1...2), op(.write(2), .written, 3...4), op(.read, .value(1), 5...6),
        ]
        #expect(isViolation(history))
    }

    @Test func aReadThatGoesBack() {
        let history: [Operation<Register>] = [
            op(.write(1), .written, 1...9), op(.read, .value(1), 2...3), op(.read, .value(0), 4...5),
        ]
        #expect(isViolation(history))
    }

    @Test func aLostUpdate() {
        let history: [Operation<DedupCounter>] = [
            op(.increment(request: 1), 1, 1...5), op(.increment(request: 2), 1, 2...6),
        ]
        #expect(isViolation(history))
        let exchanges: [Operation<Register>] = [
            op(.compareAndSet(expected: 0, new: 1), .exchanged(true), 1...5),
            op(.compareAndSet(expected: 0, new: 2), .exchanged(true), 2...6),
        ]
        #expect(isViolation(exchanges))
    }

    @Test func aDoubledIncrement() {
        let history: [Operation<DedupCounter>] = [
            unheard(.increment(request: 1), from: 1), op(.increment(request: 1), 1, 10...20),
            op(.read, 2, 30...40),
        ]
        #expect(isViolation(history))
        let answers: [Operation<DedupCounter>] = [
            op(.increment(request: 1), 1, 1...2), op(.increment(request: 1), 2, 3...4),
        ]
        #expect(isViolation(answers))
    }

    @Test func aReorderedQueue() {
        let history: [Operation<FirstInFirstOut>] = [
            op(.enqueue(1), .enqueued, 1...2), op(.enqueue(2), .enqueued, 3...4),
            op(.dequeue, .dequeued(2), 5...6),
        ]
        #expect(isViolation(history))
    }

    @Test func aQueueThatIsEmptyTooEarly() {
        let history: [Operation<FirstInFirstOut>] = [
            op(.enqueue(1), .enqueued, 1...2), op(.dequeue, .empty, 3...4),
        ]
        #expect(isViolation(history))
    }

    @Test func aWriteThatIsSeenBeforeItsCall() {
        let history: [Operation<Register>] = [
            op(.read, .value(5), 1...2), op(.write(5), .written, 3...4),
        ]
        #expect(isViolation(history))
        #expect(
            isViolation([op(.read, .value(5), 1...2), unheard(.write(5), from: 3)] as [Operation<Register>]))
    }

    @Test func anUnknownOutcomeThatTookEffectTwice() {
        let list: [Operation<AppendList>] = [
            unheard(.append(7), from: 1), op(.read, .elements([7]), 10...20),
            op(.read, .elements([7, 7]), 30...40),
        ]
        #expect(isViolation(list))
        let queue: [Operation<FirstInFirstOut>] = [
            unheard(.enqueue(7), from: 1), op(.dequeue, .dequeued(7), 10...20),
            op(.dequeue, .dequeued(7), 30...40),
        ]
        #expect(isViolation(queue))
        let register: [Operation<Register>] = [
            unheard(.write(7), from: 1), op(.read, .value(7), 2...3), op(.write(1), .written, 4...5),
            op(.read, .value(1), 6...7), op(.read, .value(7), 8...9),
        ]
        #expect(isViolation(register))
    }

    /// Only what matters is told: not the other actor, not what came later, not what fits.
    @Test func theExplanationNamesTheOperationWithoutAPlace() throws {
        let history: [Operation<Register>] = [
            op(.write(3), .written, 1...90, actor: "b"),
            op(.write(1), .written, 1...2), op(.write(2), .written, 3...20, client: 2),
            op(.read, .value(2), 4...6, client: 3), op(.read, .value(1), 7...8, client: 3),
            op(.write(4), .written, 30...31), op(.read, .value(77), 40...41),
        ]
        let explanation = try #require(LinearizabilityChecker.check(history).explanation)
        #expect(
            "\(explanation)" == """
                a is not linearizable. In order:
                  client 1: write(1) -> written [1, 2]
                  client 2: write(2) -> written [3, 20]
                  client 3: read -> value(2) [4, 6]
                Then the state is 2, and there is no place for
                  client 3: read -> value(1) [7, 8]
                Next could come:
                  client 3: read -> value(1) [7, 8]; the object says value(2)
                """)
    }

    @Test func theBudgetEndsTheSearch() {
        // Nobody knows in which of many orders the elements went in, and the last answer fits none.
        var history: [Operation<FirstInFirstOut>] = (0..<14).map { op(.enqueue($0), .enqueued, 1...50) }
        history.append(op(.dequeue, .dequeued(99), 60...61))
        if case .undecided = LinearizabilityChecker.check(history, stepsMax: 5000) {
        } else {
            Issue.record("5000 steps cannot decide this")
        }
        #expect(isViolation(Array(history.suffix(7))))
    }
}
