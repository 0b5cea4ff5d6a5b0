import Foundation
import NIOHTTP1
import Testing
import TimeAndChance

extension ProcessTests {
    /// D15, R13: with damaged files a node shows everything that it has acknowledged, or it does not start.
    @Suite("A node with damaged files", .serialized, .timeLimit(.minutes(5)))
    struct DamageProcessTests {
        private let client = HTTPClient()
        private static let agents = 4
        /// Long enough to be hit.
        private static let prompt = String(repeating: "All work and no play. ", count: 120)

        @Test("D15 R13: a flipped bit or a cut in the journal is reported as damage, or costs nothing")
        func damagedJournal() async throws {
            try await ProcessFixture.with { fixture in
                let promised = try await fill(fixture)
                try FileManager.default.moveItem(atPath: fixture.data, toPath: fixture.directory + "/kept")
                #expect(try await serves(fixture, promised, setBack: false) { _ in })
                // The journal alone brings the tables back that a power failure took.
                #expect(try await serves(fixture, promised, setBack: true) { _ in })
                var random = SplitMix64(seed: 15)
                var refused = 0
                for file in ["journal.db-wal", "journal.db"] {
                    for number in 0..<16 {
                        let place = UInt64.random(in: 0 ... .max, using: &random)
                        let isServed = try await serves(fixture, promised, setBack: number % 4 > 0) { lane in
                            try Self.change(lane + "/" + file) { bytes in
                                let bit = place % (UInt64(bytes.count) * 8)
                                bytes[Int(bit / 8)] ^= 1 << UInt8(bit % 8)
                            }
                        }
                        if !isServed { refused += 1 }
                    }
                    for share in [0.0, 0.3, 0.6, 0.9] {
                        let isServed = try await serves(fixture, promised, setBack: false) { lane in
                            try Self.change(lane + "/" + file) { bytes in
                                bytes.removeLast(bytes.count - Int(Double(bytes.count) * share))
                            }
                        }
                        #expect(!isServed, "\(file) cut to \(share)")
                    }
                }
                #expect(refused > 8)
            }
        }

        /// Lets a node acknowledge things, part of which then stands in the journal's file, the rest in its
        /// log.
        /// - Returns: the state by path.
        private func fill(_ fixture: ProcessFixture) async throws -> [String: String] {
            var promised: [String: String] = [:]
            for round in 0..<2 {
                try await fixture.startNode()
                for number in 0..<Self.agents {
                    let path = "/actors/agent/\(round)-\(number)"
                    let body = #"{"body": {"content": "\#(round) \#(number) \#(Self.prompt)"}}"#
                    let sent = try await fixture.settle(
                        client, .POST, path + "/queues/prompts", body, key: "1")
                    #expect(sent.status == 200, "\(sent.text)")
                    let answer = try await fixture.poll(client, path) {
                        (($0.json["state"] as? [String: Any])?["messages"] as? [Any])?.count == 2
                    }
                    promised[path] = state(answer)
                    let counter = "/actors/counter/\(round)-\(number)"
                    _ = try await fixture.settle(
                        client, .POST, counter + "/actions/increment", "\(number + 1)")
                    promised[counter] = state(try await fixture.settle(client, .GET, counter))
                }
                try await fixture.killNode()
            }
            return promised
        }

        private func state(_ answer: Answer) -> String {
            let state = answer.json["state"] as? [String: Any] ?? [:]
            let bytes = try? JSONSerialization.data(withJSONObject: state, options: .sortedKeys)
            return String(decoding: bytes ?? Data(), as: UTF8.self)
        }

        /// Damages a copy of the kept directory and starts a node on it.
        /// - Returns: whether it serves, then with everything; false if it refused because of damage.
        private func serves(
            _ fixture: ProcessFixture, _ promised: [String: String], setBack: Bool,
            _ damage: (_ lane: String) throws -> Void
        ) async throws -> Bool {
            let files = FileManager.default
            if files.fileExists(atPath: fixture.data) { try files.removeItem(atPath: fixture.data) }
            try files.copyItem(atPath: fixture.directory + "/kept", toPath: fixture.data)
            if setBack {
                for name in try files.contentsOfDirectory(atPath: fixture.data + "/parts") {
                    try files.removeItem(atPath: fixture.data + "/parts/" + name)
                }
            }
            try damage(fixture.data + "/lanes/0")
            let process: ChildProcess
            do { process = try await fixture.startNode() } catch let error as ProcessEndedEarly {
                #expect(error.output.contains("damaged"), "\(error)")
                let end = try await fixture.process?.waitForEnd()
                #expect(end == .exited(1))
                fixture.forgetNode()
                return false
            }
            for (path, before) in promised {
                let answer = try await client.send(.GET, path, port: try await fixture.port())
                #expect(state(answer) == before, "\(path) is \(answer.status) \(answer.text)")
            }
            #expect(process.isRunning)
            try await fixture.killNode()
            return true
        }

        private static func change(_ path: String, _ body: (inout [UInt8]) -> Void) throws {
            var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
            // The zeros behind what is used of a log mean nothing.
            bytes.removeLast(bytes.count - (bytes.lastIndex { $0 != 0 } ?? -1) - 1)
            body(&bytes)
            try Data(bytes).write(to: URL(fileURLWithPath: path))
        }
    }
}
