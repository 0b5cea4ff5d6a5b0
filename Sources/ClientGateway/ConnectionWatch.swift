import NIOCore
import SessionCore

/// The clock of one connection: feeds `ConnectionDeadlines` and wakes for it. Stays on the connection's
/// event loop.
///
/// A timer is set only for an earlier moment than the running one's, so traffic costs no timer work. Timers
/// are not cancelled, because NIO looks through all of a loop's timers for the one: they fire and find
/// nothing to do.
final class ConnectionWatch {
    /// Called when a deadline has passed.
    var onClose: (CloseReason) -> Void = { _ in }
    /// Called when a quiet WebSocket is to be pinged.
    var onPing: () -> Void = {}

    private let loop: any EventLoop
    private var deadlines: ConnectionDeadlines
    /// The earliest moment for which a timer runs.
    private var armedFor: Duration?
    private var isEnded = false

    init(loop: any EventLoop, settings: ConnectionDeadlines.Settings) {
        self.loop = loop
        deadlines = ConnectionDeadlines(settings: settings, now: Self.now(loop))
        arm()
    }

    private static func now(_ loop: any EventLoop) -> Duration {
        .nanoseconds(Int64(clamping: loop.now.uptimeNanoseconds))
    }

    func note(_ activity: ConnectionDeadlines.Activity) {
        deadlines.note(activity, now: Self.now(loop))
        arm()
    }

    func noteUpgraded() {
        deadlines.upgraded(now: Self.now(loop))
        arm()
    }

    func noteWrite(pending: Bool) {
        deadlines.noteWrite(pending: pending, now: Self.now(loop))
        if pending { arm() }
    }

    func noteWriteProgress() { deadlines.noteWriteProgress(now: Self.now(loop)) }

    /// Stops the timer and lets go of the connection.
    func end() {
        isEnded = true
        onClose = { _ in }
        onPing = {}
    }

    /// Called by the timer alone: a deadline that is found passed in the middle of a read or a write must not
    /// end the connection right there, under the feet of its handlers.
    private func check() {
        guard !isEnded else { return }
        switch deadlines.check(now: Self.now(loop)) {
        case .wait: arm()
        case .ping:
            arm()
            onPing()
        case .close(let reason):
            // Once: ending the connection is bounded by its own linger.
            let close = onClose
            end()
            close(reason)
        }
    }

    private func arm() {
        guard !isEnded else { return }
        let moment = deadlines.next
        if let armedFor, armedFor <= moment { return }
        armedFor = moment
        let nanoseconds =
            moment.components.seconds * 1_000_000_000 + moment.components.attoseconds / 1_000_000_000
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(deadline: .uptimeNanoseconds(UInt64(clamping: nanoseconds))) {
            bound.value.timerFired(moment)
        }
    }

    private func timerFired(_ moment: Duration) {
        if armedFor == moment { armedFor = nil }
        check()
    }
}

/// The first handler of a connection: tells that bytes came, and when a read is over.
final class ActivityHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// Set to true by every read; the protocol's handlers set it to false where a message ends.
    private(set) var hasUnfinishedBytes = false
    /// Says what the connection is doing, given whether bytes of an unfinished message may be there.
    var activity: (_ hasUnfinishedBytes: Bool) -> ConnectionDeadlines.Activity = { _ in .handshake }
    let watch: ConnectionWatch

    init(watch: ConnectionWatch) { self.watch = watch }

    func messageEnded() { hasUnfinishedBytes = false }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        hasUnfinishedBytes = true
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        watch.note(activity(hasUnfinishedBytes))
    }

    func channelInactive(context: ChannelHandlerContext) {
        watch.end()
        activity = { _ in .handshake }
        context.fireChannelInactive()
    }
}
