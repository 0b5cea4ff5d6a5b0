import Foundation
import OperatorCommands

/// What the demo says: lines, and a line of progress that on a terminal is rewritten in place.
struct Screen {
    let style = Style.automatic
    private let isTerminal = Style.isTerminal
    private let begin = ContinuousClock.now
    private var progressAt: ContinuousClock.Instant?
    private var isMidLine = false

    mutating func say(_ text: String) {
        endProgress()
        let tenths = Int((ContinuousClock.now - begin) / .milliseconds(100))
        let time = (tenths < 100 ? " " : "") + "\(tenths / 10).\(tenths % 10) s"
        put(style(.faint, time) + "  " + text + "\n")
    }

    mutating func print(_ lines: [String]) {
        endProgress()
        put(lines.joined(separator: "\n") + "\n")
    }

    /// Rewrites the last line on a terminal; elsewhere adds a line now and then.
    mutating func progress(_ text: String) {
        if isTerminal {
            put("\r\u{1B}[K        " + text)
            isMidLine = true
            return
        }
        if let progressAt, ContinuousClock.now - progressAt < .seconds(1) { return }
        progressAt = .now
        put("        \(text)\n")
    }

    private mutating func endProgress() {
        if isMidLine { put("\r\u{1B}[K") }
        isMidLine = false
        progressAt = nil
    }

    private func put(_ text: String) {
        Swift.print(text, terminator: "")
        fflush(nil)
    }

    /// `[########............]`
    static func bar(_ done: Int, of all: Int) -> String {
        let width = 24
        let full = all == 0 ? width : done * width / all
        return "[" + String(repeating: "#", count: full) + String(repeating: ".", count: width - full) + "]"
    }
}
