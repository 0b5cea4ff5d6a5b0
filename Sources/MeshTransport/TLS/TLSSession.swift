import COpenSSL
import MeshProtocol

/// TLS of one connection without a socket: ciphertext goes in and comes out as bytes.
final class TLSSession {
    enum Progress {
        case waiting
        case done(CertificateIdentity?)
        case failed(String)
    }

    private let session: OpaquePointer
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    private(set) var isEstablished = false

    init(_ context: TLSContext, isDialler: Bool) throws(CertificateError) {
        guard let made = SSL_new(context.handle) else { throw .last("starting TLS") }
        guard let incoming = BIO_new(BIO_s_mem()), let outgoing = BIO_new(BIO_s_mem()) else {
            SSL_free(made)
            throw .last("starting TLS")
        }
        session = made
        self.incoming = incoming
        self.outgoing = outgoing
        // The session owns both from here on.
        SSL_set_bio(session, incoming, outgoing)
        if isDialler { SSL_set_connect_state(session) } else { SSL_set_accept_state(session) }
    }

    deinit { SSL_free(session) }

    /// Ciphertext came from the peer.
    func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
        BIO_write(incoming, bytes.baseAddress, Int32(bytes.count)) == Int32(bytes.count)
    }

    /// Goes on with the handshake as far as what was received allows.
    func handshake() -> Progress {
        // The queue belongs to the thread, and SSL_get_error reads it: what other connections left would be
        // taken for this one's.
        ERR_clear_error()
        let code = SSL_do_handshake(session)
        guard code != 1 else {
            isEstablished = true
            let peer = SSL_get1_peer_certificate(session)
            defer { X509_free(peer) }
            return .done(peer.flatMap { Certificate.identity(of: $0) })
        }
        return isWaiting(code) ? .waiting : .failed(TLSFailure.sentence(session))
    }

    enum Reading {
        case bytes(Int)
        case nothing
        case closed
        case failed(String)
    }

    /// Decrypts what has come, at most one record at a time.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Reading {
        ERR_clear_error()
        let count = SSL_read(session, buffer.baseAddress, Int32(buffer.count))
        if count > 0 { return .bytes(Int(count)) }
        if SSL_get_error(session, count) == SSL_ERROR_ZERO_RETURN { return .closed }
        return isWaiting(count) ? .nothing : .failed(TLSFailure.sentence(session))
    }

    /// Encrypts all of the bytes, in records of 16 KiB.
    func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        ERR_clear_error()
        return SSL_write(session, bytes.baseAddress, Int32(bytes.count)) == Int32(bytes.count)
    }

    /// Says that nothing more will be written.
    func shutdown() {
        ERR_clear_error()
        if isEstablished { _ = SSL_shutdown(session) }
    }

    /// The ciphertext for the peer, which stays until `clearOutput`.
    var output: UnsafeRawBufferPointer {
        var start: UnsafeMutablePointer<CChar>?
        let count = apus_bio_contents(outgoing, &start)
        return UnsafeRawBufferPointer(start: start, count: max(0, count))
    }

    func clearOutput() { apus_bio_empty(outgoing) }

    private func isWaiting(_ code: Int32) -> Bool {
        let error = SSL_get_error(session, code)
        return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE
    }
}
