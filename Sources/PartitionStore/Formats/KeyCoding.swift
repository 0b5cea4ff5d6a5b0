import Identifiers

/// The form of an actor's key in the tables, whose byte order is the order of `ActorKey`.
///
/// Each part's UTF-8 with 0x00 written as 0x00 0xFF, then 0x00. (The tuple layer of FoundationDB does the
/// same.)
package enum KeyCoding {
    package static func encode(_ key: ActorKey) -> [UInt8] {
        var bytes: [UInt8] = []
        for part in key.parts {
            for byte in part.utf8 {
                bytes.append(byte)
                if byte == 0 { bytes.append(0xFF) }
            }
            bytes.append(0)
        }
        return bytes
    }

    /// Reads `encode`'s bytes back; nil for anything else.
    package static func decode(_ bytes: [UInt8]) -> ActorKey? {
        var parts: [String] = []
        var part: [UInt8] = []
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            if byte != 0 {
                part.append(byte)
            } else if index < bytes.count, bytes[index] == 0xFF {
                part.append(0)
                index += 1
            } else {
                guard let text = String(validating: part, as: UTF8.self) else { return nil }
                parts.append(text)
                part.removeAll(keepingCapacity: true)
            }
        }
        guard part.isEmpty else { return nil }
        return try? ActorKey(parts)
    }
}
