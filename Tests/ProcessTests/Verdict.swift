/// Whether the evidence is that of a node that lost nothing and did nothing twice.
struct Verdict: Sendable {
    enum Fault: Hashable, Sendable {
        /// An acknowledged change is not in the counter, or its reply names a total that never was.
        case lost(String)
        /// Something happened twice: a turn, a completed step, a message.
        case doubled(String)
        /// Things happened in an order that no serial execution has.
        case disordered(String)
        /// A run ended otherwise than its program and its messages say.
        case wrong(String)

        var sentence: String {
            switch self {
            case .lost(let text): "lost: \(text)"
            case .doubled(let text): "doubled: \(text)"
            case .disordered(let text): "disordered: \(text)"
            case .wrong(let text): "wrong: \(text)"
            }
        }
    }

    private(set) var faults: [Fault] = []
    /// Counters whose history is not linearizable, by the checker that knows nothing of what is judged here.
    private(set) var contradictions: [String] = []
    private(set) var changes = 0
    private(set) var runs = 0
    /// Runs that failed because a step had used up its attempts, which kills count towards (W13).
    private(set) var exhausted = 0
    /// Effects with at least one call, and the calls beyond the first of each.
    private(set) var effects = 0
    private(set) var repeated = 0

    var lost: Int { faults.count { if case .lost = $0 { true } else { false } } }
    var doubled: Int { faults.count { if case .doubled = $0 { true } else { false } } }

    init(_ evidence: Evidence) {
        let record = Record(evidence.lines)
        changes = evidence.replies.count { $0.delta != nil }
        runs = evidence.runs.count + evidence.jobs.count
        effects = record.calls.count
        repeated = record.calls.values.reduce(0) { $0 + $1.count - 1 }
        judgeCounters(evidence)
        for run in evidence.runs { judge(run, record) }
        for jobs in evidence.jobs { judge(jobs, record) }
        judgeOrigins(evidence, record)
    }

    // MARK: Counters

    private mutating func judgeCounters(_ evidence: Evidence) {
        let byCounter = Dictionary(grouping: evidence.replies, by: \.counter)
        for (counter, replies) in byCounter.sorted(by: { $0.key < $1.key }) {
            judgeChain(counter, replies, final: evidence.finalCounts[counter])
            judgeRealTime(counter, replies)
            if let contradiction = CounterHistory.contradiction(in: replies) {
                contradictions.append(contradiction)
            }
        }
    }

    /// Every change answers with the total behind it, so in the order of totals each continues the one
    /// before.
    private mutating func judgeChain(_ counter: String, _ replies: [Evidence.CounterReply], final: Int?) {
        var totals: Set<Int> = [0]
        var total = 0
        for reply in replies.filter({ $0.delta != nil }).sorted(by: { $0.total < $1.total }) {
            let delta = reply.delta ?? 0
            let expected = total + delta
            if reply.total < expected {
                faults.append(.lost("\(counter): +\(delta) answered \(reply.total) after \(total)"))
            } else if reply.total > expected {
                faults.append(
                    .doubled(
                        "\(counter): +\(delta) answered \(reply.total) after \(total), nobody added the rest")
                )
            }
            total = reply.total
            totals.insert(total)
        }
        for reply in replies where reply.delta == nil && !totals.contains(reply.total) {
            faults.append(.lost("\(counter): \(reply.total) was seen, and never was"))
        }
        guard let final else {
            faults.append(.lost("\(counter) is gone"))
            return
        }
        if final < total { faults.append(.lost("\(counter) ends with \(final), \(total) was acknowledged")) }
        if final > total {
            faults.append(.doubled("\(counter) ends with \(final), acknowledged was \(total)"))
        }
    }

    /// What ended before something else began comes before it in the order of totals (linearizability).
    private mutating func judgeRealTime(_ counter: String, _ replies: [Evidence.CounterReply]) {
        let byEnd = replies.sorted { $0.ended < $1.ended }
        var index = 0
        var highest = 0
        for reply in replies.sorted(by: { $0.began < $1.began }) {
            while index < byEnd.count, byEnd[index].ended < reply.began {
                highest = max(highest, byEnd[index].total)
                index += 1
            }
            if reply.delta == nil ? reply.total < highest : reply.total <= highest {
                faults.append(
                    .disordered("\(counter): answered \(reply.total) after \(highest) had been answered"))
            }
        }
    }

    // MARK: Runs

