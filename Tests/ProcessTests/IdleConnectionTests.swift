import Foundation
import NIOHTTP1
import Testing

extension ProcessTests {
    @Suite("Many connections", .serialized, .timeLimit(.minutes(3)))
    struct IdleConnectionTests {
        static let connections = 10_000

        @Test("A71: ten thousand idle connections disturb nobody")
        func tenThousandIdleConnections() async throws {
            guard OpenFileLimit.raise(to: Self.connections + 1_000) else {
                return print("no ten thousand connections here: the system allows fewer open files")
            }
            try await ProcessFixture.with { fixture in
                let node = try await fixture.startNode()
                let port = try await fixture.port()
                let client = HTTPClient()
                var sockets: [Int32] = []
                defer { for socket in sockets { Self.drop(socket) } }
                for number in 0..<Self.connections {
                    sockets.append(try Self.connect(to: port))
                    guard number % 100 == 0 else { continue }
                    try await expectIncrement(fixture, client, to: number / 100 + 1)
                }
                if let held = Self.openFiles(of: node.pid) {
                    #expect(held > Self.connections / 2, "the node holds \(held) files")
                }
                for number in 0..<200 {
                    try await expectIncrement(fixture, client, to: Self.connections / 100 + number + 1)
                }
                try await expectIncrement(fixture, HTTPClient(), to: Self.connections / 100 + 201)
                #expect(node.isRunning)
            }
        }

        private func expectIncrement(
            _ fixture: ProcessFixture, _ client: HTTPClient, to total: Int
        ) async throws {
            let answer = try await fixture.settle(
                client, .POST, "/actors/counter/c/actions/increment", "1", key: "\(total)")
            #expect(answer.json["output"] as? Int == total, "\(answer.text)")
        }

        private struct NotConnected: Error { var reason: String }

        private static func connect(to port: Int) throws -> Int32 {
            #if canImport(Darwin)
            let stream = SOCK_STREAM
            #else
            let stream = Int32(SOCK_STREAM.rawValue)
            #endif
            let descriptor = socket(AF_INET, stream, 0)
            guard descriptor >= 0 else { throw NotConnected(reason: String(cString: strerror(errno))) }
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(port).bigEndian
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            let code = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Foundation.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            guard code == 0 else {
                defer { close(descriptor) }
                throw NotConnected(reason: String(cString: strerror(errno)))
            }
            // One request, so that the connection is idle and not one that never said what it wants.
            let hello = Array("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
            guard write(descriptor, hello, hello.count) == hello.count else {
                defer { close(descriptor) }
                throw NotConnected(reason: String(cString: strerror(errno)))
            }
            return descriptor
        }

        /// Closes with a reset, so that no port stays behind in TIME_WAIT.
        private static func drop(_ descriptor: Int32) {
            var linger = linger(l_onoff: 1, l_linger: 0)
            setsockopt(
                descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
            close(descriptor)
        }

        /// nil where the system does not say.
        private static func openFiles(of pid: pid_t) -> Int? {
            try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count
        }
    }
}

/// This process's limit on open files, which its children inherit.
enum OpenFileLimit {
    static func raise(to wanted: Int) -> Bool {
        var limit = rlimit()
        #if canImport(Darwin)
        let resource = RLIMIT_NOFILE
        #else
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        #endif
        guard getrlimit(resource, &limit) == 0 else { return false }
        if limit.rlim_cur >= rlim_t(wanted) { return true }
        limit.rlim_cur = rlim_t(wanted)
        limit.rlim_max = max(limit.rlim_max, rlim_t(wanted))
        return setrlimit(resource, &limit) == 0
    }
}
