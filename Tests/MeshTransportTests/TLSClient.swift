import Identifiers

@testable import MeshProtocol
@testable import MeshTransport

/// A blocking TLS client that says what it likes.
final class TLSClient: @unchecked Sendable {
    private let socket: RawSocket
    private let context: TLSContext
    private let session: TLSSession

    init(_ credentials: NodeCredentials, port: UInt16) throws {
        socket = try RawSocket(port: port)
        context = try TLSContext(credentials)
        session = try TLSSession(context, isDialler: true)
    }

    /// Says hello after the TLS handshake.
    func greet(as identity: NodeIdentity) throws {
        while case .waiting = session.handshake() {
            flush()
            socket.read().withUnsafeBytes { _ = session.receive($0) }
        }
        let hello = Frame(.hello, Hello(identity, lane: .data).payload).encoded(on: .control)
        hello.withUnsafeBytes { _ = session.write($0) }
        flush()
    }

    private func flush() {
        socket.write(Array(session.output))
        session.clearOutput()
    }
}
