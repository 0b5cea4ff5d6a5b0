import ClientProtocol
import Identifiers
import Logging
import NIOCore
import NIOWebSocket
import SessionCore

/// Serves the frames of one WebSocket: does what `ClientSession` decides, and writes once per burst.
///
/// Frames leave through one buffer with their heads written in place; NIO's frame encoder would pass each of
/// them through the pipeline by itself.
final class WebSocketConnectionHandler: ChannelDuplexHandler, DeliveryReceiver {
    typealias InboundIn = WebSocketFrame
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Phase {
        case open
        /// A close frame is in the output or out; what comes is thrown away.
        case closing
        case closed
    }

    private let gateway: GatewayContext
    private let inbox: LoopInbox
    private let activity: ActivityHandler
    private let decoder: BoundaryFrameDecoder
    /// Whether messages are binary, and CBOR. What is inside of the node is JSON.
    private let isCBOR: Bool
    private var context: ChannelHandlerContext?
    private var phase = Phase.open
    private var session: ClientSession
    private var assembler: MessageAssembler
    /// The message that is being read.
    private var incoming: [UInt8] = []
    /// The frame that is being written; kept for its capacity.
    private var scratch: [UInt8] = []
    private var output = ByteBuffer()
    private var outputFrames = 0
    private var isReadPending = false
    private var mapQuestions: [UInt64: Task<Void, Never>] = [:]
    var isInBurst = false
    private var isReading = false

    init(
        gateway: GatewayContext, inbox: LoopInbox, activity: ActivityHandler, decoder: BoundaryFrameDecoder,
        isCBOR: Bool
    ) {
        self.isCBOR = isCBOR
        self.gateway = gateway
        self.inbox = inbox
        self.activity = activity
        self.decoder = decoder
        let limits = gateway.configuration.session
        session = ClientSession(limits: limits, node: gateway.configuration.nodeName)
        assembler = MessageAssembler(
            bytesMax: limits.messageBytesMax, expectsMask: true, isBinary: isCBOR)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        activity.activity = { [unowned self] _ in self.activityNow() }
        activity.watch.onClose = { [unowned self] reason in
            self.close(reason == .handshakeTimedOut ? .helloTimedOut : reason)
        }
        activity.watch.onPing = { [unowned self] in
            self.append(opcode: 9, [])
            self.flush()
        }
        activity.watch.noteUpgraded()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        letGo()
        self.context = nil
        activity.activity = { _ in .handshake }
        activity.watch.onClose = { _ in }
        activity.watch.onPing = {}
    }

    func channelInactive(context: ChannelHandlerContext) {
        phase = .closed
        letGo()
        context.fireChannelInactive()
    }

    private func letGo() {
        let remains = session.end()
        for token in remains.requests { gateway.service.abandon(token) }
        for subscription in remains.subscriptions { gateway.service.unsubscribe(subscription) }
        for question in mapQuestions.values { question.cancel() }
        mapQuestions = [:]
    }

    private func activityNow() -> ConnectionDeadlines.Activity {
        if decoder.isInsideFrame || assembler.isInsideMessage {
            return session.isGreeted ? .halfMessage : .handshake
        }
        return session.isGreeted ? .open : .handshake
    }

    // MARK: Frames of the client

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase == .open else { return }
        isReading = true
        let frame = unwrapInboundIn(data)
        let decision = assembler.received(
            MessageAssembler.Frame(
                opcode: UInt8(webSocketOpcode: frame.opcode), isFinal: frame.fin,
                isMasked: frame.maskKey != nil,
                hasReservedBits: frame.rsv1 || frame.rsv2 || frame.rsv3, byteCount: frame.length))
        switch decision {
        case .message, .lastFragment:
            WebSocketBytes.appendPayload(of: frame, to: &incoming)
            received()
            incoming.removeAll(keepingCapacity: incoming.capacity <= 64 << 10)
        case .fragment: WebSocketBytes.appendPayload(of: frame, to: &incoming)
        case .ping:
            var payload: [UInt8] = []
            WebSocketBytes.appendPayload(of: frame, to: &payload)
            append(opcode: 10, payload)
        case .pong: break
        case .peerCloses: close(.normal)
        case .close(let reason): close(reason)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        flush()
        context.fireChannelReadComplete()
    }

    private func received() {
        if isCBOR {
            let limit = gateway.configuration.session.messageBytesMax
            do throws(CBORError) {
                incoming = try CBORReader.json(from: incoming, jsonBytesMax: limit)
            } catch {
                let reason: CloseReason =
                    error.reason == .tooLarge ? .tooLarge(limit: limit) : .violation("\(error)")
                return close(reason)
            }
        }
        let frame: ClientFrame
        do throws(FrameError) {
            frame = try ClientFrame.decode(incoming.span)
        } catch { return close(CloseReason(code: error.closeCode, text: error.description)) }
        switch session.received(frame) {
        case .nothing: break
        case .send(let frame): append(frame)
        case .submit(let id, let request):
            let receiver = NIOLoopBound<any DeliveryReceiver>(self, eventLoop: inbox.loop)
            let token = gateway.service.submit(request) { [inbox] result in
                inbox.post(.reply(id: id, result), to: receiver)
            }
            session.submitted(id: id, token: token)
        case .subscribe(let id, let address, let event): subscribe(id, address, event)
        case .unsubscribe(let subscription): gateway.service.unsubscribe(subscription)
        case .abandon(let token): gateway.service.abandon(token)
        case .map(let id, let after, let waitMillis):
            askForMap(id, .map(after: after, waitMillis: waitMillis))
        case .close(let reason): close(reason)
        }
    }