    private mutating func judge(_ run: Evidence.Run, _ record: Record) {
        guard run.status == "completed" || run.status == "failed" else {
            return faults.append(.lost("\(run.name) ends as \(run.status)"))
        }
        let done = run.steps.filter { $0.status == "completed" }
        if run.status == "failed" {
            exhausted += 1
            if let last = run.steps.last, last.status == "failed", last.attempts >= last.attemptsMax {
                if done.count != run.steps.count - 1 {
                    faults.append(.wrong("\(run.name) went on behind a failed step"))
                }
            } else {
                faults.append(.wrong("\(run.name) failed with tries left: \(run.steps)"))
            }
        } else {
            if done.map(\.path) != run.expectedSteps {
                faults.append(.wrong("\(run.name) completed with the steps \(run.steps.map(\.path))"))
            }
            if run.state != run.expectedState {
                faults.append(.wrong("\(run.name) has the state \(run.state), not \(run.expectedState)"))
            }
            if run.leftMessages > 0 {
                faults.append(.doubled("\(run.name) has \(run.leftMessages) messages left"))
            }
        }
        for step in run.steps { judge(step, of: run, record) }
        judgeOrder(run.steps.map { ($0.path, $0.key) }, of: run.name, record)
    }

    private mutating func judge(_ step: Evidence.Step, of run: Evidence.Run, _ record: Record) {
        let calls = record.calls[step.key] ?? []
        if step.status == "completed", !calls.contains(where: { $0.status == 200 }) {
            faults.append(.wrong("\(run.name): \(step.path) completed without its effect"))
        }
        if calls.count > step.attempts {
            faults.append(
                .wrong("\(run.name): \(step.path) called \(calls.count) times in \(step.attempts) attempts"))
        }
    }

    /// A step that a client saw completed, or behind which the run went on, is never called again (W2).
    private mutating func judgeOrder(
        _ steps: [(path: String, key: String)], of name: String, _ record: Record
    ) {
        var before: (path: String, last: Int)?
        for (path, key) in steps {
            guard let calls = record.calls[key], let first = calls.first, let last = calls.last else {
                continue
            }
            if let before, before.last > first.place {
                faults.append(.doubled("\(name): \(before.path) was called again after \(path)"))
            }
            if let seen = record.seen[key], last.place > seen {
                faults.append(.doubled("\(name): \(path) was called again after it was seen completed"))
            }
            before = (path, last.place)
        }
    }

    // MARK: Jobs

    private mutating func judge(_ jobs: Evidence.Jobs, _ record: Record) {
        var due = jobs.sent
        if let failed = jobs.failedStep {
            exhausted += 1
            let end = jobs.sent.firstIndex { record.keys[$0] == [failed.key] }
            guard let end, failed.attempts >= jobs.attemptsMax else {
                return faults.append(.wrong("\(jobs.worker) failed with tries left: \(failed)"))
            }
            due = Array(jobs.sent[..<end])
        }
        // A failed run takes no more messages; those behind its end, it must not lose either.
        let left = jobs.failedStep == nil ? 0 : jobs.sent.count - due.count - 1
        if jobs.processed < due.count || jobs.leftMessages < left {
            faults.append(
                .lost(
                    "\(jobs.worker): \(jobs.processed) of \(due.count) jobs, left \(jobs.leftMessages)"
                ))
        }
        if jobs.processed > due.count || jobs.leftMessages > left {
            faults.append(
                .doubled(
                    "\(jobs.worker): \(jobs.processed) of \(due.count) jobs, left \(jobs.leftMessages)"
                ))
        }
        var steps: [(path: String, key: String)] = []
        for path in due {
            let keys = record.keys[path] ?? []
            if keys.isEmpty { faults.append(.lost("\(jobs.worker): \(path) was never called")) }
            if keys.count > 1 {
                faults.append(.doubled("\(jobs.worker): \(path) was \(keys.count) messages"))
            }
            guard let key = keys.first, let calls = record.calls[key] else { continue }
            if calls.count > jobs.attemptsMax || !calls.contains(where: { $0.status == 200 }) {
                faults.append(.wrong("\(jobs.worker): \(path) was answered \(calls.map(\.status))"))
            }
            steps.append((path, key))
        }
        judgeOrder(steps, of: jobs.worker, record)
    }

    /// No call comes from anything but a step that is known.
    private mutating func judgeOrigins(_ evidence: Evidence, _ record: Record) {
        var known = Set(evidence.runs.flatMap { $0.steps.map(\.key) })
        for path in evidence.jobs.flatMap(\.sent) { known.formUnion(record.keys[path] ?? []) }
        for (key, calls) in record.calls where !known.contains(key) {
            faults.append(
                .lost("\(calls.first?.path ?? "") was called by a step (\(key)) that no history has"))
        }
    }
}

/// The outside world's record, by key.
private struct Record {
    var calls: [String: [(place: Int, path: String, status: Int)]] = [:]
    /// Where it was first said that the step was seen completed.
    var seen: [String: Int] = [:]
    /// The keys that called a path.
    var keys: [String: [String]] = [:]

    init(_ lines: [Evidence.Line]) {
        for (place, line) in lines.enumerated() {
            switch line {
            case .call(let key, let path, let status):
                if calls[key] == nil { keys[path, default: []].append(key) }
                calls[key, default: []].append((place, path, status))
            case .seen(let key):
                if seen[key] == nil { seen[key] = place }
            }
        }
    }
}
