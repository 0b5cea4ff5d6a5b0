import Identifiers

/// One call that the outside world received.
public struct RecordedCall: Codable, Hashable, Sendable {
    public var method: String
    /// The request's target as it was sent, with its query.
    public var path: String
    /// The body as text; bytes that are not UTF-8 become replacement characters.
    public var body: String
    /// The `Idempotency-Key` header.
    public var idempotencyKey: String?
    /// When it arrived, in milliseconds since 1970.
    public var at: Int64
    /// The status it was answered with.
    public var status: Int
}

/// A fault to be played: the next `times` calls whose path begins with `path` get `status` after `delayMs`.
public struct Fault: Codable, Hashable, Sendable {
    public var path: String
    /// How many calls are left; -1: until the faults are cleared.
    public var times: Int
    /// 200 with a delay makes a slow call that succeeds.
    public var status: Int
    public var delayMs: Int64

    public init(path: String, times: Int = 1, status: Int = 500, delayMs: Int64 = 0) {
        self.path = path
        self.times = times
        self.status = status
        self.delayMs = delayMs
    }

    /// Reads a fault with the defaults of `init`; an empty path stands for every call.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        path = try container.decodeIfPresent(String.self, forKey: .path) ?? ""
        times = try container.decodeIfPresent(Int.self, forKey: .times) ?? 1
        status = try container.decodeIfPresent(Int.self, forKey: .status) ?? 500
        delayMs = try container.decodeIfPresent(Int64.self, forKey: .delayMs) ?? 0
    }

    /// Why the fault cannot be played, or nil.
    var objection: String? {
        if times < -1 || times == 0 { return "times is the number of calls, or -1 for all until cleared" }
        if !(200...599 ~= status) { return "status lies between 200 and 599" }
        if !(0...Self.delayMsMax ~= delayMs) { return "delayMs lies between 0 and \(Self.delayMsMax)" }
        return nil
    }

    static let delayMsMax: Int64 = 3_600_000
}

/// What the answer to a call says. It fits every service that the announced programs call.
public struct ServiceAnswer: Codable, Hashable, Sendable {
    public var id: String
    public var reservationId: String
    public var text: String
    public var rows: Int
    public var ok: Bool
}

/// Everything the outside world remembers. A value; the server holds it under a lock.
struct CallLog {
    /// What becomes of one call.
    enum Verdict: Equatable {
        case answer(ServiceAnswer, delayMs: Int64)
        case fail(status: Int, delayMs: Int64)
        /// The record is full; the call was not recorded.
        case full
    }

    let callsMax: Int
    let bytesMax: Int
    private(set) var calls: [RecordedCall] = []
    private(set) var faults: [Fault] = []
    private var bytes = 0
    private var unkeyed: UInt64 = 0

    init(callsMax: Int, bytesMax: Int) {
        self.callsMax = callsMax
        self.bytesMax = bytesMax
    }

    /// Records a call and says how to answer it.
    mutating func receive(
        method: String, path: String, body: String, idempotencyKey: String?, at: Int64
    ) -> Verdict {
        let size = path.utf8.count + body.utf8.count + (idempotencyKey?.utf8.count ?? 0)
        guard calls.count < callsMax, bytes + size <= bytesMax else { return .full }
        bytes += size
        let fault = takeFault(path)
        let status = fault?.status ?? 200
        calls.append(
            RecordedCall(
                method: method, path: path, body: body, idempotencyKey: idempotencyKey, at: at,
                status: status))
        if status != 200 { return .fail(status: status, delayMs: fault?.delayMs ?? 0) }
        return .answer(answer(idempotencyKey), delayMs: fault?.delayMs ?? 0)
    }

    mutating func add(_ fault: Fault) { faults.append(fault) }
    mutating func clearFaults() { faults = [] }

    /// Forgets the calls. The counter goes on, so that no identifier is given out twice.
    mutating func clearCalls() {
        calls = []
        bytes = 0
    }

    private mutating func takeFault(_ path: String) -> Fault? {
        guard let index = faults.firstIndex(where: { path.hasPrefix($0.path) }) else { return nil }
        let fault = faults[index]
        if fault.times > 1 { faults[index].times -= 1 } else if fault.times == 1 { faults.remove(at: index) }
        return fault
    }

    /// The same key gets the same answer without being remembered: the answer is a function of the key.
    private mutating func answer(_ key: String?) -> ServiceAnswer {
        let number: UInt64
        if let key {
            number = SipHash24.hash(Array(key.utf8), key: (0x6f75_7473_6964_6500, 1))
        } else {
            unkeyed += 1
            number = SipHash24.hash(Array("\(unkeyed)".utf8), key: (0x6f75_7473_6964_6500, 2))
        }
        let digits = String(number, radix: 16)
        let id = String(repeating: "0", count: 16 - digits.count) + digits
        return ServiceAnswer(
            id: id, reservationId: "res_\(id)", text: "Answer \(id)", rows: Int(number % 1000) + 1, ok: true)
    }
}
