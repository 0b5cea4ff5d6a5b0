import Foundation
import Testing

/// Programs that break a promise do not compile: the compiler refuses exactly the lines marked `// refused`.
@Suite("What the compiler refuses")
struct RefusalTests {
    @Test("A10: a query cannot change anything")
    func queries() throws {
        try expectRefusals(
            #"""
            import Apus

            struct Counter: DurableActor {
                struct State: DurableState { var count = 0 }
                struct Events: Declarations { let changed = Event<Int>() }
                struct Actions: Declarations {
                    let count = Query<Int> { view in view.state.count }
                    let writes = Query<Int> { view in
                        view.state.count += 1 // refused
                        return view.state.count
                    }
                    let replaces = Query<Int> { view in
                        var mine = view.state
                        mine.count = 7
                        view.state = mine // refused
                        return mine.count
                    }
                    let tells = Query<Int> { view in
                        view.broadcast(\.changed, 1) // refused
                        return 1
                    }
                    let ends = Query<Int> { view in
                        view.destroy() // refused
                        return 1
                    }
                    let isATurn = Query<Int> { (turn: inout Turn<Counter>) in // refused
                        turn.state.count
                    }
                }
            }
            """#, by: ["-typecheck"])
    }

    @Test("W19: a step's effect reaches the state through its commit turn only")
    func effects() throws {
        try expectRefusals(
            """
            import Apus

            struct Counter: DurableActor {
                struct State: DurableState { var count = 0 }

                func run(_ workflow: inout Workflow<Self>) async throws {
                    let before = workflow.state.count
                    let after = try await workflow.step("right") {
                        before + 1
                    } commit: { turn, value in
                        turn.state.count = value
                    }
                    try await workflow.turn("right, too") { turn in turn.state.count += after }

                    workflow.state.count = 1 // refused
                    try await workflow.step("writes") {
                        workflow.state.count = 1 // refused
                    }
                    try await workflow.step("reads") {
                        print(workflow.state.count) // refused
                    }
                    try await workflow.step("has a turn") {
                        try await workflow.turn("inner") { turn in turn.state.count = 1 } // refused
                    }
                    try await workflow.step("asks for a turn") { turn in // refused
                        turn.state.count = 1
                    }
                }
            }
            """, by: ["-typecheck"])
    }

    @Test("W8: a workflow, and a turn, stay in their scope")
    func escapes() throws {
        // What a closure or a copy may take away is looked at after the types.
        try expectRefusals(
            """
            import Apus

            func keep(_ body: @escaping () -> Void) {}

            struct Escape: DurableActor {
                struct State: DurableState { var count = 0 }

                func run(_ workflow: inout Workflow<Self>) async throws {
                    try await helper(&workflow)
                    keep { // refused
                        _ = workflow.now
                    }
                    Task { // refused
                        _ = workflow.random()
                    }
                    try await workflow.turn("turn") { turn in
                        keep { // refused
                            turn.state.count = 1
                        }
                    }
                    try await workflow.turn("right") { turn in turn.state.count = 1 }
                }

                func helper(_ workflow: inout Workflow<Self>) async throws {
                    try await workflow.loop("right") { loop in try await loop.sleep("s", for: .seconds(1)) }
                }
            }

            struct Outer: DurableActor {
                func run(_ workflow: inout Workflow<Self>) async throws {
                    try await workflow.loop("outer inside of the loop") { loop in // refused
                        try await workflow.sleep("s", for: .seconds(1))
                    }
                }
            }

            struct Copy: DurableActor {
                func run(_ workflow: inout Workflow<Self>) async throws { // refused
                    let copy = workflow
                    print(copy.now)
                }
            }
            """, by: ["-emit-sil", "-o", "/dev/null"])
    }

    private func expectRefusals(_ program: String, by mode: [String]) throws {
        let folder = try Folder()
        defer { folder.remove() }
        try folder.write(program, to: "Program.swift")
        let (_, output) = try folder.run(
            ["swiftc"] + mode + ["-swift-version", "6", "-parse-as-library", "-no-color-diagnostics"]
                + Products.compilerFlags() + ["Program.swift"])
        let refused = Set(output.matches(of: /Program.swift:(\d+):\d+: error:/).compactMap { Int($0.1) })
        let lines = program.split(separator: "\n", omittingEmptySubsequences: false)
        let marked = Set(lines.indices.filter { lines[$0].hasSuffix("// refused") }.map { $0 + 1 })
        #expect(refused == marked, "\(output)")
    }
}
