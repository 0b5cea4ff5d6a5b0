import Foundation
import Synchronization

/// How a process ended.
enum ProcessEnd: Hashable, Sendable {
    case exited(Int32)
    case signalled(Int32)
}

/// A program that this test started. Nothing else is ever sent a signal.
final class ChildProcess: Sendable {
    struct NotStarted: Error { var reason: String }

    let name: String
    let pid: pid_t
    let output = ProcessOutput()
    private let end = Promise<ProcessEnd>()
    private let isReaped = Mutex(false)

    /// Starts a program with both its outputs joined.
    /// - Parameter environment: in place of this process's variables of the same names.
    init(_ path: String, _ arguments: [String], environment: [String: String] = [:]) throws {
        name = path.split(separator: "/").last.map(String.init) ?? path
        var pipe: [Int32] = [0, 0]
        guard Foundation.pipe(&pipe) == 0 else { throw NotStarted(reason: String(cString: strerror(errno))) }
        let (reader, writer) = (pipe[0], pipe[1])
        for descriptor in pipe { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let code = Self.spawn(
            path, [path] + arguments, variables.map { "\($0.key)=\($0.value)" }, writer: writer,
            into: &pipe[0])
        close(writer)
        guard code == 0 else {
            close(reader)
            throw NotStarted(reason: "\(path): \(String(cString: strerror(code)))")
        }
        pid = pipe[0]
        Strays.shared.add(pid)
        Self.thread { [output] in output.drain(reader) }
        Self.thread { [self] in reap() }
    }

    private static func spawn(
        _ path: String, _ arguments: [String], _ environment: [String], writer: Int32, into pid: inout pid_t
    ) -> Int32 {
        #if canImport(Darwin)
        var actions: posix_spawn_file_actions_t?
        var attributes: posix_spawnattr_t?
        #else
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, writer, 1)
        posix_spawn_file_actions_adddup2(&actions, writer, 2)
        // The child starts as from a shell: no descriptors of ours, no signal blocked or ignored.
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        var flags = Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF)
        #if canImport(Darwin)
        flags |= Int16(POSIX_SPAWN_CLOEXEC_DEFAULT)
        #else
        closeInChild(&actions, from: 3)
        #endif
        posix_spawnattr_setflags(&attributes, flags)
        var argv = arguments.map { strdup($0) } + [nil]
        var envp = environment.map { strdup($0) } + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        return posix_spawn(&pid, path, &actions, &attributes, &argv, &envp)
    }

    #if !canImport(Darwin)
    /// The C library has this call, its module map does not show it.
    private static func closeInChild(_ actions: inout posix_spawn_file_actions_t, from descriptor: Int32) {
        typealias Call = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
        guard let symbol = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np") else { return }
        _ = unsafeBitCast(symbol, to: Call.self)(&actions, descriptor)
    }
    #endif

    private static func thread(_ body: @escaping @Sendable () -> Void) { Thread(block: body).start() }

    private func reap() {
        var info = siginfo_t()
        // Looks without reaping, so that the pid cannot become another process's while a signal is sent.
        while waitid(P_PID, id_t(pid), &info, WEXITED | WNOWAIT) == -1, errno == EINTR {}
        let status: Int32 = isReaped.withLock { isReaped in
            var status: Int32 = 0
            while waitpid(pid, &status, 0) == -1, errno == EINTR {}
            isReaped = true
            return status
        }
        Strays.shared.remove(pid)
        let signal = status & 0x7f
        end.fulfil(signal == 0 ? .exited(status >> 8 & 0xff) : .signalled(signal))
    }

    var isRunning: Bool { end.current == nil }

    func send(_ signal: Int32) { isReaped.withLock { if !$0 { kill(pid, signal) } } }

    /// Waits until the process is gone and its output read to the end.
    @discardableResult
    func waitForEnd(within limit: Duration = .seconds(20)) async throws -> ProcessEnd {
        let end = try await end.value(within: limit, "the end of \(name)")
        _ = try await output.end.value(within: limit, "the end of the output of \(name)")
        return end
    }

    /// SIGKILL, and waits until nothing of the process is left.
    func terminateAtOnce() async throws {
        send(SIGKILL)
        try await waitForEnd()
    }

    /// The first line with such text in it.
    func line(containing text: String, within limit: Duration = .seconds(20)) async throws -> String {
        let line = try await output.line(containing: text).value(
            within: limit, "\(name): a line with \"\(text)\"")
        guard let line else { throw ProcessEndedEarly(name: name, output: output.text) }
        return line
    }
}

struct ProcessEndedEarly: Error, CustomStringConvertible {
    var name: String
    var output: String
    var description: String { "\(name) ended; it had written: \(output)" }
}

/// What a process has written, line by line; the last of it is kept.
final class ProcessOutput: Sendable {
    static let linesMax = 500
    private struct State {
        var lines: [String] = []
        var rest: [UInt8] = []
        var isAtEnd = false
        var watchers: [(text: String, promise: Promise<String?>)] = []
    }

    private let state = Mutex(State())
    /// Fulfilled when nobody can write any more.
    let end = Promise<Bool>()

    var text: String { state.withLock { $0.lines.joined(separator: "\n") } }

    /// Fulfilled with nil if the output ends without such a line.
    func line(containing text: String) -> Promise<String?> {
        let promise = Promise<String?>()
        state.withLock { state in
            if let line = state.lines.first(where: { $0.contains(text) }) {
                promise.fulfil(line)
            } else if state.isAtEnd {
                promise.fulfil(nil)
            } else {
                state.watchers.append((text, promise))
            }
        }
        return promise
    }

    /// Reads to the end. Blocks its thread.
    func drain(_ descriptor: Int32) {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            take(buffer[..<count])
        }
        close(descriptor)
        state.withLock { state in
            if !state.rest.isEmpty { Self.add(String(decoding: state.rest, as: UTF8.self), &state) }
            state.isAtEnd = true
            for watcher in state.watchers { watcher.promise.fulfil(nil) }
            state.watchers = []
        }
        end.fulfil(true)
    }

    private func take(_ bytes: ArraySlice<UInt8>) {
        state.withLock { state in
            state.rest += bytes
            while let end = state.rest.firstIndex(of: UInt8(ascii: "\n")) {
                Self.add(String(decoding: state.rest[..<end], as: UTF8.self), &state)
                state.rest.removeSubrange(...end)
            }
        }
    }

    private static func add(_ line: String, _ state: inout State) {
        state.lines.append(line)
        if state.lines.count > linesMax { state.lines.removeFirst() }
        for watcher in state.watchers where line.contains(watcher.text) { watcher.promise.fulfil(line) }
        state.watchers.removeAll { line.contains($0.text) }
    }
}

/// Ends children that are left when the test process exits in an orderly way, for example after a failed
/// test.
private final class Strays: Sendable {
    static let shared = Strays()
    private let pids = Mutex<Set<pid_t>>([])

    private init() { atexit { Strays.shared.pids.withLock { for pid in $0 { kill(pid, SIGKILL) } } } }
    func add(_ pid: pid_t) { pids.withLock { _ = $0.insert(pid) } }
    func remove(_ pid: pid_t) { pids.withLock { _ = $0.remove(pid) } }
}
