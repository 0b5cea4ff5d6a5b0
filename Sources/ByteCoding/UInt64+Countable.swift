extension UInt64 {
    /// The number, if something may count on from it.
    ///
    /// Sequences, positions and attempts are read to be continued. Nothing counts to 2^62 in its life, so a
    /// larger one is damage, and is refused here instead of overflowing where it is continued.
    public func countable(_ what: String) throws(WireError) -> UInt64 {
        let limit: UInt64 = 1 << 62
        guard self <= limit else { throw .tooLarge(what: what, value: self, limit: limit) }
        return self
    }
}
