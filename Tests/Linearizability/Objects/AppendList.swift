/// A list that grows at its end and is read as a whole.
public enum AppendList: SequentialModel {
    public enum Input: Hashable, Sendable {
        case append(Int)
        case read
    }

    public enum Output: Hashable, Sendable {
        case count(Int)
        case elements([Int])
    }

    public static let initial: [Int] = []

    public static func apply(_ input: Input, to state: inout [Int]) -> Output {
        guard case .append(let element) = input else { return .elements(state) }
        state.append(element)
        return .count(state.count)
    }
}
