import ByteCoding
import Testing
import WorkflowCore

/// These bytes never change: histories on disk are read by every later version.
@Suite("The stored form of histories and runs")
struct GoldenTests {
    static let path = HistoryPath([.name("l"), .iteration(300), .name("s")])
    /// Version, sequence, path, time.
    static let head: [UInt8] = [1, 2, 3, 0, 1, 0x6C, 1, 0xAC, 0x02, 0, 1, 0x73, 5]

    static let operations: [(operation: HistoryOperation, bytes: [UInt8])] = [
        (.step(.started, attempts: 1, failures: [], startedAt: 9), [1, 1, 9, 0, 3]),
        (
            .step(.completed(value: [0x37]), attempts: 2, failures: [failed], startedAt: 9),
            [1, 2, 9] + attempt + [0, 1, 0x37]
        ),
        (.step(.retrying(at: 128), attempts: 1, failures: [], startedAt: 9), [1, 1, 9, 0, 1, 0x80, 1]),
        (
            .step(.failed(failure, timedOut: true), attempts: 1, failures: [], startedAt: 0),
            [1, 1, 0, 0, 2, 1, 0x45, 2, 0x6E, 0x6F, 1]
        ),
        (.turn(.completed(value: [])), [2, 0, 0]),
        (.turn(.failed(failure)), [2, 1, 1, 0x45, 2, 0x6E, 0x6F]),
        (.sleep(until: 300, done: false), [3, 0xAC, 2, 0]),
        (.sleep(until: 1, done: true), [3, 1, 1]),
        (.next(deadline: nil, taken: nil), [4, 0, 0]),
        (.next(deadline: 7, taken: []), [4, 1, 7, 1, 0]),
        (
            .next(
                deadline: nil,
                taken: [
                    TakenMessage(number: 8, queue: "q", body: [1], requester: nil),
                    TakenMessage(number: 9, queue: "q", body: [], requester: [2, 0x6B]),
                ]), [4, 0, 1, 2, 8, 1, 0x71, 1, 1, 0, 9, 1, 0x71, 0, 1, 2, 2, 0x6B]
        ),
        (.loop(iteration: 4, state: [0x5B, 0x5D], result: nil), [5, 4, 2, 0x5B, 0x5D, 0]),
        (.loop(iteration: 4, state: [], result: [0x31]), [5, 4, 0, 1, 1, 0x31]),
        (.completion(message: 300), [6, 0xAC, 2]),
        (.call(sent, deadline: nil, .waiting), [7] + place + [0, 0]),
        (.call(sent, deadline: 300, .answered([0x31])), [7] + place + [1, 0xAC, 2, 1, 1, 0x31]),
        (.call(sent, deadline: 1, .timedOut), [7] + place + [1, 1, 2]),
        (.send(sent), [8] + place),
    ]
    static let sent = SentMessage(target: "k/a", partition: 258, number: 300)
    static let place: [UInt8] = [3, 0x6B, 0x2F, 0x61, 2, 1, 0, 0, 0xAC, 2]
    /// The first version that knows the operation.
    static func head(_ kind: OperationKind) -> [UInt8] {
        [kind == .call || kind == .send ? 3 : 1] + head.dropFirst()
    }
    static let failure = FailureRecord(type: "E", message: "no")
    static let failed = AttemptRecord(startedAt: 3, endedAt: 4, failure: failure)
    static let attempt: [UInt8] = [1, 3, 4, 1, 0x45, 2, 0x6E, 0x6F]

    @Test func everyOperation() throws {
        #expect(Set(Self.operations.map(\.operation.kind)) == Set(OperationKind.allCases))
        for (operation, bytes) in Self.operations {
            let entry = HistoryEntry(sequence: 2, path: Self.path, recordedAt: 5, operation: operation)
            let whole = Self.head(operation.kind) + bytes
            #expect(entry.encoded() == whole, "\(operation)")
            #expect(try HistoryEntry.decode(whole) == entry)
        }
    }

    @Test("W11: attempts that a stop in good order cut off are told with version 4") func interruptions()
        throws
    {
        let entry = HistoryEntry(
            sequence: 2, path: Self.path, recordedAt: 5,
            operation: .step(
                .retrying(at: 128, interruptions: 300), attempts: 301, failures: [], startedAt: 9))
        let whole = [4] + Self.head.dropFirst() + [1, 0xAD, 2, 9, 0, 1, 0x80, 1, 0xAC, 2]
        #expect(entry.encoded() == whole)
        #expect(try HistoryEntry.decode(whole) == entry)
    }

    @Test("W34: a message of a priority, or taken again, is told with version 2") func specialMessages()
        throws
    {
        let again = TakenMessage(
            number: 8, queue: "q", body: [1], requester: nil, priority: 9, delivery: 300)
        let entry = HistoryEntry(
            sequence: 2, path: Self.path, recordedAt: 5, operation: .next(deadline: nil, taken: [again]))
        let bytes = [2] + Self.head.dropFirst() + [4, 0, 1, 1, 8, 1, 0x71, 1, 1, 0, 9, 0xAC, 2]
        #expect(entry.encoded() == bytes)
        #expect(try HistoryEntry.decode(bytes) == entry)
        for count in bytes.indices {
            #expect(throws: WireError.self) { try HistoryEntry.decode(Array(bytes[..<count])) }
        }
    }

