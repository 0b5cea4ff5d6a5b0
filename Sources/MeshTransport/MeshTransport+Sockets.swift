import CLibUV
import MeshProtocol

/// Where callbacks of libuv, which run on the loop's thread, become calls of the actor that lives there.
extension MeshTransport {
    nonisolated func linkConnected(_ id: LinkID) { assumeIsolated { $0.handle(.connected(id)) } }

    nonisolated func linkSecured(_ id: LinkID, _ identity: CertificateIdentity?) {
        assumeIsolated { $0.handle(.secured(id, identity)) }
    }

    nonisolated func linkReceived(_ id: LinkID, _ bytes: UnsafeRawBufferPointer) {
        // Lent for the duration of the call, on the one thread that both sides run on.
        nonisolated(unsafe) let bytes = bytes
        assumeIsolated { $0.received(id, bytes) }
    }

    nonisolated func linkWrote(_ id: LinkID, _ bytes: Int) { assumeIsolated { $0.wrote(id, bytes) } }

    nonisolated func linkNotSecured(_ id: LinkID, _ sentence: String) {
        assumeIsolated { $0.notSecured(id, sentence) }
    }

    nonisolated func linkEnded(_ id: LinkID, _ failure: String?) { assumeIsolated { $0.ended(id, failure) } }

    nonisolated func handleClosed() { assumeIsolated { $0.oneHandleLess() } }
}

extension MeshTransport: TCPListenerOwner {
    package nonisolated func connectionArrived(
        at _: TCPListener, on stream: UnsafeMutablePointer<uv_stream_t>
    ) {
        // Lent for the duration of the call, on the one thread that both sides run on.
        nonisolated(unsafe) let stream = stream
        assumeIsolated { $0.arrived(on: stream) }
    }

    package nonisolated func listenerClosed() { handleClosed() }
}
