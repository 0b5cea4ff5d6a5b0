import Foundation
import OperatorCommands
import Synchronization

/// A process that the demo started.
struct Child: Sendable {
    var name: String
    var pid: pid_t
    var port: Int
}

struct StageFailure: Error, CustomStringConvertible {
    var description: String
}

/// Owns everything that must be gone when the demo ends, however it ends: processes and a directory.
final class Stage: Sendable {
    let directory: URL
    /// Where the programs are: beside this one.
    private let programs: URL
    private let running = Mutex<Set<pid_t>>([])
    private let over = Mutex(false)

    /// Whether everything was already taken away.
    var isOver: Bool { over.withLock { $0 } }

    init() throws {
        let own = Bundle.main.executableURL ?? URL(fileURLWithPath: CommandLine.arguments[0])
        programs = own.resolvingSymlinksInPath().deletingLastPathComponent()
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("apus-demo-\(getpid())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    }

    /// Starts a sibling and waits until it says where it listens.
    func start(
        _ program: String, _ arguments: [String], _ environment: [String: String]
    ) async throws -> Child {
        let path = programs.appendingPathComponent(program).path
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw StageFailure(
                description: "\(path) is not there; build it: swift build --product \(program)")
        }
        let log = directory.appendingPathComponent("\(program)-\(UUID().uuidString.prefix(8)).log").path
        let pid = try Self.spawn(path, arguments, environment, log: log)
        running.withLock { _ = $0.insert(pid) }
        let clock = ContinuousClock()
        let giveUp = clock.now + .seconds(20)
        while clock.now < giveUp {
            let said = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
            if let port = Self.port(in: said) { return Child(name: program, pid: pid, port: port) }
            guard isRunning(pid) else {
                throw StageFailure(description: "\(program) ended at once. It said:\n\(said.suffix(2_000))")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw StageFailure(description: "\(program) did not say within 20 s where it listens")
    }

    /// `listening on 127.0.0.1:7420`, at the beginning of a whole line or later in it.
    private static func port(in said: String) -> Int? {
        guard let match = said.firstMatch(of: /listening on [^\s,]*:(\d+)[^\n]*\n/) else { return nil }
        return Int(match.1)
    }

    /// SIGKILL: the process gets no chance to do anything more. Returns when it is gone.
    func kill(_ child: Child) async {
        guard isRunning(child.pid) else { return }
        Foundation.kill(child.pid, SIGKILL)
        while isRunning(child.pid) { try? await Task.sleep(for: .milliseconds(2)) }
    }

    /// Whether a child still runs. One that ended is reaped, and its number never used again.
    func isRunning(_ pid: pid_t) -> Bool {
        running.withLock { running in
            guard running.contains(pid) else { return false }
            var status: Int32 = 0
            guard waitpid(pid, &status, WNOHANG) == 0 else {
                running.remove(pid)
                return false
            }
            return true
        }
    }

    /// The end of what the programs said, for when something went wrong.
    func lastWords() -> String {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
        return names.filter { $0.hasSuffix(".log") }.sorted().map { name in
            let text = try? String(contentsOf: directory.appendingPathComponent(name), encoding: .utf8)
            return "--- \(name)\n\((text ?? "").suffix(1_500))"
        }.joined(separator: "\n")
    }

    /// Ends the processes and removes the directory. Also called while a signal is handled.
    func cleanUp() {
        over.withLock { $0 = true }
        let pids = running.withLock { running in
            defer { running = [] }
            return running
        }
        for pid in pids { Foundation.kill(pid, SIGKILL) }
        for pid in pids {
            var status: Int32 = 0
            waitpid(pid, &status, 0)
        }
        try? FileManager.default.removeItem(at: directory)
    }

    /// In a process group of its own, so that Ctrl-C reaches the demo only, which then ends its children.
    private static func spawn(
        _ path: String, _ arguments: [String], _ environment: [String: String], log: String
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        // The programs talk to each other on this machine; no proxy may come in between.
        var variables = ProcessInfo.processInfo.environment.filter {
            !$0.key.lowercased().hasSuffix("_proxy")
        }
        variables.merge(environment) { $1 }
        let words = ([path] + arguments).map { strdup($0) } + [nil]
        let settings = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in words + settings { free(text) } }
        var pid: pid_t = 0
        let error = posix_spawn(&pid, path, &actions, &attributes, words, settings)
        guard error == 0 else {
            throw StageFailure(description: "\(path) cannot be started: \(String(cString: strerror(error)))")
        }
        return pid
    }
}
