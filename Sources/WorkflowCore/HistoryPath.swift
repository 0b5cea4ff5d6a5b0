import ByteCoding

/// One part of an operation's path: the name of an operation or scope, or the number of a loop's iteration.
public enum PathComponent: Hashable, Sendable, CustomStringConvertible {
    case name(String)
    case iteration(UInt64)

    public var description: String {
        switch self {
        case .name(let name): name
        case .iteration(let number): "#\(number)"
        }
    }
}

/// Where an operation stands in its run: the names of the scopes around it, loop iterations, its own name
/// (W1).
public struct HistoryPath: Hashable, Sendable, CustomStringConvertible {
    /// Scopes inside of scopes, at the most.
    public static let depthMax = 64
    /// Bytes of one operation's name, at the most.
    public static let nameBytesMax = 256

    public var components: [PathComponent]
    public init(_ components: [PathComponent]) { self.components = components }

    public var description: String { components.map(\.description).joined(separator: "/") }

    func write(to writer: inout ByteWriter) {
        writer.varint(components.count)
        for component in components {
            switch component {
            case .name(let name):
                writer.byte(0)
                writer.string(name)
            case .iteration(let number):
                writer.byte(1)
                writer.varint(number)
            }
        }
    }

    static func read(_ reader: inout ByteReader) throws(WireError) -> HistoryPath {
        let count = try reader.count("path", limit: depthMax)
        var components: [PathComponent] = []
        components.reserveCapacity(count)
        for _ in 0..<count {
            switch try reader.byte() {
            case 0: components.append(.name(try reader.string()))
            case 1: components.append(.iteration(try reader.varint()))
            case let tag: throw .unknown(what: "path component", value: UInt64(tag))
            }
        }
        return HistoryPath(components)
    }
}