    @Test func everyTruncationAndEveryExcess() {
        for (operation, bytes) in Self.operations {
            let whole = Self.head(operation.kind) + bytes
            for count in whole.indices {
                #expect(throws: WireError.self, "\(operation) cut to \(count)") {
                    try HistoryEntry.decode(Array(whole[..<count]))
                }
            }
            #expect(throws: WireError.self) { try HistoryEntry.decode(whole + [0]) }
        }
    }

    @Test func numbersThatNothingCanFollowAreRefused() {
        let loop = HistoryOperation.loop(iteration: .max, state: [], result: nil)
        let step = HistoryOperation.step(.started, attempts: .max, failures: [], startedAt: 0)
        for (sequence, operation) in [
            (UInt64.max, HistoryOperation.sleep(until: 0, done: true)), (1, loop), (1, step),
        ] {
            let entry = HistoryEntry(
                sequence: sequence, path: Self.path, recordedAt: 5, operation: operation)
            #expect(throws: WireError.self, "\(operation)") { try HistoryEntry.decode(entry.encoded()) }
        }
        let run = RunRecord(status: .running, since: 0, crashWakes: .max, startedAt: 0)
        #expect(throws: WireError.self) { try RunRecord.decode(run.encoded()) }
    }

    @Test func foreignVersionsAndTags() {
        #expect(throws: WireError.version(what: "history entry", found: 5, newest: 4)) {
            try HistoryEntry.decode([5] + Self.head.dropFirst() + [6, 1])
        }
        #expect(throws: WireError.unknown(what: "operation", value: 9)) {
            try HistoryEntry.decode(Self.head(.call) + [9, 1])
        }
        #expect(throws: WireError.unknown(what: "operation", value: 8), "version 1 has no messages") {
            try HistoryEntry.decode(Self.head + [8] + Self.place)
        }
        #expect(throws: WireError.unknown(what: "call state", value: 3)) {
            try HistoryEntry.decode(Self.head(.call) + [7] + Self.place + [0, 3])
        }
        #expect(throws: WireError.unknown(what: "step state", value: 4)) {
            try HistoryEntry.decode(Self.head + [1, 1, 9, 0, 4])
        }
        #expect(throws: WireError.unknown(what: "turn state", value: 2)) {
            try HistoryEntry.decode(Self.head + [2, 2])
        }
        #expect(throws: WireError.version(what: "run record", found: 9, newest: 1)) {
            try RunRecord.decode([9])
        }
        #expect(throws: WireError.unknown(what: "run status", value: 13)) {
            try RunRecord.decode([1, 13, 0, 0, 0, 0, 0])
        }
    }

    @Test func runRecords() throws {
        let plain = RunRecord(status: .running, since: 300, startedAt: 1)
        let full = RunRecord(
            status: .stalled, since: 2, detail: "d", failure: Self.failure, crashWakes: 128, startedAt: 3)
        let golden: [(RunRecord, [UInt8])] = [
            (plain, [1, 2, 0xAC, 2, 0, 0, 0, 1]),
            (full, [1, 8, 2, 1, 0x64, 1, 1, 0x45, 2, 0x6E, 0x6F, 0x80, 1, 3]),
        ]
        for (record, bytes) in golden {
            #expect(record.encoded() == bytes)
            #expect(try RunRecord.decode(bytes) == record)
            for count in bytes.indices {
                #expect(throws: WireError.self) { try RunRecord.decode(Array(bytes[..<count])) }
            }
            #expect(throws: WireError.self) { try RunRecord.decode(bytes + [0]) }
        }
        #expect(RunStatus.allCases.map(\.rawValue) == Array(1...12))
        #expect(RunStatus.allCases.filter(\.hasEnded) == [.completed, .failed, .cancelled, .destroyed])
    }

    @Test("W11: idempotency keys and seeds are the same in all versions")
    func stableNames() {
        let key = StableNames.idempotencyKey(run: [1, 2, 3], path: Self.path)
        #expect(key == StableNames.idempotencyKey(run: [1, 2, 3], path: Self.path))
        #expect(key.count == 32)
        let others = [
            StableNames.idempotencyKey(run: [1, 2, 4], path: Self.path),
            StableNames.idempotencyKey(
                run: [1, 2, 3], path: HistoryPath([.name("l"), .iteration(301), .name("s")])),
            StableNames.idempotencyKey(run: [1, 2, 3], path: HistoryPath([.name("l/#300/s")])),
        ]
        #expect(Set(others + [key]).count == 4)
        let seeds = (0..<4).map { StableNames.seed(run: [1], path: Self.path, count: $0) }
        #expect(Set(seeds).count == 4)
    }
}
