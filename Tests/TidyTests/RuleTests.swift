import Testing

/// Each rule is seen failing on text that breaks it, and passing on text that only looks like it.
@Suite("The tidy rules find what they look for")
struct RuleTests {
    private func source(_ text: String, path: String = "Sources/Apus/Sample.swift") -> SourceText {
        SourceText(path: path, text: text)
    }

    @Test func fileLength() {
        let lines = { (count: Int) in String(repeating: "// x\n", count: count) }
        #expect(StyleRules.fileLength(source(lines(500))).isEmpty)
        #expect(StyleRules.fileLength(source(lines(501))).count == 1)
        #expect(StyleRules.fileLength(source(lines(800), path: "Tests/A/B.swift")).isEmpty)
        #expect(StyleRules.fileLength(source(lines(801), path: "Tests/A/B.swift")).count == 1)
    }

    @Test func functionLength() {
        let function = { (head: String, lines: Int) in
            head + " {\n" + String(repeating: "    work()\n", count: lines - 2) + "}\n"
        }
        for head in [
            "func f()", "    public static func f(a: Int = { 1 }()) throws -> [Int]", "init(a: Int)",
            "init?()",
            "    @discardableResult private mutating func f<T>()\n    where T: Sendable", "deinit",
            "subscript(index: Int) -> Int",
        ] {
            let extra = head.contains("\n") ? 1 : 0
            #expect(StyleRules.functionLength(source(function(head, 70 - extra))).isEmpty, "\(head)")
            #expect(StyleRules.functionLength(source(function(head, 71 - extra))).count == 1, "\(head)")
        }
        let requirement =
            "protocol P {\n    func f()\n    var x: Int { get }\n}\n" + function("struct S", 100)
        #expect(StyleRules.functionLength(source(requirement)).isEmpty)
        let braces =
            "func f() {\n    let a = \"{\" // {\n    let b = #\"\\\"{\"#\n}\n" + function("struct S", 100)
        #expect(StyleRules.functionLength(source(braces)).isEmpty)
    }

