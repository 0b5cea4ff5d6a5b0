import ClientProtocol
import ControlCore
import Identifiers
import PlacementCore

/// Clients of actors: each makes one request after the other, and asks again until it is answered.
extension Simulation {
    private static let jobMicros: UInt64 = 4_000_000

    func nextRequest(_ index: Int) {
        guard let whole, whole.callers[index].call == nil, !stopsCalling else { return }
        func number(_ count: Int) -> Int { Int(chance(0...UInt64(count - 1))) }
        let plan = whole.plan
        let account = WholeRun.address("account", number(plan.accounts))
        var (kind, target) = (WholeCaller.Kind.bump, account)
        let operation: ActorRequest.Operation
        switch chance(0...99) {
        case 0..<20: operation = .action("bump", input: .null)
        // A refusal is not recorded, so a copy of the request that comes late would be performed after all:
        // nobody destroys what is not there.
        case 27..<30 where whole.callers[index].scratch != nil:
            (kind, target, operation) = (.scrap, whole.callers[index].scratchAddress, .destroy)
        case 20..<30:
            (kind, target) = (.scratch, whole.callers[index].scratchAddress)
            operation = .action("bump", input: .null)
        case 30..<45: (kind, operation) = (.look, .action("look", input: .null))
        case 45..<70:
            kind = .transfer
            let input = #"{"to":"\#(number(plan.accounts))","amount":\#(chance(0...60))}"#
            operation = .action("transfer", input: Payload(input))
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
        _ kind: WholeCaller.Kind, _ operation: ActorRequest.Operation, _ target: ActorAddress, _ index: Int
    ) {
        guard var caller = whole?.callers[index], let partition = whole?.ring.partition(of: target) else {
            return
        }
        caller.sequence += 1
        let identity = RequestIdentity.session(
            caller.session, sequence: caller.sequence, acknowledged: caller.sequence - 1)
        let request = ActorRequest(target: target, operation: operation, identity: identity)
        let counter = counter(target)
        if case .bump = kind { checker.noteAsked(counter) }
        caller.call = WholeCaller.Call(
            kind: kind, request: request, partition: partition, sequence: caller.sequence, attempt: 0,
            calledAt: now, floor: checker.toldMax[counter] ?? 0)
        whole?.callers[index] = caller
        sendRequest(index)
    }

    /// What the checker of counters takes for the account.
    private func counter(_ account: ActorAddress) -> PartitionID {
        PartitionID(rawValue: account.key.parts.first.flatMap { UInt32($0) } ?? 0)
    }

    private func sendRequest(_ index: Int) {
        guard var call = whole?.callers[index].call else { return }
        call.attempt += 1
        whole?.callers[index].call = call
        let patience = if case .job = call.kind { Self.jobMicros } else { Self.callMicros }
        events.plan(.clientTimeout(index, attempt: call.sequence << 20 | call.attempt), at: now + patience)
        var target = Int(chance(0...UInt64(machines.count - 1)))
        let map = machines[target].process?.client.map
        if let owner = map?[call.partition]?.owner, happens(50) { target = Self.machine(owner.node) }
        send(
            .ask(id: call.sequence << 20 | call.attempt, call.request), from: machines.count + index,
            to: target, isControl: false)
    }

    func requestTimedOut(_ index: Int, _ attempt: UInt64) {
        guard let call = whole?.callers[index].call, call.sequence << 20 | call.attempt == attempt else {
            return
        }
        sendRequest(index)
    }

    /// Nobody is at home where the client has asked.
    func askElsewhere(_ index: Int) {
        guard let call = whole?.callers[index].call else { return }
        events.plan(
            .clientTimeout(index, attempt: call.sequence << 20 | call.attempt),
            at: now + chance(20_000...200_000))
    }

    func told(_ index: Int, _ id: UInt64, _ result: Result<ActorReply, ActorError>) {
        guard let call = whole?.callers[index].call, call.sequence == id >> 20 else { return }
        guard case .success(let reply) = result else { return refused(result, call, id, index) }
        note("client \(index): \(call.request.target) answers request \(call.sequence): \(reply)")
        whole?.callers[index].call = nil
        report.acknowledged += 1
        mark(now, call.sequence)
        switch call.kind {
        case .bump:
            whole?.callers[index].bumps[call.request.target, default: 0] += 1
            count(reply, call, index)
        case .look: count(reply, call, index)
        case .scratch:
            let wanted = (whole?.callers[index].scratch ?? 0) + 1
            whole?.callers[index].scratch = wanted
            guard case .output(let output) = reply, output.text == "\(wanted)" else {
                return checker.fail("I12: \(call.request.target) says \(reply), it has counted \(wanted)")
            }
        case .scrap: whole?.callers[index].scratch = nil
        case .transfer:
            guard case .output(let output) = reply, output.text == "true" else { break }
            whole?.callers[index].sent[call.request.target, default: 0] += 1
        case .order: whole?.callers[index].orders += 1
        case .job(let job): whole?.callers[index].jobs.append(job)
        }
        events.plan(.clientTurn(index), at: now + chance(1_000...60_000))
    }

    private func count(_ reply: ActorReply, _ call: WholeCaller.Call, _ index: Int) {
        guard case .output(let output) = reply, let result = UInt64(output.text) else {
            return checker.fail("client \(index) hears \(reply) of \(call.request.target)")
        }
        mark(result)
        let isRead = if case .look = call.kind { true } else { false }
        let counted = SimulatedCall(
            kind: isRead ? .read : .increment, client: index, sequence: call.sequence, attempt: call.attempt,
            partition: counter(call.request.target))
        checker.told(counted, result, floor: call.floor)
        guard settings.recordsHistory else { return }
        report.history.append(
            SimulatedOperation(
                client: index, partition: Int(counted.partition.rawValue), isRead: isRead,
                calledAt: call.calledAt, answeredAt: now, result: result))
    }

    private func refused(
        _ result: Result<ActorReply, ActorError>, _ call: WholeCaller.Call, _ id: UInt64, _ index: Int
    ) {
        guard case .failure(let error) = result else { return }
        if error.code == "full" {
            // That is the outcome, and stays it under this sequence (A13): nothing was put in.
            whole?.callers[index].call = nil
            return events.plan(.clientTurn(index), at: now + chance(20_000...200_000))
        }
        guard error.group == "node" else {
            return checker.fail("client \(index) hears \(error) of \(call.request.target)")
        }
        // Asked again under the same sequence, after a while.
        guard id == call.sequence << 20 | call.attempt else { return }
        askElsewhere(index)
    }
}
