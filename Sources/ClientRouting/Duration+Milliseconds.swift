extension Duration {
    /// Without the rest; 0 for what is negative.
    package var wholeMilliseconds: UInt64 {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000)
        return overflow ? UInt64(Int64.max) : UInt64(clamping: whole + attoseconds / 1_000_000_000_000_000)
    }
}
