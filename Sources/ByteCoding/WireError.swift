/// Why bytes are not what they claim to be. Decoding never traps and never reads past the end.
public enum WireError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The bytes end inside a value.
    case truncated
    /// A length or a count is larger than allowed or than what is left.
    case tooLong(what: String, count: UInt64, limit: UInt64)
    /// A number that is to be continued is larger than anything that was ever counted.
    case tooLarge(what: String, value: UInt64, limit: UInt64)
    /// A variable-length integer has more than 64 bits.
    case integerOverflow
    /// Text that is not UTF-8.
    case notUTF8
    /// A tag, kind or flag without a meaning in this version.
    case unknown(what: String, value: UInt64)
    /// The record was written by a newer version of this program.
    case version(what: String, found: UInt64, newest: UInt64)
    /// The checksum does not fit the bytes: they were damaged.
    case checksum(what: String)
    /// Bytes are left over after the value.
    case trailing(count: Int)
    /// A value outside of its rules, such as a key with nine parts.
    case invalid(String)

    public var description: String {
        switch self {
        case .truncated: "the bytes end inside a value"
        case .tooLong(let what, let count, let limit): "\(what) is \(count) long, the limit is \(limit)"
        case .tooLarge(let what, let value, let limit): "\(what) is \(value), the limit is \(limit)"
        case .integerOverflow: "an integer has more than 64 bits"
        case .notUTF8: "text is not UTF-8"
        case .unknown(let what, let value): "\(what) \(value) is unknown"
        case .version(let what, let found, let newest):
            "\(what) has version \(found), this program reads up to \(newest)"
        case .checksum(let what): "the checksum of \(what) does not fit: the bytes are damaged"
        case .trailing(let count): "\(count) bytes are left over"
        case .invalid(let reason): reason
        }
    }
}