    private func subscribe(_ id: UInt64, _ address: ActorAddress, _ event: String) {
        let receiver = NIOLoopBound<any DeliveryReceiver>(self, eventLoop: inbox.loop)
        do throws(ActorError) {
            let subscription = try gateway.service.subscribe(to: event, of: address) { [inbox] delivery in
                inbox.post(.event(id: id, delivery), to: receiver)
            }
            session.subscribed(id: id, as: subscription)
            append(.subscribed(id: id))
        } catch { append(.error(id: id, error)) }
    }

    private func askForMap(_ id: UInt64, _ question: ClusterOperation) {
        let receiver = NIOLoopBound<any DeliveryReceiver>(self, eventLoop: inbox.loop)
        mapQuestions[id] = Task { [inbox, cluster = gateway.cluster] in
            let result: Result<Payload, ActorError>
            do throws(ActorError) {
                result = .success(try await cluster.perform(question, .null))
            } catch { result = .failure(error) }
            inbox.post(.map(id: id, result), to: receiver)
        }
    }

    // MARK: Deliveries

    func receive(_ delivery: Delivery) {
        guard phase == .open else { return }
        switch delivery {
        case .reply(let id, let result):
            guard session.replied(id: id) else { return }
            switch result {
            case .success(let reply): append(.reply(id: id, reply))
            case .failure(let error): append(.error(id: id, error))
            }
        case .event(let id, let event):
            if let ending = event.ending {
                guard let subscription = session.ended(id: id) else { return }
                gateway.service.unsubscribe(subscription)
                return append(.error(id: id, ending))
            }
            switch session.delivered(id: id) {
            case .send: append(.event(id: id, name: event.event, payload: event.payload))
            case .drop: break
            case .close(let reason): close(reason)
            }
        case .map(let id, let result):
            mapQuestions[id] = nil
            guard session.toldMap(id: id) else { return }
            switch result {
            case .success(let map): append(.reply(id: id, .document(map)))
            case .failure(let error): append(.error(id: id, error))
            }
        case .document: break
        }
    }

    func burstEnded() { flush() }

    // MARK: Output

    private func append(_ frame: ServerFrame) {
        scratch.removeAll(keepingCapacity: scratch.capacity <= 64 << 10)
        frame.encode(into: &scratch)
        guard isCBOR else { return append(opcode: 1, scratch) }
        var cbor: [UInt8] = []
        cbor.reserveCapacity(scratch.count)
        // A frame is JSON by construction, the payloads in it were checked when they came.
        do throws(JSONError) { try CBORWriter.append(json: scratch.span, to: &cbor) } catch {
            return close(CloseReason(code: 1011, text: "a reply cannot be told in CBOR: \(error)"))
        }
        append(opcode: 2, cbor)
    }

    private func append(opcode: UInt8, _ payload: [UInt8]) {
        let before = output.readableBytes
        WebSocketBytes.append(opcode: opcode, payload, to: &output)
        session.outbound.wrote(bytes: output.readableBytes - before)
        outputFrames += 1
    }

    /// Writes what has gathered. During a read the frames wait for its end, so that they leave together.
    private func flush() {
        guard let context, !isReading, phase != .closed else { return }
        if outputFrames > 0 {
            let bytes = output.readableBytes, frames = outputFrames
            let buffer = output
            output = ByteBuffer()
            outputFrames = 0
            activity.watch.noteWrite(pending: true)
            let written = context.eventLoop.makePromise(of: Void.self)
            let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
            written.futureResult.whenComplete { _ in bound.value.written(bytes: bytes, frames: frames) }
            context.writeAndFlush(wrapOutboundOut(buffer), promise: written)
        }
        resumeReading()
        closeIfDrained()
    }

    private func written(bytes: Int, frames: Int) {
        session.outbound.flushed(bytes: bytes, frames: frames)
        if session.outbound.pendingFrames == 0 {
            activity.watch.noteWrite(pending: false)
        } else {
            activity.watch.noteWriteProgress()
        }
        resumeReading()
        closeIfDrained()
    }

    func read(context: ChannelHandlerContext) {
        // While closing everything is read and thrown away, so that the peer's close frame is found.
        if phase != .open || session.mayRead() { context.read() } else { isReadPending = true }
    }

    private func resumeReading() {
        guard isReadPending, let context, phase != .open || session.mayRead() else { return }
        isReadPending = false
        context.read()
    }

    // MARK: Endings

    private func closeIfDrained() {
        if phase == .open, session.isDrained { close(.stopping) }
    }

    /// Sends a close frame and closes once the peer has closed, or after a moment.
    private func close(_ reason: CloseReason) {
        guard phase == .open, let context else { return }
        isReading = false
        phase = .closing
        letGo()
        append(opcode: 8, [UInt8(reason.code >> 8), UInt8(reason.code & 0xFF)] + Array(reason.text.utf8))
        flush()
        if reason.code != 1000 {
            gateway.logger.debug("closing a client connection", metadata: ["reason": "\(reason)"])
        }
        // Closing with unread bytes would reset the connection and could destroy the close frame on its way.
        context.close(mode: .output, promise: nil)
        resumeReading()
        let channel = context.channel
        context.eventLoop.scheduleTask(in: TimeAmount(gateway.configuration.linger)) {
            channel.close(promise: nil)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is GatewayStopping:
            session.stop()
            closeIfDrained()
        case ChannelEvent.inputClosed:
            phase = .closed
            context.close(promise: nil)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case NIOWebSocketError.invalidFrameLength:
            close(.tooLarge(limit: gateway.configuration.session.messageBytesMax))
        case is NIOWebSocketError: close(.violation("a control frame must be short and whole"))
        case is IOError, is ChannelError:
            phase = .closed
            context.close(promise: nil)
        default: break
        }
    }
}
