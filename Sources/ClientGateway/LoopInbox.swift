import ClientProtocol
import NIOCore
import Synchronization

/// What other threads bring to a connection.
enum Delivery: Sendable {
    case reply(id: UInt64, Result<ActorReply, ActorError>)
    case event(id: UInt64, EventDelivery)
    case document(Result<Payload, ActorError>)
    case map(id: UInt64, Result<Payload, ActorError>)
}

/// A connection that takes deliveries on its event loop.
protocol DeliveryReceiver: AnyObject {
    func receive(_ delivery: Delivery)
    /// All deliveries of a burst have been received: the time to write.
    func burstEnded()
    /// Whether the connection is part of the burst under way; kept for `LoopInbox` alone.
    var isInBurst: Bool { get set }
}

/// Brings deliveries from any thread to the connections of one event loop.
///
/// A wake-up of another thread is the unit of cost (about 10 us), so only the first delivery of a burst wakes
/// the loop; whatever comes until the loop runs goes along, for all of the loop's connections together.
final class LoopInbox: Sendable {
    private struct Entry: Sendable {
        var receiver: NIOLoopBound<any DeliveryReceiver>
        var delivery: Delivery
    }

    let loop: any EventLoop
    private struct State {
        var entries: [Entry] = []
        var isClosed = false
    }

    private let state = Mutex(State())

    init(loop: any EventLoop) { self.loop = loop }

    func post(_ delivery: Delivery, to receiver: NIOLoopBound<any DeliveryReceiver>) {
        let isFirst = state.withLock { state in
            guard !state.isClosed else { return false }
            state.entries.append(Entry(receiver: receiver, delivery: delivery))
            return state.entries.count == 1
        }
        if isFirst { loop.execute { self.drain() } }
    }

    /// Drops what still comes: the connections are gone and the loop is about to end.
    func close() async {
        state.withLock { $0.isClosed = true }
        // Whoever was about to wake the loop has done so when this returns.
        try? await loop.submit {}.get()
    }

    private func drain() {
        let entries = state.withLock { state in
            // A fresh array of the same size: the next burst is likely as large as this one.
            var next: [Entry] = []
            next.reserveCapacity(min(state.entries.count, 1024))
            swap(&next, &state.entries)
            return next
        }
        var touched: [any DeliveryReceiver] = []
        for entry in entries {
            let receiver = entry.receiver.value
            if !receiver.isInBurst {
                receiver.isInBurst = true
                touched.append(receiver)
            }
            receiver.receive(entry.delivery)
        }
        for receiver in touched {
            receiver.isInBurst = false
            receiver.burstEnded()
        }
    }
}
