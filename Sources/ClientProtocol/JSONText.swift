/// Writes JSON (RFC 8259) piece by piece, with values that are JSON already passed through untouched.
public struct JSONText: Sendable {
    public private(set) var bytes: [UInt8] = []
    private var needsComma = false

    public init() {}

    public mutating func object(_ members: (inout JSONText) -> Void) {
        bytes.append(UInt8(ascii: "{"))
        needsComma = false
        members(&self)
        bytes.append(UInt8(ascii: "}"))
        needsComma = true
    }

    public mutating func array(_ elements: (inout JSONText) -> Void) {
        bytes.append(UInt8(ascii: "["))
        needsComma = false
        elements(&self)
        bytes.append(UInt8(ascii: "]"))
        needsComma = true
    }

    public mutating func member(_ name: String, _ value: (inout JSONText) -> Void) {
        separate()
        string(name)
        bytes.append(UInt8(ascii: ":"))
        value(&self)
        needsComma = true
    }

    public mutating func element(_ value: (inout JSONText) -> Void) {
        separate()
        value(&self)
        needsComma = true
    }

    /// A value that is JSON already.
    public mutating func raw(_ json: [UInt8]) { bytes.append(contentsOf: json) }

    public mutating func raw(_ json: String) { bytes.append(contentsOf: json.utf8) }

    public mutating func string(_ text: String) { JSONWriter.append(string: text, to: &bytes) }

    /// Microseconds since 1970 as an RFC 3339 time in UTC, with milliseconds; past the year 9999 as the
    /// number.
    public mutating func time(_ micros: UInt64) {
        let seconds = micros / 1_000_000
        guard seconds < 253_402_300_800 else { return raw(String(micros)) }
        let (year, month, day) = Self.civil(days: Int(seconds / 86_400))
        let rest = Int(seconds % 86_400)
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : String(value) }
        let millis = String(1_000 + Int(micros / 1_000 % 1_000)).dropFirst()
        let date = "\(year)-\(two(month))-\(two(day))"
        string("\(date)T\(two(rest / 3_600)):\(two(rest / 60 % 60)):\(two(rest % 60)).\(millis)Z")
    }

    /// The date of a day since 1970 (Hinnant, "chrono-compatible low-level date algorithms").
    private static func civil(days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (
            yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        )
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
    }
}
