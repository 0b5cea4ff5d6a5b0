import Foundation

/// Times, sizes and values as people read them.
package enum Phrases {
    /// `1.2 ms`, `340 ms`, `4.2 s`, `3m 12s`, `5h 03m`, `2d 04h`.
    package static func duration(_ seconds: Double) -> String {
        let seconds = max(0, seconds)
        if seconds < 0.9995 { return "\(Int((seconds * 1_000).rounded())) ms" }
        if seconds < 59.95 { return "\(Double(Int((seconds * 10).rounded())) / 10) s" }
        let whole = Int(seconds.rounded())
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : String(value) }
        if whole < 3_600 { return "\(whole / 60)m \(two(whole % 60))s" }
        if whole < 86_400 { return "\(whole / 3_600)h \(two(whole / 60 % 60))m" }
        return "\(whole / 86_400)d \(two(whole / 3_600 % 24))h"
    }

    /// `2026-11-23 03:26:40 UTC`.
    package static func time(_ instant: Instant) -> String {
        "\(Date(timeIntervalSince1970: instant.seconds.rounded(.down)).formatted(date)) UTC"
    }

    /// `03:26:40.133`.
    package static func clock(_ instant: Instant) -> String {
        let millis = (instant.seconds * 1_000).rounded()
        let rest = 1_000 + Int(millis.truncatingRemainder(dividingBy: 1_000))
        let text = Date(timeIntervalSince1970: (millis / 1_000).rounded(.down)).formatted(date)
        return text.suffix(8) + "." + String(rest).dropFirst()
    }

    /// `in 2d 04h`, or `now`.
    package static func until(_ instant: Instant, _ now: Instant) -> String {
        instant > now ? "in \(duration(instant - now))" : "now"
    }

    package static func bytes(_ count: UInt64) -> String {
        switch count {
        case ..<10_240: "\(count) bytes"
        case ..<(10 << 20): "\(count >> 10) KiB"
        default: "\(count >> 20) MiB"
        }
    }

    /// On one line, cut to that many columns.
    package static func brief(_ value: JSONValue?, _ columns: Int = 48) -> String {
        guard let value, value != .null else { return "" }
        return cut(value.description, columns)
    }

    package static func cut(_ text: String, _ columns: Int) -> String {
        text.count <= columns ? text : text.prefix(columns - 1) + "…"
    }

    /// A text of user code on one line and without anything that moves a terminal's cursor.
    package static func oneLine(_ text: String) -> String {
        String(text.map { isControl($0) ? " " : $0 })
    }

    private static func isControl(_ character: Character) -> Bool {
        character.isNewline || character.unicodeScalars.contains { $0.properties.generalCategory == .control }
    }

    private static let date = Date.ISO8601FormatStyle(dateTimeSeparator: .space).year().month().day()
        .time(includingFractionalSeconds: false)
}
