import CLibUV

/// What libuv answered instead of success.
struct UVError: Error, Hashable, CustomStringConvertible {
    let code: CInt

    init(_ code: CInt) { self.code = code }

    static func check(_ code: CInt) throws(UVError) { if code < 0 { throw UVError(code) } }

    var description: String { uv_strerror(code).map { String(cString: $0) } ?? "error \(code)" }
}
