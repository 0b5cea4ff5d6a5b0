/// A queue.
public enum FirstInFirstOut: SequentialModel {
    public enum Input: Hashable, Sendable {
        case enqueue(Int)
        case dequeue
    }

    public enum Output: Hashable, Sendable {
        case enqueued
        case dequeued(Int)
        case empty
    }

    public static let initial: [Int] = []

    public static func apply(_ input: Input, to state: inout [Int]) -> Output {
        if case .enqueue(let element) = input {
            state.append(element)
            return .enqueued
        }
        return state.isEmpty ? .empty : .dequeued(state.removeFirst())
    }
}
