/// A number that is read, written, and exchanged if it is what the caller expects.
public enum Register: SequentialModel {
    public enum Input: Hashable, Sendable {
        case read
        case write(Int)
        case compareAndSet(expected: Int, new: Int)
    }

    public enum Output: Hashable, Sendable {
        case value(Int)
        case written
        case exchanged(Bool)
    }

    public static let initial = 0

    public static func apply(_ input: Input, to state: inout Int) -> Output {
        switch input {
        case .read: return .value(state)
        case .write(let value):
            state = value
            return .written
        case .compareAndSet(let expected, let new):
            guard state == expected else { return .exchanged(false) }
            state = new
            return .exchanged(true)
        }
    }
}
