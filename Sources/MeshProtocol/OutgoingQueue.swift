/// The bound of what may wait on one connection.
public struct QueueLimits: Hashable, Sendable {
    /// Frames beyond it are refused, except that an empty queue takes any frame.
    public var bytesMax: Int
    public var framesMax: Int
    /// At this many waiting bytes the sender is asked to hold back, and at `lowBytes` to go on.
    public var highBytes: Int
    public var lowBytes: Int

    public init(bytesMax: Int, framesMax: Int, highBytes: Int, lowBytes: Int) {
        self.bytesMax = bytesMax
        self.framesMax = framesMax
        self.highBytes = highBytes
        self.lowBytes = lowBytes
    }
}

/// The frames that wait on one connection, in order, and the bytes that its socket has not taken yet.
public struct OutgoingQueue: Sendable {
    /// What became of a frame.
    public enum Offer: Hashable, Sendable {
        case taken
        /// Taken, and with it the queue is above its high mark: hold back until the low mark is reported.
        case takenToHighMark
        /// Not taken: the queue is at its bound.
        case full
    }

    private struct Entry {
        var header: FrameHeader
        var payload: [UInt8]
        var byteCount: Int { Frame.headerBytes + payload.count }
    }

    private var limits: QueueLimits
    private var lane: MeshLane
    private var entries: [Entry] = []
    /// The first entry that is not handed out whole; those before it are gone.
    private var head = 0
    /// How much of the first entry was handed out already.
    private var offset = 0
    private var queuedBytes = 0
    /// Handed out by `fill` and not yet reported by `wrote`.
    public private(set) var inFlightBytes = 0
    public private(set) var isAboveHighMark = false

    public init(limits: QueueLimits, lane: MeshLane) {
        self.limits = limits
        self.lane = lane
    }

    /// The handshake has told the lane; what waits already stays as it is.
    mutating func become(_ lane: MeshLane, limits: QueueLimits) {
        self.lane = lane
        self.limits = limits
    }

    public var pendingBytes: Int { queuedBytes + inFlightBytes }
    public var pendingFrames: Int { entries.count - head }
    /// Whether something waits to be handed out by `fill`.
    public var hasUnfilled: Bool { queuedBytes > 0 }
    public var isEmpty: Bool { pendingBytes == 0 }

    /// Appends a frame, unless the queue is at its bound.
    public mutating func offer(_ frame: Frame) -> Offer {
        let bytes = frame.byteCount
        guard isEmpty || pendingBytes + bytes <= limits.bytesMax && pendingFrames < limits.framesMax else {
            return .full
        }
        push(frame)
        guard !isAboveHighMark, pendingBytes >= limits.highBytes else { return .taken }
        isAboveHighMark = true
        return .takenToHighMark
    }

    /// Appends a frame of the mesh itself, of which there are few and small ones only.
    mutating func push(_ frame: Frame) {
        entries.append(Entry(header: FrameHeader(of: frame, on: lane), payload: frame.payload))
        queuedBytes += frame.byteCount
    }

    /// Drops whole frames that were not begun, for a connection that only has to say farewell.
    mutating func dropUnbegun() {
        while pendingFrames > (offset > 0 ? 1 : 0), let dropped = entries.popLast() {
            queuedBytes -= dropped.byteCount
        }
    }

    /// Copies waiting bytes into `buffer`, many frames at once or a part of a large one.
    /// - Returns: how many bytes were copied; zero if none wait.
    public mutating func fill(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
        var filled = 0
        while filled < buffer.count, head < entries.count {
            let entry = entries[head]
            var target = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
            var copied = 0
            if offset < Frame.headerBytes {
                entry.header.withBytes { copied += Self.copy($0, from: offset, to: target) }
                target = UnsafeMutableRawBufferPointer(rebasing: target[copied...])
            }
            let start = offset + copied - Frame.headerBytes
            if start >= 0 {
                entry.payload.withUnsafeBytes { copied += Self.copy($0, from: start, to: target) }
            }
            filled += copied
            offset += copied
            guard offset == entry.byteCount else { break }
            dropFirst()
        }
        queuedBytes -= filled
        inFlightBytes += filled
        return filled
    }

    private mutating func dropFirst() {
        offset = 0
        entries[head].payload = []
        head += 1
        // Moving the rest forward costs no more than what was gone before it.
        if head * 2 >= entries.count {
            entries.removeFirst(head)
            head = 0
        }
    }

    private static func copy(
        _ source: UnsafeRawBufferPointer, from start: Int, to target: UnsafeMutableRawBufferPointer
    ) -> Int {
        let count = min(source.count - start, target.count)
        guard count > 0 else { return 0 }
        target.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[start..<start + count]))
        return count
    }

    /// The socket has taken bytes that `fill` had handed out.
    /// - Returns: whether the queue fell to its low mark with this.
    public mutating func wrote(_ bytes: Int) -> Bool {
        inFlightBytes = max(0, inFlightBytes - bytes)
        guard isAboveHighMark, pendingBytes <= limits.lowBytes else { return false }
        isAboveHighMark = false
        return true
    }
}
