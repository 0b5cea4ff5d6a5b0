import ClientProtocol
import Identifiers
import Logging
import NIOCore
import NIOHTTP1
import SessionCore

/// Told to every connection when the node begins to shut down.
struct GatewayStopping: Sendable {}

/// What the connections of a gateway share.
struct GatewayContext: Sendable {
    let service: any ActorService
    let cluster: any ClusterAdministration
    let configuration: GatewayConfiguration
    let logger: Logger
}

/// Serves the HTTP requests of one connection, one after the other; `HTTPServerPipelineHandler` in front of
/// it keeps pipelined ones back until their turn.
final class HTTPConnectionHandler: ChannelInboundHandler, RemovableChannelHandler, DeliveryReceiver {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private enum Phase {
        case idle
        case receiving(HTTPExchange)
        case answering(HTTPExchange)
        /// The answer is written but for its end, which waits for the client to read.
        case finishing(Ending)
        /// The last answer is out; what still comes is thrown away until the client closes.
        case draining
        case closed
    }

    private struct Ending {
        var keepAlive: Bool
        /// Something of the request is still to come and must be thrown away.
        let lingers: Bool
    }

    private let gateway: GatewayContext
    private let inbox: LoopInbox
    private let activity: ActivityHandler
    private var context: ChannelHandlerContext?
    private var phase = Phase.idle
    private var exchanges: UInt64 = 0
    private var isStopping = false
    var isInBurst = false

