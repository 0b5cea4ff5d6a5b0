import ArgumentParser
import Dispatch
import Foundation
import MeshProtocol
import MeshTransport

/// The program `apus-proxy`.
package struct ProxyCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "apus-proxy",
        abstract: "Stands between nodes and delays, cuts, slows and breaks what they say to each other.",
        discussion: """
            Each node is told to advertise the proxy's address for it (--advertise), and
            to dial from an address of its own (--dial-from), by which it is known.

              apus-proxy run --control 127.0.0.1:21000 \\
                --node a,127.0.0.1:21001,127.0.0.11:7430,127.0.0.11 \\
                --node b,127.0.0.1:21002,127.0.0.12:7430,127.0.0.12
              apus-proxy tell 127.0.0.1:21000 'set a b delay=50ms jitter=20ms'

            Commands, for --fault, --faults and `tell`:

            \(FaultTable.help.map { "  " + $0 }.joined(separator: "\n"))

            Loss and delay are of whole pieces of a TCP stream: inside of one connection
            nothing is reordered or missing. A mebibyte waits in each direction of a
            connection at the most, then its sender is held back. A connection on which
            nothing moved for 15 minutes is reset.
            """,
        subcommands: [Run.self, Tell.self])

    package init() {}

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Runs the proxy until SIGTERM or SIGINT.",
            discussion: """
                Exit codes:
                  0   ended by a signal
                  64  wrong arguments or commands
                  69  an address cannot be listened on
                """)

        @Option(
            help: ArgumentHelp(
                """
                A node: what commands call it, where others dial for it, where it is, and, so that its own \
                connections are known, the host that it dials from; repeated for each.
                """, valueName: "name,listen,target[,source]"))
        var node: [ProxyRoute]

        @Option(
            help: ArgumentHelp(
                "Where commands are taken, one a line. Nobody is asked for a password there.",
                valueName: "host:port"))
        var control: MeshAddress?

        @Option(help: ArgumentHelp("A command to begin with; may be repeated.", valueName: "command"))
        var fault: [String] = []

        @Option(
            help: ArgumentHelp(
                "A file of such commands, one a line; # begins a comment.", valueName: "file"))
        var faults: String?

        @Option(help: "Of all choices by chance.")
        var seed: UInt64 = 1

        static let fileBytesMax = 1 << 20

        func commands() throws -> [String] {
            guard let faults else { return fault }
            guard let file = FileHandle(forReadingAtPath: faults),
                let data = try file.read(upToCount: Self.fileBytesMax + 1),
                data.count <= Self.fileBytesMax
            else { throw ValidationError("\(faults) cannot be read, or is empty, or has over a mebibyte") }
            let lines = String(decoding: data, as: UTF8.self).split(separator: "\n")
                .map { $0.prefix { $0 != "#" }.trimmingCharacters(in: .whitespaces) }
            return lines.filter { !$0.isEmpty } + fault
        }

        func run() async throws {
            let server: ProxyServer
            do throws(ControlError) {
                server = try ProxyServer(
                    node, control: control, commands: try readCommands(), seed: seed,
                    on: EventLoop(name: "apus-proxy"))
            } catch { throw ValidationError("\(error)") }
            let signals = AsyncStream<Void>.makeStream()
            let sources = [SIGTERM, SIGINT].map { number in
                signal(number, SIG_IGN)
                let source = DispatchSource.makeSignalSource(signal: number)
                source.setEventHandler { signals.continuation.yield() }
                source.resume()
                return source
            }
            do throws(ControlError) {
                let addresses = try await server.start()
                for route in node {
                    Self.say("\(route.name): \(addresses.nodes[route.name] ?? route.listen)")
                }
                if let control = addresses.control { Self.say("control: \(control)") }
                Self.say("ready, seed \(seed)")
            } catch {
                FileHandle.standardError.write(Data("apus-proxy: \(error)\n".utf8))
                throw ExitCode(69)
            }
            _ = await signals.stream.first { _ in true }
            await server.close()
            for source in sources { source.cancel() }
        }

        private func readCommands() throws(ControlError) -> [String] {
            do { return try commands() } catch { throw ControlError("\(error)") }
        }

        /// At once, also into a pipe.
        private static func say(_ line: String) {
            FileHandle.standardOutput.write(Data("apus-proxy: \(line)\n".utf8))
        }
    }

    struct Tell: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Gives a running proxy commands, and prints what it answers.",
            discussion: """
                Exit codes:
                  0   all commands were followed
                  64  wrong arguments
                  69  no proxy answers there, or it refuses a command; those before it were followed
                """)

        @Argument(help: ArgumentHelp("The proxy's control port.", valueName: "host:port"))
        var control: MeshAddress

        @Argument(help: ArgumentHelp("Commands, each as one argument.", valueName: "command"))
        var commands: [String]

        func validate() throws {
            guard commands.allSatisfy({ !$0.utf8.contains(UInt8(ascii: "\n")) }) else {
                throw ValidationError("a command is one line")
            }
        }

        func run() async throws {
            do throws(ControlError) {
                for line in try await ControlCall.send(commands, to: control) { print(line) }
            } catch {
                FileHandle.standardError.write(Data("apus-proxy: \(error)\n".utf8))
                throw ExitCode(69)
            }
        }
    }
}

extension MeshAddress: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

extension ProxyRoute: ExpressibleByArgument {
    package init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard 3...4 ~= parts.count, let listen = MeshAddress(parts[1]), let target = MeshAddress(parts[2]),
            parts.count == 3 || !parts[3].isEmpty
        else { return nil }
        self.init(
            name: parts[0], listen: listen, target: target, source: parts.count == 4 ? parts[3] : nil)
    }
}
