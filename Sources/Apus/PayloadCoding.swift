import ClientProtocol

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// How user values become bytes: JSON, so that people and tools can read what is stored.
package enum PayloadCoding {
    // Encoders and decoders keep their settings and nothing else; each call works on state of its own.
    // With sorted keys equal values have equal bytes; else their order changes from one encoding to the next,
    // and a turn that changes nothing would record the state all the same.
    private static let encoder = {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return encoder
    }()
    private static let decoder = JSONDecoder()

    /// - Throws: an `EncodingError` for a value that JSON cannot hold, such as NaN.
    package static func encode<Value: Encodable>(_ value: Value) throws -> [UInt8] {
        // The commonest results of steps take a way that is ten times shorter; the bytes are the same.
        switch value {
        case let number as Int: return Array(String(number).utf8)
        case let flag as Bool: return flag ? Array("true".utf8) : Array("false".utf8)
        case is NoOutput: return Payload.null.bytes
        case is NoInput: return Payload.null.bytes
        case let text as String where text.utf8.allSatisfy(isPlain):
            var bytes: [UInt8] = []
            bytes.reserveCapacity(text.utf8.count + 2)
            bytes.append(UInt8(ascii: "\""))
            bytes.append(contentsOf: text.utf8)
            bytes.append(UInt8(ascii: "\""))
            return bytes
        default: return Array(try encoder.encode(value))
        }
    }

    package static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
        if type == Int.self, let number = plainInt(bytes), let value = number as? Value { return value }
        if type == NoInput.self, let value = NoInput() as? Value { return value }
        if type == NoOutput.self, let value = NoOutput() as? Value { return value }
        if type == Bool.self, bytes.count <= 5 {
            if bytes == Array("true".utf8), let value = true as? Value { return value }
            if bytes == Array("false".utf8), let value = false as? Value { return value }
        }
        if type == String.self, bytes.count >= 2, bytes.first == UInt8(ascii: "\""),
            bytes.last == UInt8(ascii: "\""),
            bytes[1..<bytes.count - 1].allSatisfy(isPlain),
            let value = String(decoding: bytes[1..<bytes.count - 1], as: UTF8.self) as? Value
        {
            return value
        }
        return try decoder.decode(type, from: Data(bytes))
    }

    /// Decodes what a client sent. A mismatch becomes `actor.validation_error` and names the field (A15).
    package static func decodeInput<Value: Decodable>(
        _ type: Value.Type, from bytes: [UInt8]
    ) throws(ActorError) -> Value {
        do { return try decode(type, from: bytes) } catch let error as DecodingError {
            throw validation(error)
        } catch { throw .validation("the value cannot be read", field: "") }
    }

    private static func validation(_ error: DecodingError) -> ActorError {
        func field(_ path: [any CodingKey], _ last: String? = nil) -> String {
            (path.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue } + (last.map { [$0] } ?? []))
                .joined(separator: ".")
        }
        switch error {
        case .keyNotFound(let key, let context):
            let name = field(context.codingPath, key.stringValue)
            return .validation("the field \"\(name)\" is missing", field: name)
        case .typeMismatch(let type, let context):
            let name = field(context.codingPath)
            return .validation("\(place(name)) is not a \(type)", field: name)
        case .valueNotFound(let type, let context):
            let name = field(context.codingPath)
            return .validation("\(place(name)) is null, a \(type) is needed", field: name)
        case .dataCorrupted(let context):
            let name = field(context.codingPath)
            return .validation("\(place(name)) cannot be read: \(context.debugDescription)", field: name)
        @unknown default:
            return .validation("the value cannot be read", field: "")
        }
    }

    private static func place(_ field: String) -> String {
        field.isEmpty ? "the value" : "the field \"\(field)\""
    }

    /// Characters that JSON writes as they are.
    private static func isPlain(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
            && byte != UInt8(ascii: "/")
    }

    private static func plainInt(_ bytes: [UInt8]) -> Int? {
        guard let first = bytes.first, bytes.count <= 18 else { return nil }
        let digits = first == UInt8(ascii: "-") ? bytes[1...] : bytes[...]
        guard let lead = digits.first, lead != UInt8(ascii: "0") || digits.count == 1 else { return nil }
        var value = 0
        for digit in digits {
            guard digit >= 0x30, digit <= 0x39 else { return nil }
            value = value * 10 + Int(digit - 0x30)
        }
        return first == UInt8(ascii: "-") ? -value : value
    }
}
