/// What can go wrong.
enum FaultKind: String, CaseIterable {
    case crash, wipe, rollback, pause, cut, slowDisk, falseAlarm, trim, image

    func meanMicros(_ rates: FaultRates) -> UInt64 {
        switch self {
        case .crash: rates.crash
        case .wipe: rates.wipe
        case .rollback: rates.rollback
        case .pause: rates.pause
        case .cut: rates.cut
        case .slowDisk: rates.slowDisk
        case .falseAlarm: rates.falseAlarm
        case .trim: rates.trim
        case .image: rates.rollback == 0 ? 0 : 3_000_000
        }
    }
}
