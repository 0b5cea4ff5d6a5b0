import ClientProtocol
import Identifiers

/// What a request line asks for.
package enum HTTPRoute: Hashable {
    package enum Verb: Hashable {
        case getOrCreate, describe, destroy, history
        case action(String)
        case queue(String)
    }

    case health
    case status
    case list(kind: String?, after: ActorAddress?, limit: Int)
    case actor(ActorAddress, Verb)
    case cluster(ClusterOperation)
    /// The WebSocket path, asked without a (valid) upgrade.
    case connect

    /// A request line that names nothing.
    package struct Refusal: Error, Hashable {
        var error: ActorError
        /// For 405: the methods that the path has.
        var allow: [String] = []
    }

    /// The limit of `limit` in a listing.
    static let listMax = 1000

    /// - Parameter method: as in the request line.
    package init(method: String, uri: String) throws(Refusal) {
        let parts = uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let path = parts[0]
        guard path.first == "/" else { throw Refusal(error: .badRequest("the path must begin with /")) }
        let segments = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        switch (segments[0], segments.count) {
        case ("healthz", 1): self = try Self.readOnly(.health, method)
        case ("status", 1): self = try Self.readOnly(.status, method)
        case ("connect", 1): self = try Self.readOnly(.connect, method)
        case ("actors", 1):
            self = try Self.readOnly(Self.listing(query: parts.count > 1 ? parts[1] : ""), method)
        case ("actors", 3...): self = try Self.actor(segments[1], segments[2...], method)
        case ("cluster", 2) where segments[1] == "map":
            let query = parts.count > 1 ? parts[1] : ""
            self = try Self.readOnly(.cluster(try Self.map(query: query)), method)
        case ("cluster", 1...3): self = .cluster(try Self.cluster(segments.dropFirst(), method))
        default:
            throw Self.nothing
        }
    }

    private static let nothing = Refusal(
        error: ActorError("not_found", "there is nothing at this path", group: "request"))

    /// `after=`, a version of the map.
    private static func map(query: Substring) throws(Refusal) -> ClusterOperation {
        var after: UInt64?
        for pair in query.split(separator: "&") where pair.hasPrefix("after=") {
            guard let version = UInt64(pair.dropFirst(6)) else {
                throw Refusal(error: .validation("after must be a whole number", field: "after"))
            }
            after = version
        }
        return .map(after: after, waitMillis: 0)
    }

    /// What follows `/cluster`.
    private static func cluster(
        _ segments: ArraySlice<Substring>, _ method: String
    ) throws(Refusal) -> ClusterOperation {
        let name = segments.first ?? ""
        guard segments.isEmpty || !name.isEmpty else { throw nothing }
        if segments.count == 2 {
            guard name == "tokens", let id = segments.last, !id.isEmpty else { throw nothing }
            guard method == "DELETE" else { throw notAllowed(method, ["DELETE"]) }
            return .revokeToken(String(id))
        }
        let (read, change) = (ClusterOperation.reading(name), ClusterOperation.changing(name))
        let operation: ClusterOperation? =
            switch method {
            case "GET", "HEAD": read
            case "POST": change
            default: nil
            }
        if let operation { return operation }
        let allow = (read == nil ? [] : ["GET", "HEAD"]) + (change == nil ? [] : ["POST"])
        throw allow.isEmpty ? nothing : notAllowed(method, allow)
    }

    private static func readOnly(_ route: HTTPRoute, _ method: String) throws(Refusal) -> HTTPRoute {
        guard ["GET", "HEAD"].contains(method) else { throw notAllowed(method, ["GET", "HEAD"]) }
        return route
    }

    private static func notAllowed(_ method: String, _ allow: [String]) -> Refusal {
        Refusal(
            error: ActorError(
                "method_not_allowed", "this path does not take \(method.prefix(20))",
                group: "request",
                metadata: ["allow": allow.joined(separator: ", ")]),
            allow: allow)
    }

    /// `/actors/{kind}/{key…}` with its suffixes. The suffix is looked for from the right and by its literal
    /// letters: a key that ends like one is reached by escaping a letter of it (`%61ctions`).
    private static func actor(
        _ kindSegment: Substring, _ rest: ArraySlice<Substring>, _ method: String
    ) throws(Refusal) -> HTTPRoute {
        let count = rest.count
        if count >= 3, let place = Suffix(rawValue: String(rest[rest.endIndex - 2])) {
            guard method == "POST" else { throw notAllowed(method, ["POST"]) }
            let address = try address(kindSegment, rest.dropLast(2))
            guard let name = percentDecoded(rest[rest.endIndex - 1]), !name.isEmpty, name.utf8.count <= 256
            else {
                throw Refusal(error: .badRequest("the name at the end of the path is malformed"))
            }
            return .actor(address, place == .actions ? .action(name) : .queue(name))
        }
        if count >= 2, rest.last == "history" {
            guard ["GET", "HEAD"].contains(method) else { throw notAllowed(method, ["GET", "HEAD"]) }
            return .actor(try address(kindSegment, rest.dropLast()), .history)
        }
        let verb: Verb
        switch method {
        case "GET", "HEAD": verb = .describe
        case "PUT": verb = .getOrCreate
        case "DELETE": verb = .destroy
        default: throw notAllowed(method, ["GET", "HEAD", "PUT", "DELETE"])
        }
        return .actor(try address(kindSegment, rest), verb)
    }

    private enum Suffix: String { case actions, queues }

    private static func address(
        _ kindSegment: Substring, _ keySegments: ArraySlice<Substring>
    ) throws(Refusal) -> ActorAddress {
        guard let name = percentDecoded(kindSegment) else {
            throw Refusal(error: .badRequest("the kind in the path is not percent-encoded UTF-8"))
        }
        var parts: [String] = []
        for segment in keySegments {
            guard let part = percentDecoded(segment) else {
                throw Refusal(error: .badRequest("the key in the path is not percent-encoded UTF-8"))
            }
            parts.append(part)
        }
        do throws(AddressError) {
            return ActorAddress(kind: try ActorKind(name), key: try ActorKey(parts))
        } catch { throw Refusal(error: .badRequest(error.description)) }
    }

    /// `kind=`, `after=` (an address as it is in paths, its `/` escaped once more), `limit=`. `+` is itself.
    private static func listing(query: Substring) throws(Refusal) -> HTTPRoute {
        var kind: String?
        var after: ActorAddress?
        var limit = 100
        for pair in query.split(separator: "&") {
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let value = percentDecoded(sides.count > 1 ? sides[1] : "") else {
                throw Refusal(error: .badRequest("the query is not percent-encoded UTF-8"))
            }
            switch sides[0] {
            case "kind": kind = value
            case "after" where !value.isEmpty:
                guard let address = address(path: value) else {
                    throw Refusal(error: .validation("not an address: kind/key", field: "after"))
                }
                after = address
            case "limit":
                guard let number = Int(value), 1...listMax ~= number else {
                    throw Refusal(error: .validation("limit must be 1 to \(listMax)", field: "limit"))
                }
                limit = number
            default: continue
            }
        }
        return .list(kind: kind, after: after, limit: limit)
    }

    private static func address(path: String) -> ActorAddress? {
        let sides = path.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard sides.count == 2, let kind = try? ActorKind(String(sides[0])),
            let key = ActorKey(path: sides[1])
        else { return nil }
        return ActorAddress(kind: kind, key: key)
    }

    /// nil for a broken escape or bytes that are not UTF-8.
    static func percentDecoded(_ segment: Substring) -> String? {
        guard segment.utf8.contains(UInt8(ascii: "%")) else { return String(segment) }
        var bytes: [UInt8] = []
        var rest = segment.utf8.makeIterator()
        while let byte = rest.next() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.next().flatMap(hexValue), let low = rest.next().flatMap(hexValue) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}

extension ClusterOperation {
    fileprivate static func reading(_ name: Substring) -> ClusterOperation? {
        switch name {
        case "": .describe
        case "nodes": .nodes
        case "partitions": .partitions
        case "tokens": .tokens
        default: nil
        }
    }

    fileprivate static func changing(_ name: Substring) -> ClusterOperation? {
        switch name {
        case "init": .initialize
        case "join": .join
        case "tokens": .createToken
        case "admit": .admit
        case "down": .down
        case "promote": .promote
        case "move": .move
        case "drain": .drain
        case "leave": .leave
        default: nil
        }
    }
}
