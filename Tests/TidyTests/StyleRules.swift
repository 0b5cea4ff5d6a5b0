/// A place where a file breaks a rule of the house.
struct Breach: CustomStringConvertible {
    let path: String
    /// From 1.
    let line: Int
    let sentence: String

    /// - Parameter line: from 0.
    init(_ source: SourceText, _ line: Int, _ sentence: String) {
        path = source.path
        self.line = line + 1
        self.sentence = sentence
    }

    var description: String { "\(path):\(line): \(sentence)" }
}

/// The rules that one file can break by itself (CONTRIBUTING.md).
enum StyleRules {
    static let linesMax = 500
    static let testLinesMax = 800
    static let functionLinesMax = 70
    static let columnsMax = 110

    /// Each rule with its name.
    static let all: [(name: String, check: @Sendable (SourceText) -> [Breach])] = [
        ("file length", fileLength), ("function length", functionLength), ("line length", lineLength),
        ("whitespace", whitespace), ("names", names), ("unfinished work", unfinished),
        ("escape hatches", escapeHatches), ("foreign words", foreignWords),
    ]

    static func fileLength(_ source: SourceText) -> [Breach] {
        guard source.isSwift || source.isC else { return [] }
        let limit = source.isTest ? testLinesMax : linesMax
        let count = source.text.hasSuffix("\n") ? source.lines.count - 1 : source.lines.count
        return count > limit
            ? [Breach(source, limit, "the file has \(count) lines, the limit is \(limit)")] : []
    }

    static func lineLength(_ source: SourceText) -> [Breach] {
        guard source.isSwift || source.isC else { return [] }
        return source.lines.indices.compactMap { line in
            // Bytes are quick to count and never fewer than columns.
            guard source.lines[line].utf8.count > columnsMax else { return nil }
            let columns = source.lines[line].count
            return columns > columnsMax ? Breach(source, line, "the line has \(columns) columns") : nil
        }
    }

    static func whitespace(_ source: SourceText) -> [Breach] {
        var breaches: [Breach] = []
        let mayHoldTabs = source.fileName == "Makefile"
        for (line, text) in source.lines.enumerated() {
            if !mayHoldTabs, text.utf8.contains(UInt8(ascii: "\t")) {
                breaches.append(Breach(source, line, "a tab"))
            }
            if let last = text.utf8.last, last == UInt8(ascii: " ") || last == UInt8(ascii: "\r") {
                breaches.append(Breach(source, line, "blanks at the end of the line"))
            }
        }
        if !source.text.isEmpty, !source.text.hasSuffix("\n") {
            breaches.append(Breach(source, source.lines.count - 1, "no newline at the end"))
        }
        if source.text.hasSuffix("\n\n") {
            breaches.append(Breach(source, source.lines.count - 2, "an empty line at the end"))
        }
        return breaches
    }

    static func names(_ source: SourceText) -> [Breach] {
        let banned = ["Utils", "Util", "Utilities", "Helpers", "Helper", "Manager"]
        func offends(_ name: String) -> Bool { banned.contains { name.hasSuffix($0) } }
        var breaches: [Breach] = []
        for part in source.path.split(separator: "/") {
            let name = part.split(separator: ".").first.map(String.init) ?? ""
            if offends(name) { breaches.append(Breach(source, 0, "\(name) does not say what it is")) }
        }
        guard source.isSwift else { return breaches }
        for keyword in ["struct", "class", "enum", "actor", "protocol", "typealias", "extension"] {
            for line in source.codeLines(with: keyword) {
                let words = source.code[line].split { !$0.isWordByte }.map {
                    String(decoding: $0, as: UTF8.self)
                }
                guard let place = words.firstIndex(of: keyword), place + 1 < words.count else { continue }
                if keyword != "extension", offends(words[place + 1]) {
                    breaches.append(Breach(source, line, "\(words[place + 1]) does not say what it is"))
                }
            }
        }
        return breaches
    }

    static func unfinished(_ source: SourceText) -> [Breach] {
        guard source.folder == "Sources" || source.folder == "Examples" else { return [] }
        var breaches: [Breach] = []
        for word in ["TODO", "FIXME", "XXX"] where source.text.contains(word) {
            for (line, text) in source.lines.enumerated()
            where Array(text.utf8).contains(word: Array(word.utf8)) {
                breaches.append(Breach(source, line, word))
            }
        }
        guard source.isSwift else { return breaches }
        return breaches + source.codeLines(with: "fatalError(").map { Breach(source, $0, "fatalError") }
    }

    /// What switches the compiler's checks off, or stops the process, says why that is right.
    static func escapeHatches(_ source: SourceText) -> [Breach] {
        guard source.isSwift, source.folder == "Sources" || source.folder == "Examples" else { return [] }
        let words = [
            "@unchecked Sendable", "unsafe", "unsafeBitCast", "precondition(", "preconditionFailure(",
        ]
        return words.flatMap { word in
            source.codeLines(with: word).compactMap { line in
                let near = max(0, line - 3)...line
                // The comment is what the blanked code lacks.
                if near.contains(where: { hasComment(source, $0) }) { return nil }
                return Breach(source, line, "\(word) without a comment that says why")
            }
        }
    }

    private static func hasComment(_ source: SourceText, _ line: Int) -> Bool {
        let text = Array(source.lines[line].utf8)
        let code = source.code[line]
        for place in text.indices.dropLast() where text[place] == UInt8(ascii: "/") {
            guard text[place + 1] == UInt8(ascii: "/"), code[place] == UInt8(ascii: " ") else { continue }
            // Blanked slashes stand in a comment or in a literal; before a comment all quotes are closed.
            let quotes = text[..<place].reduce(0) { $0 + ($1 == UInt8(ascii: "\"") ? 1 : 0) }
            if quotes % 2 == 0 { return true }
        }
        return false
    }

    /// The code speaks of its subject, not of how it came about.
    static func foreignWords(_ source: SourceText) -> [Breach] {
        // In pieces, so that this file does not break its own rule.
        let words = ["Cla" + "ude", "Chat" + "GPT", "Copi" + "lot", "AI-gen" + "erated", "AI gen" + "erated"]
        return words.filter { source.text.contains($0) }.flatMap { word in
            source.lines.indices.filter { source.lines[$0].contains(word) }
                .map { Breach(source, $0, "the word \(word)") }
        }
    }
}
