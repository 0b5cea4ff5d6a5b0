/// How a message is to be delivered (A31).
public struct MessageOptions: Hashable, Sendable {
    /// It is not taken before that many milliseconds have passed.
    public var delayMillis: UInt64
    /// 0 to 9; a message of a higher priority is taken first.
    public var priority: UInt8
    /// Recognises the message, whoever sends it: a second one to the queue with this key, within 24 hours, is
    /// answered like the first and changes nothing. Messages sent and messages waited for are apart.
    public var deduplicationKey: String?

    public static let priorityMax: UInt8 = 9
    public static let keyBytesMax = 255

    public init(delayMillis: UInt64 = 0, priority: UInt8 = 0, deduplicationKey: String? = nil) {
        self.delayMillis = delayMillis
        self.priority = priority
        self.deduplicationKey = deduplicationKey
    }

    /// Fails with `actor.validation_error` for what is out of its range.
    public func validate() throws(ActorError) {
        guard priority <= Self.priorityMax else {
            throw .validation("priority must be 0 to \(Self.priorityMax)", field: "priority")
        }
        if let key = deduplicationKey, !(1...Self.keyBytesMax ~= key.utf8.count) {
            throw .validation("the key must have 1 to \(Self.keyBytesMax) bytes", field: "dedupKey")
        }
    }
}
