import Foundation

/// Colours, or none of them.
package struct Style: Sendable {
    /// By their codes (ECMA-48, "select graphic rendition").
    package enum Colour: String, Sendable {
        case bold = "1", faint = "2", red = "31", green = "32", yellow = "33", blue = "36"
    }

    package var isColoured: Bool
    package init(isColoured: Bool) { self.isColoured = isColoured }

    package static let plain = Style(isColoured: false)

    /// Colours on a terminal only, and not if `NO_COLOR` is set to anything (https://no-color.org).
    package static var automatic: Style {
        Style(
            isColoured: isTerminal && (environment("NO_COLOR") ?? "").isEmpty && environment("TERM") != "dumb"
        )
    }

    package static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    private static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    package func callAsFunction(_ colour: Colour, _ text: String) -> String {
        isColoured && !text.isEmpty ? "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m" : text
    }

    /// What a status of a run or of an operation looks like.
    package static func colour(ofStatus status: String) -> Colour? {
        switch status {
        case "completed": .green
        case "failed", "cancelled", "stalled", "timedOut": .red
        case "retrying", "rollingBack": .yellow
        case "running", "pending": .blue
        default: nil
        }
    }

    package func status(_ status: String) -> String {
        Self.colour(ofStatus: status).map { self($0, status) } ?? status
    }
}