    @Test func lineLength() {
        #expect(StyleRules.lineLength(source(String(repeating: "é", count: 110) + "\n")).isEmpty)
        #expect(
            StyleRules.lineLength(source("a\n" + String(repeating: "x", count: 111) + "\n")).map(\.line) == [
                2
            ])
    }

    @Test(arguments: ["\tlet a = 1\n", "let a = 1 \n", "let a = 1", "let a = 1\r\n", "let a = 1\n\n"])
    func whitespace(text: String) {
        #expect(StyleRules.whitespace(source(text)).count == 1)
        #expect(StyleRules.whitespace(source("let a = 1\n")).isEmpty)
        #expect(StyleRules.whitespace(source("all:\n\ttrue\n", path: "Makefile")).isEmpty)
    }

    @Test(arguments: [
        "struct StringUtils {}", "public final class LaneManager: Sendable {", "enum Helpers {}",
        "actor Manager {}",
    ])
    func names(text: String) {
        #expect(StyleRules.names(source(text + "\n")).count == 1)
    }

    @Test func namesOfFilesAndWhatOnlyLooksLikeThem() {
        #expect(StyleRules.names(source("", path: "Sources/Apus/StringUtils.swift")).count == 1)
        #expect(StyleRules.names(source("", path: "Sources/Apus/Helpers/A.swift")).count == 1)
        for text in [
            "extension FileManager {}", "let manager = FileManager.default", "// struct Utils",
            "struct Util1 {}",
        ] {
            #expect(StyleRules.names(source(text + "\n")).isEmpty, "\(text)")
        }
    }

    @Test func unfinishedWork() {
        for text in ["// TO" + "DO: later", "// FIX" + "ME", "let a = 1 // X" + "XX", "fatalError(\"no\")"] {
            #expect(StyleRules.unfinished(source(text + "\n")).count == 1, "\(text)")
            #expect(StyleRules.unfinished(source(text + "\n", path: "Tests/A/B.swift")).isEmpty)
        }
        #expect(StyleRules.unfinished(source("// fatalError(\"x\") is not used here\n")).isEmpty)
    }

    @Test func escapeHatches() {
        for text in [
            "final class A: @unchecked Sendable {}", "nonisolated(unsafe) var a = 1", "precondition(a > 0)",
            "let b = unsafe f()", "let url = \"http://a\"; precondition(a)", "preconditionFailure(\"x\")",
        ] {
            #expect(StyleRules.escapeHatches(source("let a = 1\n\n" + text + "\n")).count == 1, "\(text)")
            #expect(
                StyleRules.escapeHatches(source("// Only one thread ever sees it.\n\n\n" + text + "\n"))
                    .isEmpty)
            #expect(StyleRules.escapeHatches(source("// Too far away.\n\n\n\n" + text + "\n")).count == 1)
            #expect(StyleRules.escapeHatches(source(text + " // Sound, because.\n")).isEmpty)
        }
        #expect(StyleRules.escapeHatches(source("let a = bytes.withUnsafeBytes { $0.count }\n")).isEmpty)
        #expect(StyleRules.escapeHatches(source("let a = \"unsafe\"\n")).isEmpty)
    }

    @Test func foreignWords() {
        #expect(StyleRules.foreignWords(source("// written with Copi" + "lot\n")).count == 1)
        #expect(StyleRules.foreignWords(source("// the pilot\n")).isEmpty)
    }

    @Test(arguments: [
        ("Apus", "ActorHost"), ("Apus", "SQLiteDriver"), ("Identifiers", "WorkflowCore"),
        ("WorkflowCore", "PartitionStore"), ("PartitionStore", "Apus"), ("ApusClient", "ActorHost"),
        ("ApusClient", "PartitionStore"), ("ClientGateway", "ApusClient"), ("MailboxCore", "CSQLite"),
    ])
    func importsOfOtherFloors(target: String, module: String) {
        for form in ["import \(module)", "@testable import \(module)", "public import struct \(module).A"] {
            let breaches = Floors.breaches(in: source(form + "\n", path: "Sources/\(target)/A.swift"))
            #expect(breaches.count == 1, "\(target): \(form)")
        }
    }

    @Test(arguments: [
        ("Apus", "WorkflowCore"), ("Apus", "Identifiers"), ("PartitionStore", "SQLiteDriver"),
        ("ApusClient", "Apus"), ("NodeAssembly", "ActorHost"), ("SQLiteDriver", "CSQLite"),
        ("ApusNode", "NIOCore"),
        ("WorkflowCore", "ByteCoding"), ("ClientGateway", "NIOHTTP1"), ("ByteCoding", "Identifiers"),
    ])
    func importsOfLowerFloors(target: String, module: String) {
        let text = "// import ActorHost\nimport \(module)\nlet a = \"import ActorHost\"\n"
        #expect(Floors.breaches(in: source(text, path: "Sources/\(target)/A.swift")).isEmpty)
    }

    @Test func aTargetWithoutAFloor() {
        #expect(Floors.breaches(in: source("", path: "Sources/Attic/A.swift")).count == 1)
        #expect(Floors.breaches(in: source("", path: "Examples/Counter/A.swift")).isEmpty)
    }

    @Test(arguments: [
        "import Foundation", "import NIOCore", "import Logging", "import Dispatch", "import Synchronization",
        "let a = await b()", "let now = Date()", "let clock = ContinuousClock()", "try Task.sleep(for: d)",
        "let a = Int.random(in: 0..<5)", "let a = Bool.random()",
    ])
    func coresTouchNothing(line: String) {
        #expect(!Floors.breaches(in: source(line + "\n", path: "Sources/TimerCore/A.swift")).isEmpty)
        #expect(Floors.breaches(in: source(line + "\n", path: "Sources/ActorHost/A.swift")).isEmpty)
        #expect(Floors.breaches(in: source("// \(line)\n", path: "Sources/TimerCore/A.swift")).isEmpty)
    }

    @Test func coresMayUseTheRandomnessTheyAreGiven() {
        let text = "let a = Int.random(in: 0..<5, using: &random)\nlet lastUpdate = Update(1)\n"
        #expect(Floors.breaches(in: source(text, path: "Sources/TimerCore/A.swift")).isEmpty)
    }

    @Test func literalsAndCommentsAreBlanked() {
        let text = #"""
            let a = "x \(f("y)") + "z") w" + b // "c
            let d = """
              func { "quoted" \(e)
              """ + g /* h
            i */ + j
            let k = #"l " \"# + m
            """#
        let code = source(text).code.map { String(decoding: $0, as: UTF8.self) }
        #expect(code.map { $0.filter { $0 != " " } } == ["leta=+b", "letd=", "", "+g", "+j", "letk=+m"])
        #expect(code.map(\.utf8.count) == source(text).lines.map(\.utf8.count))
    }
}
