import ClientProtocol
import ClientRouting
import ControlCore
import Identifiers
import PlacementCore

/// Clients of actors: each makes one request after the other. Some of those that only look do so for a
/// limited time; all others wait until they are answered.
extension Simulation {
    func nextRequest(_ index: Int) {
        guard let whole, whole.callers[index].call == nil, !stopsCalling else { return }
        func number(_ count: Int) -> Int { Int(chance(0...UInt64(count - 1))) }
        let plan = whole.plan
        let account = WholeRun.address("account", number(plan.accounts))
        var (kind, target) = (WholeCaller.Kind.bump, account)
        let operation: RequestFrame.Operation
        switch chance(0...99) {
        case 0..<20: operation = .call(action: "bump", input: .null)
        // A refusal is not recorded, so a copy of the request that comes late would be performed after all:
        // nobody destroys what is not there.
        case 27..<30 where whole.callers[index].scratch != nil:
            (kind, target, operation) = (.scrap, whole.callers[index].scratchAddress, .destroy)
        case 20..<30:
            (kind, target) = (.scratch, whole.callers[index].scratchAddress)
            operation = .call(action: "bump", input: .null)
        case 30..<45: (kind, operation) = (.look, .call(action: "look", input: .null))
        case 45..<70:
            kind = .transfer
            let input = #"{"to":"\#(number(plan.accounts))","amount":\#(chance(0...60))}"#
            operation = .call(action: "transfer", input: Payload(input))
        case 70..<85:
            (kind, target) = (.order, WholeRun.address("teller", number(plan.tellers)))
            let (from, to) = (number(plan.accounts), number(plan.accounts))
            let order = #"{"from":"\#(from)","to":"\#(to)","amount":\#(chance(0...60)),"way":\#(number(3))}"#
            operation = .send(queue: "orders", body: Payload(order))
        default:
            let id = whole.nextJob
            self.whole?.nextJob += 1
            (kind, target) = (.job(id), WholeRun.address("errand", number(plan.errands)))
            let rest = happens(50) ? 0 : chance(1...(happens(20) ? 4_000 : 300))
            let flops = happens(70) ? 0 : number(3)
            let job = Payload(
                #"{"id":\#(id),"restMillis":\#(rest),"isOnce":\#(happens(30)),"flops":\#(flops)}"#)
            operation =
                happens(50)
                ? .send(queue: "jobs", body: job) : .request(queue: "jobs", body: job, timeoutMillis: nil)
        }
        begin(kind, operation, target, index)
    }

    private func begin(
        _ kind: WholeCaller.Kind, _ operation: RequestFrame.Operation, _ target: ActorAddress, _ index: Int
    ) {
        let counter = counter(target)
        var deadline: UInt64?
        switch kind {
        case .bump: checker.noteAsked(counter)
        // What is given up may have been done; of what changes nothing that does not matter.
        case .look where happens(50): deadline = now + chance(100_000...3_000_000)
        default: break
        }
        whole?.callers[index].number += 1
        whole?.callers[index].call = WholeCaller.Call(
            kind: kind, target: target, calledAt: now, deadline: deadline,
            floor: checker.toldMax[counter] ?? 0)
        guard let answers = whole?.callers[index].answers else { return }
        decide(index) { core, elapsed, effects in
            core.connect(now: elapsed, &effects)
            _ = core.begin(
                target, operation, deadline: deadline.map { .microseconds(Int64($0)) }, now: elapsed,
                &effects
            ) { answers.add($0) }
        }
    }

    /// What the checker of counters takes for the account.
    private func counter(_ account: ActorAddress) -> PartitionID {
        PartitionID(rawValue: account.key.parts.first.flatMap { UInt32($0) } ?? 0)
    }

    func told(_ index: Int, _ result: Result<ActorReply, ClientError>) {
        guard let caller = whole?.callers[index], let call = caller.call else { return }
        if let deadline = call.deadline, now > deadline + Self.tardinessMicros {
            checker.fail("A63: client \(index) has its answer from \(call.target) after its time was over")
        }
        let reply: ActorReply
        do throws(ClientError) { reply = try result.get() } catch { return refused(error, call, index) }
        note("client \(index): \(call.target) answers request \(caller.number): \(reply)")
        whole?.callers[index].call = nil
        report.acknowledged += 1
        mark(now, caller.number)
        switch call.kind {
        case .bump:
            whole?.callers[index].bumps[call.target, default: 0] += 1
            count(reply, call, index)
        case .look: count(reply, call, index)
        case .scratch:
            let wanted = (whole?.callers[index].scratch ?? 0) + 1
            whole?.callers[index].scratch = wanted
            guard case .output(let output) = reply, output.text == "\(wanted)" else {
                return checker.fail("I12: \(call.target) says \(reply), it has counted \(wanted)")
            }
        case .scrap: whole?.callers[index].scratch = nil
        case .transfer:
            guard case .output(let output) = reply, output.text == "true" else { break }
            whole?.callers[index].sent[call.target, default: 0] += 1
        case .order: whole?.callers[index].orders += 1
        case .job(let job): whole?.callers[index].jobs.append(job)
        }
        events.plan(.clientTurn(index), at: now + chance(1_000...60_000))
    }

    private func count(_ reply: ActorReply, _ call: WholeCaller.Call, _ index: Int) {
        guard case .output(let output) = reply, let result = UInt64(output.text) else {
            return checker.fail("client \(index) hears \(reply) of \(call.target)")
        }
        mark(result)
        let isRead = if case .look = call.kind { true } else { false }
        let counted = SimulatedCall(
            kind: isRead ? .read : .increment, client: index, sequence: whole?.callers[index].number ?? 0,
            attempt: 0,
            partition: counter(call.target))
        checker.told(counted, result, floor: call.floor)
        guard settings.recordsHistory else { return }
        report.history.append(
            SimulatedOperation(
                client: index, partition: Int(counted.partition.rawValue), isRead: isRead,
                calledAt: call.calledAt, answeredAt: now, result: result))
    }

    private func refused(_ error: ClientError, _ call: WholeCaller.Call, _ index: Int) {
        switch error {
        // That is the outcome, and stays it under this sequence (A13): nothing was put in.
        case .actor(let error) where error.code == "full": break
        case .actor(.deadlineExceeded) where call.deadline != nil: report.timedOut += 1
        case .timedOut where call.deadline.map({ $0 <= now }) ?? false: report.timedOut += 1
        default: return checker.fail("client \(index) hears \(error) of \(call.target)")
        }
        whole?.callers[index].call = nil
        events.plan(.clientTurn(index), at: now + chance(20_000...200_000))
    }
}
