/// What an object does when its operations come one after the other.
///
/// An object is deterministic: given its state and an input, there is one output and one next state.
public protocol SequentialModel {
    associatedtype State: Hashable
    associatedtype Input
    associatedtype Output: Equatable

    static var initial: State { get }

    /// Changes the state as the object does and returns what the object answers.
    static func apply(_ input: Input, to state: inout State) -> Output
}
