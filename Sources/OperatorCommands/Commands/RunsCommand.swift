import ArgumentParser
import Foundation
import Identifiers

struct RunsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "runs", abstract: "Shows and watches the runs of actors.",
        subcommands: [Show.self, Watch.self])

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows a run: what it does, since when, what it waits for, and its history.",
            discussion: "TOOK is the time from the first attempt to the result, retries included.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var target: AddressArguments

        func run() async throws {
            let address = try target.address
            try await common.perform { node in
                let look = try await RunLook(node, address)
                if common.json { return Console.print(json: look.json) }
                Console.print(look.text.lines(now: .now, .automatic))
            }
        }
    }

    struct Watch: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows a run while it goes on, until it ends.",
            discussion: """
                On a terminal the picture is redrawn in place; otherwise, a line is printed for each change.
                With --json, each change is one line with the whole JSON. A node that stops answering is
                asked again until it is back. Ends with 1 if the run fails or is cancelled.
                """)

        @OptionGroup var common: CommonOptions
        @OptionGroup var target: AddressArguments

        @Option(help: ArgumentHelp("Time between two looks.", valueName: "seconds"))
        var every = 0.5

        func validate() throws {
            guard 0.05...3_600 ~= every else { throw ValidationError("--every must be 0.05 to 3600 seconds") }
        }

        func run() async throws {
            let address = try target.address
            if try await watch(address, display) { throw ExitCode(1) }
        }

        private var display: any RunDisplay {
            if common.json { return JSONDisplay() }
            return Style.isTerminal ? PictureDisplay() : LineDisplay()
        }

        /// - Returns: whether the run failed.
        private func watch(_ address: ActorAddress, _ display: any RunDisplay) async throws -> Bool {
            var display = display
            var hasFailed = false
            try await common.perform { node in
                var look = try await RunLook(node, address)
                while true {
                    display.show(look)
                    guard let run = look.text.actor.run, !run.hasEnded else { break }
                    look = try await next(node, address, &display)
                }
                hasFailed = look.text.actor.run?.hasFailed ?? false
            }
            return hasFailed
        }

        private func next(
            _ node: NodeConnection, _ address: ActorAddress, _ display: inout any RunDisplay
        ) async throws -> RunLook {
            var isAway = false
            while true {
                try await Task.sleep(for: .seconds(every))
                do throws(OperatorFailure) {
                    return try await RunLook(node, address)
                } catch {
                    guard case .unreachable = error else { throw error }
                    if !isAway { display.note("the node at \(node.location) does not answer; asking again") }
                    isAway = true
                }
            }
        }
    }
}

/// One look at a run.
struct RunLook: Sendable {
    var text: RunText
    /// The node's two answers as one object.
    var json: [UInt8]

    init(_ node: NodeConnection, _ address: ActorAddress) async throws(OperatorFailure) {
        // The history last: a run that is said to have ended is then never shown without its end.
        let document = try await node.actor(address)
        let history = try await node.history(address)
        let actor = try node.decode(ActorDocument.self, from: document)
        text = RunText(actor: actor, history: try node.decode(HistoryDocument.self, from: history))
        json = Array("{\"actor\":".utf8) + document + Array(",\"history\":".utf8) + history + Array("}".utf8)
    }
}

/// Where a watched run is shown.
protocol RunDisplay {
    mutating func show(_ look: RunLook)
    mutating func note(_ text: String)
}

struct LineDisplay: RunDisplay {
    private var changes = RunChanges()

    mutating func show(_ look: RunLook) {
        for line in changes.take(look.text, now: .now, .automatic) { Console.print(line) }
    }

    func note(_ text: String) { Console.complain(text) }
}

struct JSONDisplay: RunDisplay {
    private var last: [UInt8] = []

    mutating func show(_ look: RunLook) {
        guard look.json != last else { return }
        last = look.json
        Console.print(json: look.json)
    }

    func note(_ text: String) { Console.complain(text) }
}

/// Redraws the picture over the one before.
struct PictureDisplay: RunDisplay {
    private var shown: [String] = []
    private let style = Style.automatic

    mutating func show(_ look: RunLook) {
        draw(Self.fit(look.text.lines(now: .now, style), rows: Self.rows))
    }

    mutating func note(_ text: String) { draw(shown + [style(.yellow, text)]) }

    private mutating func draw(_ lines: [String]) {
        // Up to the first line of the last picture, then everything below is cleared. Long lines are cut by
        // the terminal and not wrapped (7l), so that a line is a row.
        let up = shown.isEmpty ? "" : "\u{1B}[\(shown.count)A\r"
        Console.print(up + "\u{1B}[J\u{1B}[?7l" + lines.joined(separator: "\n") + "\u{1B}[?7h")
        shown = lines
    }

    /// The head and the newest of a picture that is higher than the terminal.
    static func fit(_ lines: [String], rows: Int) -> [String] {
        let head = 7
        guard lines.count >= rows, rows > head + 3 else { return lines }
        let tail = rows - head - 2
        let left = lines.count - head - tail
        return lines.prefix(head) + ["  … \(left) lines left out"] + lines.suffix(tail)
    }

    private static var rows: Int {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_row > 0 else { return 24 }
        return Int(size.ws_row)
    }
}
