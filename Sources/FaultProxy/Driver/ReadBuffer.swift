/// What a socket has read, for the length of a callback: all sockets of a loop use it in turn.
final class ReadBuffer {
    static let bytes = 64 << 10
    let space = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 64)

    deinit { space.deallocate() }
}
