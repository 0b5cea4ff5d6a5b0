import Foundation

/// One text file of the repository, with what the rules need to look at it.
struct SourceText {
    /// Relative to the repository, with `/`.
    let path: String
    let text: String
    /// The lines as they are.
    let lines: [String]
    /// The lines with comments and string literals blanked out; as many as `lines`, with the same offsets in
    /// bytes.
    let code: [[UInt8]]

    init(path: String, text: String) {
        self.path = path
        self.text = text
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let isSwift = path.hasSuffix(".swift")
        code = (isSwift ? Self.blanked(Array(text.utf8)) : Array(text.utf8))
            .split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Array.init)
    }

    init(root: URL, path: String) throws {
        let data = try Data(contentsOf: root.appendingPathComponent(path))
        self.init(path: path, text: String(decoding: data, as: UTF8.self))
    }

    var fileName: String { String(path.split(separator: "/").last ?? "") }
    var folder: String { String(path.split(separator: "/").first ?? "") }
    var isSwift: Bool { path.hasSuffix(".swift") }
    var isC: Bool { path.hasSuffix(".c") || path.hasSuffix(".h") }
    var isTest: Bool { folder == "Tests" }

    /// The target whose folder under `Sources` holds the file.
    var target: String? {
        let parts = path.split(separator: "/")
        return parts.count > 2 && parts[0] == "Sources" ? String(parts[1]) : nil
    }

    func codeContains(_ word: String, line: Int) -> Bool { code[line].contains(word: Array(word.utf8)) }

    /// Numbers of the lines (from 0) whose code holds the word.
    func codeLines(with word: String) -> [Int] {
        // Most files hold none of the words: looking at the whole text first is quick.
        guard text.contains(word) else { return [] }
        let bytes = Array(word.utf8)
        return code.indices.filter { code[$0].contains(word: bytes) }
    }

    /// Replaces comments and literals by blanks. Interpolations are blanked with their string: the rules look
    /// for declarations and calls, which do not belong there.
    static func blanked(_ source: [UInt8]) -> [UInt8] {
        var result = source
        var index = 0
        func starts(_ text: StaticString, at place: Int) -> Bool {
            text.withUTF8Buffer { wanted in
                place + wanted.count <= source.count
                    && wanted.indices.allSatisfy { source[place + $0] == wanted[$0] }
            }
        }
        func blank(to end: Int) {
            for place in index..<min(end, source.count) where source[place] != UInt8(ascii: "\n") {
                result[place] = UInt8(ascii: " ")
            }
            index = end
        }
        while index < source.count {
            switch source[index] {
            case UInt8(ascii: "/") where starts("//", at: index):
                blank(to: source[index...].firstIndex(of: UInt8(ascii: "\n")) ?? source.count)
            case UInt8(ascii: "/") where starts("/*", at: index):
                var end = index + 2
                while end < source.count, !starts("*/", at: end) { end += 1 }
                blank(to: end + 2)
            case UInt8(ascii: "\""), UInt8(ascii: "#"):
                guard let end = literalEnd(source, from: index) else {
                    index += 1
                    continue
                }
                blank(to: end)
            default:
                index += 1
            }
        }
        return result
    }

    /// The place behind the string literal that begins at `start`, with any number of `#` and quotes; nil if
    /// none begins there.
    private static func literalEnd(_ source: [UInt8], from start: Int) -> Int? {
        var place = start
        while place < source.count, source[place] == UInt8(ascii: "#") { place += 1 }
        let hashes = place - start
        let quote = UInt8(ascii: "\"")
        guard place < source.count, source[place] == quote else { return nil }
        let isMultiline = place + 2 < source.count && source[place + 1] == quote && source[place + 2] == quote
        let quotes = isMultiline ? 3 : 1
        place += quotes
        while place < source.count {
            if source[place] == UInt8(ascii: "\\"), hashes == 0 {
                if place + 1 < source.count, source[place + 1] == UInt8(ascii: "(") {
                    place = interpolationEnd(source, from: place + 2)
                } else {
                    place += 2
                }
                continue
            }
            if source[place] == UInt8(ascii: "\n"), !isMultiline { return place }
            let end = place + quotes + hashes
            if end <= source.count, source[place..<place + quotes].allSatisfy({ $0 == quote }),
                source[place + quotes..<end].allSatisfy({ $0 == UInt8(ascii: "#") })
            {
                return end
            }
            place += 1
        }
        return source.count
    }

    private static func interpolationEnd(_ source: [UInt8], from start: Int) -> Int {
        var depth = 1
        var place = start
        while place < source.count, depth > 0, source[place] != UInt8(ascii: "\n") {
            switch source[place] {
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")"): depth -= 1
            case UInt8(ascii: "\""):
                place = literalEnd(source, from: place) ?? place + 1
                continue
            default: break
            }
            place += 1
        }
        return place
    }
}

extension [UInt8] {
    /// Whether the word occurs. A word that begins or ends with a letter, digit or `_` must do so at a
    /// boundary.
    func contains(word: [UInt8]) -> Bool {
        guard let first = word.first, let last = word.last, count >= word.count else { return false }
        for start in 0...(count - word.count) where self[start] == first {
            let end = start + word.count
            if self[start..<end].elementsEqual(word),
                !(first.isWordByte && start > 0 && self[start - 1].isWordByte),
                !(last.isWordByte && end < count && self[end].isWordByte)
            {
                return true
            }
        }
        return false
    }
}

extension UInt8 {
    var isWordByte: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
