import ClientProtocol
import Identifiers
import TimeAndChance
import WorkflowCore

/// What the host does for a running workflow. Each call is one operation: it answers from the record if there
/// is one, else it acts and returns after its record is committed (W4).
package protocol RunDriver: AnyObject, Sendable {
    var address: ActorAddress { get }
    var input: [UInt8]? { get }
    /// Bytes that name this run in all the world.
    var runName: [UInt8] { get }
    /// The time of the last record that the code has passed (W8).
    var historyTime: Timestamp { get }

    @concurrent func step(_ request: StepRequest) async throws -> OperationResult
    @concurrent func turn(_ request: TurnRequest) async throws -> OperationResult
    @concurrent func sleep(_ name: String, in scope: WorkflowCore.Node, until: SleepGoal) async throws
    @concurrent func next(
        _ request: NextRequest
    ) async throws -> (node: WorkflowCore.Node, taken: [TakenMessage])
    @concurrent func enterLoop(
        _ name: String, in scope: WorkflowCore.Node, state: [UInt8]
    ) async throws -> LoopEntrance
    /// Ends an iteration and enters the next one.
    @concurrent func nextIteration(
        of loop: WorkflowCore.Node, after iteration: UInt64, scope: WorkflowCore.Node, state: [UInt8]
    ) async throws -> WorkflowCore.Node
    @concurrent func endLoop(
        _ loop: WorkflowCore.Node, iteration: UInt64, scope: WorkflowCore.Node, result: [UInt8]
    ) async throws
    /// The code of a scope ended with an error: deals with the messages that it took and did not complete
    /// (W34).
    @concurrent func failScope(_ scope: WorkflowCore.Node, _ error: any Error) async throws
    @concurrent func complete(
        _ message: TakenMessage, node: WorkflowCore.Node, index: Int, reply: [UInt8]
    ) async throws
    /// Puts a message to another actor on its way.
    @concurrent func send(_ name: String, in scope: WorkflowCore.Node, _ post: OutgoingPost) async throws
    /// Performs an action of another actor; nil if there was no answer in time.
    @concurrent func call(
        _ name: String, in scope: WorkflowCore.Node, _ call: OutgoingCall, within: Duration?
    ) async throws -> [UInt8]?
}

package enum SleepGoal: Sendable {
    case after(Duration)
    case at(Timestamp)
}

/// A value and its recorded form.
package struct RecordedValue: Sendable {
    package var bytes: [UInt8]
    package var value: any Sendable
    package init(bytes: [UInt8], value: any Sendable) {
        self.bytes = bytes
        self.value = value
    }

    /// The JSON of what a step or a turn returns, at the most. What is larger belongs outside, with its name
    /// here.
    package static let bytesMax = 4 << 20

    /// - Throws: `message.too_large`, or an `EncodingError`.
    init<Value: Codable & Sendable>(encoding value: Value) throws {
        let bytes = try PayloadCoding.encode(value)
        guard bytes.count <= Self.bytesMax else {
            throw Unretryable("\(ActorError.tooLarge("the result", limit: Self.bytesMax).message)")
        }
        self.init(bytes: bytes, value: value)
    }
}

package enum OperationResult: Sendable {
    /// From the record; to be decoded.
    case recorded([UInt8])
    /// Made just now, and committed.
    case fresh(any Sendable)
}

/// A class, because it is handed on several times and has many parts.
package final class StepRequest: Sendable {
    package let name: String
    package let scope: WorkflowCore.Node
    package let retry: RetryPolicy
    package let retryIf: (@Sendable (any Error) -> Bool)?
    package let timeout: Duration?
    package let ephemeral: Bool
    package let effect: @Sendable () async throws -> RecordedValue
    package let commit: (@Sendable (RecordedValue, Timestamp) throws -> TurnEffects)?

    init(
        name: String, scope: WorkflowCore.Node, retry: RetryPolicy, retryIf: (@Sendable (any Error) -> Bool)?,
        timeout: Duration?, ephemeral: Bool, effect: @escaping @Sendable () async throws -> RecordedValue,
        commit: (@Sendable (RecordedValue, Timestamp) throws -> TurnEffects)?
    ) {
        self.name = name
        self.scope = scope
        self.retry = retry
        self.retryIf = retryIf
        self.timeout = timeout
        self.ephemeral = ephemeral
        self.effect = effect
        self.commit = commit
    }
}

package struct TurnRequest: Sendable {
    package var name: String
    package var scope: WorkflowCore.Node
    package var body: @Sendable (Timestamp) throws -> (RecordedValue, TurnEffects)
    /// The message that the turn's value completes.
    package var answering: (message: TakenMessage, node: WorkflowCore.Node, index: Int)?
}

package struct NextRequest: Sendable {
    package var name: String
    package var scope: WorkflowCore.Node
    package var queues: [String]
    package var limit: Int
    package var within: Duration?
}

package struct LoopEntrance: Sendable {
    package var loop: WorkflowCore.Node
    /// The scope of the iteration to execute; meaningless if there is a result.
    package var scope: WorkflowCore.Node
    package var iteration: UInt64
    package var state: [UInt8]
    package var result: [UInt8]?
    package init(
        loop: WorkflowCore.Node, scope: WorkflowCore.Node, iteration: UInt64, state: [UInt8], result: [UInt8]?
    ) {
        self.loop = loop
        self.scope = scope
        self.iteration = iteration
        self.state = state
        self.result = result
    }
}
