import Foundation
import NIOHTTP1
import Testing

extension ProcessTests {
    /// What can go wrong around a process: each is said in a sentence, and nothing acknowledged is lost.
    @Suite("Faults of a node's process", .serialized, .timeLimit(.minutes(5)))
    struct FaultTests {
        private let client = HTTPClient()

        @Test("A second node on the directory is refused and the first does not notice (D30)")
        func twoNodesOnOneDirectory() async throws {
            try await ProcessFixture.with { fixture in
                try await fixture.startNode()
                let before = try await increment(fixture, key: "1")
                let second = try fixture.spawnNode()
                #expect(try await second.waitForEnd() == .exited(1))
                #expect(
                    second.output.text.contains(
                        "data directory \(fixture.data) is in use by another process"),
                    "\(second.output.text)")
                #expect(try await increment(fixture, key: "2") == before + 1)
            }
        }

        @Test("A1 A7: SIGTERM ends in order; the next start wakes nothing early and counts no crash (W13)")
        func orderlyStop() async throws {
            try await ProcessFixture.with { fixture in
                try await fixture.startNode(environment: ["APUS_EXAMPLE_DAY_SECONDS": "3600"])
                let waiting = try await untilWaiting(fixture)
                // One attempt is held by the outside world while the node stops.
                let slow = #"{"path": "/v1/customers", "times": 1, "status": 200, "delayMs": 600000}"#
                _ = try await fixture.outside(client, .POST, "/_fail", slow)
                _ = try await fixture.settle(client, .PUT, "/actors/onboarding/held")
                try await untilCalled(fixture, "/v1/customers")

                #expect(try await fixture.stopNode() == .exited(0))
                #expect(fixture.nodeOutput.contains("stopped"))
                try await fixture.startNode(environment: ["APUS_EXAMPLE_DAY_SECONDS": "3600"])
                for (path, before) in waiting {
                    let after = try await fixture.settle(client, .GET, path)
                    #expect(status(after) == status(before))
                    #expect(after.json["awake"] as? Bool == false, "\(path) was woken")
                }
                _ = try await fixture.poll(client, "/actors/onboarding/held") { status($0) == "completed" }
                let history = try await fixture.settle(client, .GET, "/actors/onboarding/held/history")
                let entries = history.json["entries"] as? [[String: Any]] ?? []
                // The outside world saw the first step twice, and its history says so.
                #expect(entries.compactMap { $0["attempts"] as? Int } == [2, 1, 1], "\(history.text)")
            }
        }

        @Test("A port that is taken is said, and the directory stays usable")
        func portInUse() async throws {
            try await ProcessFixture.with { fixture in
                try await fixture.startNode()
                let other = fixture.directory + "/other"
                let port = try await fixture.port()
                let second = try fixture.spawnNode(data: other, listen: "127.0.0.1:\(port)")
                #expect(try await second.waitForEnd() == .exited(1))
                let words = second.output.text
                #expect(words.contains("cannot start") && words.contains("\(port)"), "\(words)")
                #expect(words.lowercased().contains("in use"), "\(words)")
                #expect(try await increment(fixture, key: "1") == 1)
                try await fixture.killNode()
                try await fixture.startNode(data: other)
            }
        }

        @Test("Flags and environment that mean nothing end with 64 and the way to use them")
        func wrongFlags() async throws {
            try await ProcessFixture.with { fixture in
                let cases: [(arguments: [String], environment: [String: String], words: String)] = [
                    (["serve", "--dta", "x"], [:], "--dta"),
                    (["serve", "--listen", "nowhere"], [:], "listen"),
                    (["serve", "--idle-seconds", "-1"], [:], "idle-seconds"),
                    (["bake"], [:], "bake"),
                    ([], ["APUS_LISTEN": "127.0.0.1:99999"], "APUS_LISTEN"),
                    ([], ["APUS_LOG": "loud"], "APUS_LOG"),
                    (["serve", "--mesh", "127.0.0.1:1", "--journal-mib", "0"], [:], "journal-mib"),
                    (["serve", "--dial-from", "127.0.0.1"], [:], "--mesh"),
                    ([], ["APUS_JOURNAL_MIB": "much"], "APUS_JOURNAL_MIB"),
                ]
                for (arguments, environment, words) in cases {
                    let base = fixture.environment.merging(["APUS_DATA": fixture.data]) { $1 }
                    let process = try ChildProcess(
                        try Programs.path("announced"), arguments,
                        environment: base.merging(environment) { $1 })
                    #expect(try await process.waitForEnd() == .exited(64), "\(arguments) \(environment)")
                    #expect(process.output.text.contains(words), "\(process.output.text)")
                }
                #expect(!FileManager.default.fileExists(atPath: fixture.data))
            }
        }

