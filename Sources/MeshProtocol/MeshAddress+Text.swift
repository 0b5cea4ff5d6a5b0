/// The form `HOST:PORT`, with brackets around a numeric IPv6 host, as `description` writes it.
extension MeshAddress: LosslessStringConvertible {
    /// A host name is at most this long (RFC 1035 2.3.4).
    static let hostBytesMax = 253

    public init?(_ text: String) {
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")) else { return nil }
        var host = text[..<colon]
        let digits = text[text.index(after: colon)...]
        guard digits.utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let port = UInt16(digits) else { return nil }
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard host.utf8.contains(UInt8(ascii: ":")) else { return nil }
        } else {
            guard !host.utf8.contains(UInt8(ascii: ":")) else { return nil }
        }
        guard 1...Self.hostBytesMax ~= host.utf8.count,
            host.utf8.allSatisfy({ 0x21...0x7E ~= $0 && $0 != UInt8(ascii: "[") && $0 != UInt8(ascii: "]") })
        else { return nil }
        self.init(host: String(host), port: port)
    }
}
