import ActorHost
import Apus
import ClientProtocol
import Foundation
import Identifiers
import Logging
import Synchronization
import Testing
import WorkflowTrials

/// A log that lets go whoever blocks, once an effect was named in it.
private struct ReleasingLog: LogHandler {
    let lines: Lines
    var logLevel = Logger.Level.warning
    var metadata: Logger.Metadata = [:]

    final class Lines: Sendable {
        let all = Mutex<[String]>([])
        let written = DispatchSemaphore(value: 0)
    }

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        // On a busy machine anything may seem to hold the thread.
        guard "\(event.message)".hasPrefix("the effect of step") else { return }
        lines.all.withLock { $0.append("\(event.message)") }
        lines.written.signal()
    }
}

@Suite("Threads that are held")
struct WatchTests {
    @Test("An effect that holds its shard's thread is named in the log, and the shard goes on after it")
    func blocked() async throws {
        let lines = ReleasingLog.Lines()
        let lab = Lab(EffectLog()) { workflow, _ in
            // Blocks until the log has said so: however slow the machine is, it ends, and only then.
            try await workflow.step("grind", timeout: nil) { lines.waitUntilWritten() }
        }
        let host = ActorHost(
            kinds: try RegistryReader.kinds(of: lab), store: MemoryStore(),
            settings: HostSettings(shards: 1, blockedLimit: .milliseconds(20)),
            logger: Logger(label: "watch") { _ in ReleasingLog(lines: lines) }
        ) { _ in }
        let address = ActorAddress(kind: try ActorKind("lab"), key: try ActorKey(["a", "b"]))
        _ = try await host.perform(ActorRequest(target: address, operation: .create(input: nil)))
        let reply = try await host.perform(
            ActorRequest(target: address, operation: .action("add", input: Payload("1"))))
        #expect(reply == .output(Payload("1")))
        let told = lines.all.withLock { $0 }
        #expect(told.count == 1)
        #expect(told.first?.contains(#"step "grind" of lab/a/b"#) ?? false, "\(told)")
        try await host.stop()
    }
}

extension ReleasingLog.Lines {
    /// Not available in asynchronous code, for the very reason of which this is a test.
    fileprivate func waitUntilWritten() { written.wait() }
}
