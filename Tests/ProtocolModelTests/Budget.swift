import Foundation

/// How much is searched; the environment asks for more, or repeats a run that failed.
enum Budget {
    /// States of each scope that is too large to be exhausted in passing.
    static let states = number("APUS_MODEL_STATES") ?? 800_000
    static let walks = number("APUS_MODEL_WALKS") ?? 20000
    static let seed = number("APUS_MODEL_SEED").map { UInt64($0) } ?? 1
    /// Whether to print how each rule's absence breaks a promise.
    static let printsTraces = ProcessInfo.processInfo.environment["APUS_MODEL_TRACES"] != nil

    private static func number(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }
}
