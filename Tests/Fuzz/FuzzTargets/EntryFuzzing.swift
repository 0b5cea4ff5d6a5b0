import ByteCoding
import WorkflowCore

extension FuzzTarget {
    /// What is accepted as an operation of a history reads back the same after it was encoded anew.
    public static let historyEntry = FuzzTarget("HistoryEntry", corpus: entries.map { $0.encoded() }) {
        bytes in
        guard let entry = try? HistoryEntry.decode(bytes) else { return nil }
        guard let again = try? HistoryEntry.decode(entry.encoded()) else {
            return "an accepted entry does not decode again: \(entry)"
        }
        guard again == entry else { return "an entry changed on its way: \(entry)" }
        // What is accepted can be taken up and continued.
        var core = WorkflowCore(startedAt: 0)
        core.restore(entry)
        _ = try? core.visit(.name("new"), kind: .step, in: .root)
        return nil
    }

    /// The same for the record of a run.
    public static let runRecord = FuzzTarget("RunRecord", corpus: runs.map { $0.encoded() }) { bytes in
        guard let run = try? RunRecord.decode(bytes) else { return nil }
        return (try? RunRecord.decode(run.encoded())) == run ? nil : "a run changed on its way: \(run)"
    }

    private static let failure = FailureRecord(type: "Refused", message: "no — nein")

    private static let entries: [HistoryEntry] = {
        let attempt = AttemptRecord(startedAt: 1, endedAt: 2, failure: failure)
        let taken = TakenMessage(number: 1 << 40, queue: "jobs", body: Array("{}".utf8), requester: [1, 2])
        let sent = SentMessage(target: "order/a", partition: 255, number: 1 << 40)
        let operations: [HistoryOperation] = [
            .step(.started, attempts: 1, failures: [], startedAt: 5),
            .step(.completed(value: Array("42".utf8)), attempts: 2, failures: [attempt], startedAt: 5),
            .step(.retrying(at: 99), attempts: 1, failures: [attempt], startedAt: 5),
            .step(.retrying(at: 99, interruptions: 1), attempts: 1, failures: [attempt], startedAt: 5),
            .step(.failed(failure, timedOut: true), attempts: 4, failures: [attempt], startedAt: 5),
            .turn(.completed(value: Array("null".utf8))), .turn(.failed(failure)),
            .sleep(until: .max, done: false), .next(deadline: nil, taken: nil),
            .next(deadline: 7, taken: [taken, taken]), .loop(iteration: 3, state: [1], result: nil),
            .loop(iteration: 4, state: [], result: [2]), .completion(message: 12),
            .call(sent, deadline: 7, .waiting), .call(sent, deadline: nil, .answered([1, 0, 1, 0x31])),
            .call(sent, deadline: 7, .timedOut), .send(sent),
            .loop(iteration: .max, state: [], result: nil), .sleep(until: 0, done: true),
        ]
        return operations.enumerated().map { index, operation in
            HistoryEntry(
                sequence: index == operations.count - 1 ? .max : UInt64(index),
                path: HistoryPath([.name("loop"), .iteration(7), .name("é")]),
                recordedAt: 1_800_000_000_000_000, operation: operation)
        }
    }()

    private static let runs = RunStatus.allCases.map {
        RunRecord(status: $0, since: 9, detail: "a message", failure: failure, crashWakes: 2, startedAt: 8)
    }
}
