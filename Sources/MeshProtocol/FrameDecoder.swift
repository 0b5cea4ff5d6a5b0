/// Why bytes are no frame. A connection that brought such bytes is closed; nothing behind them can be
/// trusted.
public enum FrameError: Error, Hashable, Sendable, CustomStringConvertible {
    case tooLong(bytes: Int, limit: Int)
    case unknownLane(UInt8)
    case wrongLane(MeshLane, expected: MeshLane)
    case unknownFlags(UInt16)
    case checksum(FrameKind)

    public var description: String {
        switch self {
        case .tooLong(let bytes, let limit): "a frame announces \(bytes) bytes, the limit is \(limit)"
        case .unknownLane(let lane): "a frame is for lane \(lane), which does not exist"
        case .wrongLane(let lane, let expected):
            "a frame for lane \(lane) came on a connection of lane \(expected)"
        case .unknownFlags(let flags): "a frame has the unknown flags \(flags)"
        case .checksum(let kind):
            "the checksum of a frame of kind \(kind.rawValue) does not fit: the bytes are damaged"
        }
    }
}

/// Cuts a stream of bytes into frames, however the stream is cut itself.
///
/// Payloads are copied once, from the chunk that was read into the frame. After an error every further call
/// fails with the same error.
public struct FrameDecoder: Sendable {
    /// Longer payloads are refused by their header alone. Small before the peer is known.
    public var payloadBytesMax: Int
    /// The only lane that frames may be for, once it is known.
    public var lane: MeshLane?

    private var partialHeader: [UInt8] = []
    private var current: FrameHeader?
    private var payload: [UInt8] = []
    private var failure: FrameError?

    public init(payloadBytesMax: Int = Frame.payloadBytesMax, lane: MeshLane? = nil) {
        self.payloadBytesMax = payloadBytesMax
        self.lane = lane
    }

    /// Whether the stream stands inside a frame, so that an end now would cut it.
    public var isInsideFrame: Bool { current != nil || !partialHeader.isEmpty }

    /// Takes bytes off the front of `input`.
    /// - Returns: the next whole frame, or nil when `input` is used up.
    public mutating func next(_ input: inout UnsafeRawBufferPointer) throws(FrameError) -> Frame? {
        if let failure { throw failure }
        do throws(FrameError) {
            if current == nil {
                guard let header = takeHeader(&input) else { return nil }
                try check(header)
                current = header
            }
            guard let header = current, takePayload(header, &input) else { return nil }
            defer { current = nil }
            let whole = payload
            payload = []
            guard header.fits(whole) else { throw FrameError.checksum(header.kind) }
            return Frame(header.kind, whole)
        } catch {
            failure = error
            payload = []
            throw error
        }
    }

    private mutating func takeHeader(_ input: inout UnsafeRawBufferPointer) -> FrameHeader? {
        if partialHeader.isEmpty, input.count >= Frame.headerBytes {
            defer { input = input.dropping(Frame.headerBytes) }
            return FrameHeader(input)
        }
        let missing = min(Frame.headerBytes - partialHeader.count, input.count)
        partialHeader.append(contentsOf: input[..<missing])
        input = input.dropping(missing)
        guard partialHeader.count == Frame.headerBytes else { return nil }
        defer { partialHeader.removeAll(keepingCapacity: true) }
        return partialHeader.withUnsafeBytes { FrameHeader($0) }
    }

    private func check(_ header: FrameHeader) throws(FrameError) {
        guard header.payloadBytes <= payloadBytesMax else {
            throw .tooLong(bytes: header.payloadBytes, limit: payloadBytesMax)
        }
        guard let found = MeshLane(rawValue: header.lane) else { throw .unknownLane(header.lane) }
        if let lane, found != lane { throw .wrongLane(found, expected: lane) }
        guard header.flags == 0 else { throw .unknownFlags(header.flags) }
    }

    /// - Returns: whether the payload is whole.
    private mutating func takePayload(_ header: FrameHeader, _ input: inout UnsafeRawBufferPointer) -> Bool {
        let taken = min(header.payloadBytes - payload.count, input.count)
        guard taken > 0 else { return payload.count == header.payloadBytes }
        // Untouched pages of a large allocation cost nothing, so an announced length alone uses no memory.
        if payload.isEmpty { payload.reserveCapacity(header.payloadBytes) }
        payload.append(contentsOf: UnsafeRawBufferPointer(rebasing: input[..<taken]))
        input = input.dropping(taken)
        return payload.count == header.payloadBytes
    }
}

extension UnsafeRawBufferPointer {
    /// Without the first `count` bytes.
    func dropping(_ count: Int) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self[count...]) }
}