        @Test("A directory that cannot be used is said in a sentence")
        func unusableDirectory() async throws {
            try await ProcessFixture.with { fixture in
                let file = fixture.directory + "/file"
                try Data("x".utf8).write(to: URL(fileURLWithPath: file))
                let onFile = try fixture.spawnNode(data: file)
                #expect(try await onFile.waitForEnd() == .exited(1))
                #expect(onFile.output.text.contains("a file of that name exists"), "\(onFile.output.text)")
                let nowhere = try fixture.spawnNode(data: fixture.directory + "/no/such/parent")
                #expect(try await nowhere.waitForEnd() == .exited(1))
                #expect(nowhere.output.text.contains("no/such/parent"), "\(nowhere.output.text)")

                try await SmallDisk.with(fixture.directory + "/ro", options: "size=1m,ro") { disk in
                    let readOnly = try fixture.spawnNode(data: disk + "/data")
                    #expect(try await readOnly.waitForEnd() == .exited(1))
                    #expect(
                        readOnly.output.text.contains("\(disk)/data cannot be written"),
                        "\(readOnly.output.text)")
                }
            }
        }

        @Test(
            "R14: on a full disk nothing more is acknowledged, the process ends with 74, and nothing is lost")
        func fullDisk() async throws {
            try await ProcessFixture.with { fixture in
                try await SmallDisk.with(fixture.directory + "/disk", options: "size=24m") { disk in
                    let data = disk + "/data"
                    let process = try await fixture.startNode(data: data)
                    for number in 0..<20 { _ = try await increment(fixture, key: "early-\(number)") }
                    try SmallDisk.fill(disk + "/filler")
                    // Answers until the node fails; from the first failure on there must be no more.
                    var acknowledged = 20
                    while process.isRunning {
                        do {
                            let answer = try await client.send(
                                .POST, "/actors/counter/c/actions/increment", "1",
                                key: "late-\(acknowledged)",
                                port: try await fixture.port())
                            guard answer.status == 200 else { continue }
                            acknowledged += 1
                            #expect(answer.json["output"] as? Int == acknowledged)
                        } catch { break }
                        if acknowledged > 100_000 { break }
                    }
                    #expect(try await process.waitForEnd() == .exited(74))
                    #expect(process.output.text.contains("there is no room left"), "\(process.output.text)")
                    // As long as there is no room, it says so again instead of starting half.
                    let again = try fixture.spawnNode(data: data)
                    let end = try await again.waitForEnd()
                    #expect(end == .exited(1) || end == .exited(74))
                    #expect(again.output.text.contains("there is no room left"), "\(again.output.text)")

                    try FileManager.default.removeItem(atPath: disk + "/filler")
                    fixture.forgetNode()
                    try await fixture.startNode(data: data)
                    // The request without an answer is asked again, under its key: it counts once.
                    #expect(try await increment(fixture, key: "late-\(acknowledged)") == acknowledged + 1)
                    try await fixture.killNode()
                }
            }
        }

        // MARK: Steps of the tests

        /// Increments the counter `c` by one, once.
        private func increment(_ fixture: ProcessFixture, key: String) async throws -> Int {
            let path = "/actors/counter/c/actions/increment"
            let answer = try await fixture.settle(client, .POST, path, "1", key: key)
            return try #require(answer.json["output"] as? Int, "\(answer.text)")
        }

        private func status(_ answer: Answer) -> String? {
            (answer.json["run"] as? [String: Any])?["status"] as? String
        }

        /// Runs that wait for a message and for a time, with what is told of them.
        private func untilWaiting(_ fixture: ProcessFixture) async throws -> [(path: String, before: Answer)]
        {
            var waiting: [(path: String, before: Answer)] = []
            for (path, wanted) in [("/actors/order/o", "waiting"), ("/actors/emailDrip/e", "sleeping")] {
                _ = try await fixture.settle(client, .PUT, path)
                waiting.append((path, try await fixture.poll(client, path) { status($0) == wanted }))
            }
            return waiting
        }

        private func untilCalled(_ fixture: ProcessFixture, _ path: String) async throws {
            let deadline = ContinuousClock.now + .seconds(20)
            while !(try await fixture.outside(client, .GET, "/_calls")).text.contains("\"\(path)\"") {
                guard ContinuousClock.now < deadline else {
                    throw DeadlineExceeded(what: "a call of \(path)", limit: .seconds(20))
                }
                try await Task.sleep(for: .milliseconds(5))
            }
        }
    }
}

/// A file system of a few megabytes, for who may mount one.
enum SmallDisk {
    /// Gives the body the mounted directory; says so and does without if mounting is not permitted.
    static func with(_ path: String, options: String, _ body: (String) async throws -> Void) async throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        guard let mount = program("mount"), let umount = program("umount") else {
            return print("no small disk here: there is no mount")
        }
        let mounting = try ChildProcess(mount, ["-t", "tmpfs", "-o", options, "tmpfs", path])
        guard try await mounting.waitForEnd() == .exited(0) else {
            return print("no small disk here: \(mounting.output.text)")
        }
        func unmount() async throws { try await ChildProcess(umount, ["-l", path]).waitForEnd() }
        do { try await body(path) } catch {
            try await unmount()
            throw error
        }
        try await unmount()
    }

    private static func program(_ name: String) -> String? {
        ["/bin/", "/usr/bin/", "/sbin/", "/usr/sbin/"].map { $0 + name }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// Takes all room that is left.
    static func fill(_ path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT, 0o644)
        guard descriptor >= 0 else { throw ChildProcess.NotStarted(reason: "\(path) cannot be made") }
        defer { close(descriptor) }
        var block = [UInt8](repeating: 1, count: 64 << 10)
        while !block.isEmpty {
            // In ever smaller pieces, to the last byte.
            if write(descriptor, &block, block.count) < block.count {
                block.removeLast((block.count + 1) / 2)
            }
        }
    }
}
