import CLibUV

/// What libuv answered instead of success.
package struct UVError: Error, Hashable, CustomStringConvertible {
    package let code: CInt

    package init(_ code: CInt) { self.code = code }

    static func check(_ code: CInt) throws(UVError) { if code < 0 { throw UVError(code) } }

    package var description: String { uv_strerror(code).map { String(cString: $0) } ?? "error \(code)" }
}
