extension StyleRules {
    static func functionLength(_ source: SourceText) -> [Breach] {
        guard source.isSwift else { return [] }
        return functions(of: source).compactMap { first, last in
            let count = last - first + 1
            guard count > functionLinesMax else { return nil }
            return Breach(source, first, "the function has \(count) lines, the limit is \(functionLinesMax)")
        }
    }

    /// First and last line of each function, initializer and subscript with a body.
    static func functions(of source: SourceText) -> [(first: Int, last: Int)] {
        var starts: Set<Int> = []
        for keyword in ["func", "init", "deinit", "subscript"] {
            for line in source.codeLines(with: keyword) where declares(keyword, source.code[line]) {
                starts.insert(line)
            }
        }
        return starts.sorted().compactMap { first in
            bodyEnd(source.code, from: first).map { (first, $0) }
        }
    }

    /// Whether the line begins, behind attributes and modifiers, with the keyword.
    private static func declares(_ keyword: String, _ line: [UInt8]) -> Bool {
        let words = line.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
        for word in words {
            if word == keyword || word.hasPrefix(keyword + "(") || word.hasPrefix(keyword + "?(")
                || word.hasPrefix(keyword + "<")
            {
                return true
            }
            let isModifier =
                word.hasPrefix("@") || modifiers.contains { word == $0 || word.hasPrefix($0 + "(") }
            if !isModifier { return false }
        }
        return false
    }

    private static let modifiers = [
        "public", "package", "internal", "fileprivate", "private", "open", "static", "class", "final",
        "mutating",
        "nonmutating", "consuming", "borrowing", "override", "nonisolated", "isolated", "required",
        "convenience", "prefix", "postfix", "infix", "dynamic", "indirect", "optional",
    ]

    /// The line of the brace that closes the body of the declaration; nil if it has none, as in a protocol.
    private static func bodyEnd(_ code: [[UInt8]], from first: Int) -> Int? {
        var round = 0
        var curly = 0
        for line in first..<code.count {
            for byte in code[line] {
                switch byte {
                case UInt8(ascii: "("), UInt8(ascii: "["): round += 1
                case UInt8(ascii: ")"), UInt8(ascii: "]"): round -= 1
                case UInt8(ascii: "{"): curly += 1
                case UInt8(ascii: "}"):
                    curly -= 1
                    if curly < 0 { return nil }
                    if curly == 0, round == 0 { return line }
                default: break
                }
            }
            if curly == 0, round == 0, !continues(code, behind: line) { return nil }
        }
        return nil
    }

    /// Whether a signature without its body yet goes on in the next line.
    private static func continues(_ code: [[UInt8]], behind line: Int) -> Bool {
        guard line + 1 < code.count else { return false }
        let next = String(decoding: code[line + 1], as: UTF8.self).split(separator: " ").first ?? ""
        return ["{", "where", "->", "throws", "async", "rethrows"].contains { next.hasPrefix($0) }
    }
}
