import ArgumentParser

/// Where a node listens: `http://HOST:PORT`, or `HOST:PORT` in short.
package struct NodeLocation: Hashable, Sendable, ExpressibleByArgument, CustomStringConvertible {
    package let host: String
    package let port: Int

    package static let standard = NodeLocation(host: "127.0.0.1", port: 7420)

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    package init?(argument: String) {
        var rest = argument[...]
        if rest.hasPrefix("http://") {
            rest = rest.dropFirst(7)
        } else if rest.contains("://") {
            return nil
        }
        while rest.last == "/" { rest = rest.dropLast() }
        guard !rest.isEmpty, !rest.contains("/") else { return nil }
        let isBracketed = rest.first == "[" && rest.last == "]"
        guard let colon = rest.lastIndex(of: ":"), !isBracketed else {
            self.init(host: Self.unbracketed(rest), port: 80)
            return
        }
        guard let port = Int(rest[rest.index(after: colon)...]), 1...65_535 ~= port, colon > rest.startIndex
        else { return nil }
        self.init(host: Self.unbracketed(rest[..<colon]), port: port)
    }

    private static func unbracketed(_ host: Substring) -> String {
        host.first == "[" && host.last == "]" ? String(host.dropFirst().dropLast()) : String(host)
    }

    package var description: String {
        host.contains(":") ? "http://[\(host)]:\(port)" : "http://\(host):\(port)"
    }
    package var defaultValueDescription: String { description }
}
