import ClientProtocol
import Identifiers

/// A page of actors as a host lists them: `{"actors": [...], "more": ...}`, in the order of their addresses.
struct ActorPage {
    var actors: [(address: ActorAddress, description: Payload)] = []
    var hasMore = false

    init() {}

    /// - Throws: for what no host writes.
    init(_ document: Payload) throws {
        let bytes = document.bytes
        let members = try JSONSlice.members(of: bytes.span)
        guard let list = members["actors"], let more = members["more"]?.boolean(in: bytes.span) else {
            throw ActorError.internalError
        }
        hasMore = more
        for place in try JSONScanner.elements(bytes.span, in: list.place) {
            let description = JSONSlice(place: place).payload(in: bytes.span)
            actors.append((try Self.address(description), description))
        }
    }

    private static func address(_ description: Payload) throws -> ActorAddress {
        let bytes = description.bytes
        let members = try JSONSlice.members(of: bytes.span)
        guard let kind = members["kind"]?.string(in: bytes.span),
            let key = members["key"]?.strings(in: bytes.span)
        else { throw ActorError.internalError }
        return ActorAddress(kind: try ActorKind(kind), key: try ActorKey(key))
    }

    /// The first actors of several pages that have no actor in common.
    init(merging pages: [ActorPage], limit: Int) {
        let all = pages.flatMap(\.actors).sorted { $0.address < $1.address }
        actors = Array(all.prefix(limit))
        hasMore = all.count > limit || pages.contains { $0.hasMore }
    }

    var document: Payload {
        var json = JSONText()
        json.object { json in
            json.member("actors") { json in
                json.array { json in
                    for actor in actors { json.element { $0.raw(actor.description.bytes) } }
                }
            }
            json.member("more") { $0.raw(hasMore ? "true" : "false") }
        }
        return Payload(json.bytes)
    }
}