    init(gateway: GatewayContext, inbox: LoopInbox, activity: ActivityHandler) {
        self.gateway = gateway
        self.inbox = inbox
        self.activity = activity
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        // Both closures are let go when the connection ends or is upgraded (`handlerRemoved`).
        activity.activity = { [unowned self] unfinished in self.activityNow(unfinished) }
        activity.watch.onClose = { [unowned self] reason in self.deadlinePassed(reason) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        letGo()
        activity.activity = { _ in .handshake }
        // Until the WebSocket's handler is there the bare connection is what a deadline ends.
        let channel = context.channel
        activity.watch.onClose = { _ in channel.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        letGo()
        phase = .closed
        context.fireChannelInactive()
    }

    private func letGo() {
        if case .answering(let exchange) = phase, let token = exchange.token {
            gateway.service.abandon(token)
        }
        phase = .closed
    }

    private func activityNow(_ hasUnfinishedBytes: Bool) -> ConnectionDeadlines.Activity {
        switch phase {
        case .idle: hasUnfinishedBytes ? .halfHead : .betweenRequests
        case .receiving: .halfMessage
        case .answering, .finishing: .answering
        case .draining, .closed: .betweenRequests
        }
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (unwrapInboundIn(data), phase) {
        case (.head(let head), .idle): begin(head)
        case (.body(let part), .receiving(var exchange)):
            // Taken out of the phase, so that the body has one owner and grows in place.
            phase = .closed
            guard exchange.body.readableBytes + part.readableBytes <= exchange.bodyBytesMax else {
                phase = .receiving(exchange)
                answer(HTTPAnswer(.tooLarge("the body", limit: exchange.bodyBytesMax)), closing: true)
                return
            }
            exchange.body.writeImmutableBuffer(part)
            phase = .receiving(exchange)
        case (.end, .receiving(let exchange)):
            activity.messageEnded()
            phase = .answering(exchange)
            perform(exchange)
            activity.watch.note(activityNow(false))
        default:
            // Draining, or the rest of a request that was answered early.
            break
        }
    }

    private func begin(_ head: HTTPRequestHead) {
        exchanges += 1
        let exchange = HTTPExchange(number: exchanges, head: head, configuration: gateway.configuration)
        phase = .receiving(exchange)
        if let declared = exchange.declaredBytes, declared > exchange.bodyBytesMax {
            return answer(HTTPAnswer(.tooLarge("the body", limit: exchange.bodyBytesMax)), closing: true)
        }
        guard exchange.expectsContinue else { return }
        // The client waits with its body: tell it now if the request is refused anyway.
        if case .failure(let refusal) = exchange.route { return answer(HTTPAnswer(refusal), closing: true) }
        let head = HTTPResponseHead(version: .http1_1, status: .continue)
        context?.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
    }

    private func perform(_ exchange: HTTPExchange) {
        switch exchange.route {
        case .failure(let refusal): answer(HTTPAnswer(refusal))
        case .success(.connect):
            let error = ActorError(
                "upgrade_required",
                "this path takes WebSocket version 13 with the subprotocol "
                    + "\(ClientWire.subprotocol) or \(ClientWire.subprotocolCBOR)", group: "request")
            answer(HTTPAnswer(error))
        case .success(.actor(let address, let verb)): submit(exchange, address, verb)
        case .success(.health), .success(.status):
            guard !isStopping else { return answer(HTTPAnswer(.stopping)) }
            if let obstacle = gateway.service.obstacle { return answer(HTTPAnswer(obstacle)) }
            fetch { service in await service.status() }
        case .success(.cluster(let operation)): administer(exchange, operation)
        case .success(.list(let kind, let after, let limit)):
            fetch { service throws(ActorError) in
                try await service.list(kind: kind, after: after, limit: limit)
            }
        }
    }

    private func administer(_ exchange: HTTPExchange, _ operation: ClusterOperation) {
        let body: Payload
        do throws(ActorError) { body = try exchange.payload(field: "body") ?? .null } catch {
            return answer(HTTPAnswer(error))
        }
        let cluster = gateway.cluster
        fetch { (_) throws(ActorError) in try await cluster.perform(operation, body) }
    }

    private func submit(_ exchange: HTTPExchange, _ address: ActorAddress, _ verb: HTTPRoute.Verb) {
        let request: ActorRequest
        do throws(ActorError) {
            request = try exchange.actorRequest(address, verb)
        } catch { return answer(HTTPAnswer(error)) }
        let receiver = NIOLoopBound<any DeliveryReceiver>(self, eventLoop: inbox.loop)
        let number = exchange.number
        let token = gateway.service.submit(request) { [inbox] result in
            inbox.post(.reply(id: number, result), to: receiver)
        }
        if case .answering(var exchange) = phase {
            exchange.token = token
            if case .request = request.operation { exchange.waits = true }
            phase = .answering(exchange)
        }
    }

    private func fetch(
        _ body: @escaping @Sendable (any ActorService) async throws(ActorError) -> Payload
    ) {
        let receiver = NIOLoopBound<any DeliveryReceiver>(self, eventLoop: inbox.loop)
        Task { [inbox, service = gateway.service] in
            let result: Result<Payload, ActorError>
            do throws(ActorError) {
                result = .success(try await body(service))
            } catch { result = .failure(error) }
            inbox.post(.document(result), to: receiver)
        }
    }

    // MARK: Answers

    func receive(_ delivery: Delivery) {
        guard case .answering(let exchange) = phase else { return }
        switch delivery {
        case .reply(let id, let result):
            guard id == exchange.number else { return }
            switch result {
            case .success(let reply): answer(HTTPAnswer(reply))
            case .failure(let error): answer(HTTPAnswer(error))
            }
        case .document(.success(let payload)): answer(HTTPAnswer(status: .ok, body: payload.bytes))
        case .document(.failure(let error)): answer(HTTPAnswer(error))
        case .event, .map: break
        }
    }

    func burstEnded() {}

    /// Writes the answer to the exchange under way. `closing`: the connection cannot be used after it.
    private func answer(_ answer: HTTPAnswer, closing: Bool = false) {
        guard let context else { return }
        let exchange: HTTPExchange?
        switch phase {
        case .receiving(let current), .answering(let current): exchange = current
        default: exchange = nil
        }
        let keepAlive = exchange?.keepAlive == true && !closing && !isStopping
        let isMidRequest = if case .receiving = phase { true } else { false }
        phase = .finishing(Ending(keepAlive: keepAlive, lingers: isMidRequest || closing))
        activity.watch.noteWrite(pending: true)
        context.write(wrapOutboundOut(.head(answer.head(for: exchange, keepAlive: keepAlive))), promise: nil)
        if exchange?.method != .HEAD, !answer.body.isEmpty { write(answer.body, context) }
        context.flush()
        // The next pipelined request begins with the end of this answer. A client that does not read its
        // answers waits with it, or its requests would fill the memory with them.
        if context.channel.isWritable { finish() }
    }

    /// Writes in pieces, so that each piece that reaches the socket counts as progress of a slow reader.
    private func write(_ body: [UInt8], _ context: ChannelHandlerContext) {
        var rest = ByteBuffer(bytes: body)
        let watch = NIOLoopBound(activity.watch, eventLoop: context.eventLoop)
        while let piece = rest.readSlice(length: min(rest.readableBytes, 256 << 10)), piece.readableBytes > 0
        {
            let isLast = rest.readableBytes == 0
            let written = isLast ? nil : context.eventLoop.makePromise(of: Void.self)
            written?.futureResult.whenComplete { _ in watch.value.noteWriteProgress() }
            context.write(wrapOutboundOut(.body(.byteBuffer(piece))), promise: written)
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { finish() }
        context.fireChannelWritabilityChanged()
    }

    /// Ends the answer that was written.
    private func finish() {
        guard case .finishing(let ending) = phase, let context else { return }
        // Before the write: the next pipelined request arrives from inside it.
        phase = ending.keepAlive ? .idle : .draining
        let written = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        written.futureResult.whenComplete { _ in
            bound.value.written(closes: !ending.keepAlive, lingers: ending.lingers)
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
        if ending.keepAlive { activity.watch.note(activityNow(activity.hasUnfinishedBytes)) }
    }

    private func written(closes: Bool, lingers: Bool) {
        activity.watch.noteWrite(pending: false)
        guard closes, let context else { return }
        guard lingers else { return context.close(promise: nil) }
        // Closing with unread bytes would reset the connection and could destroy the answer on its way (RFC
        // 9112 section 9.6): say that nothing follows, then read and discard for a moment.
        context.close(mode: .output, promise: nil)
        closeAfterLinger()
    }

    private func closeAfterLinger() {
        guard let channel = context?.channel else { return }
        channel.eventLoop.scheduleTask(in: TimeAmount(gateway.configuration.linger)) {
            channel.close(promise: nil)
        }
    }

    // MARK: Endings

    private func deadlinePassed(_ reason: CloseReason) {
        guard let context else { return }
        switch phase {
        case .receiving:
            answer(HTTPAnswer(ActorError("timeout", reason.text, group: "request")), closing: true)
            closeAfterLinger()
        default:
            phase = .closed
            context.close(promise: nil)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is GatewayStopping:
            isStopping = true
            if case .idle = phase { context.close(promise: nil) }
        case ChannelEvent.inputClosed:
            if case .finishing(var ending) = phase {
                ending.keepAlive = false
                phase = .finishing(ending)
                return
            }
            // A client that has said all may still read its answer, but nobody stays for a reply that may
            // take days.
            guard case .answering(var exchange) = phase, !exchange.waits else {
                return context.close(promise: nil)
            }
            exchange.keepAlive = false
            phase = .answering(exchange)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let failure = error as? HTTPParserError else {
            // A failed upgrade comes by here, too, and is answered as the request that it is.
            if error is IOError || error is ChannelError { context.close(promise: nil) }
            return
        }
        switch phase {
        case .idle, .receiving: answer(HTTPAnswer(Self.refusal(of: failure)), closing: true)
        case .answering, .finishing, .draining, .closed: break
        }
    }

    private static func refusal(of failure: HTTPParserError) -> ActorError {
        switch failure {
        case .headerOverflow:
            ActorError("head_too_large", "the request's head is too large", group: "request")
        case .invalidVersion:
            ActorError("version_not_supported", "only HTTP/1.0 and HTTP/1.1 are served", group: "request")
        default: .badRequest("this is not HTTP/1.1")
        }
    }
}
