import WorkflowCore

/// A message that a run took from one of its queues.
public struct Message<Body: Codable & Sendable, Reply: Codable & Sendable>: Sendable {
    public let body: Body
    /// Its number in the actor, in order of arrival.
    public var number: UInt64 { taken.number }
    let taken: TakenMessage
    let node: WorkflowCore.Node
    let index: Int
    let driver: any RunDriver

    init(_ taken: TakenMessage, node: WorkflowCore.Node, index: Int, driver: any RunDriver) throws {
        body = try PayloadCoding.decode(Body.self, from: taken.body)
        self.taken = taken
        self.node = node
        self.index = index
        self.driver = driver
    }
}

extension Message {
    /// Answers the sender, once (W33). Returns after the answer is committed.
    /// - Throws: `MessageAlreadyCompleted` the second time.
    public func complete(_ reply: Reply) async throws {
        try await driver.complete(taken, node: node, index: index, reply: try PayloadCoding.encode(reply))
    }
}

extension Message where Reply == Never {
    @available(
        *, unavailable, message: "this queue has no reply type; declare it as CompletableQueue<Body, Reply>"
    )
    public func complete(_ reply: Reply) async throws {}
}

/// What one of two queues gave.
public enum Either<First: Sendable, Second: Sendable>: Sendable {
    case first(First)
    case second(Second)
}
