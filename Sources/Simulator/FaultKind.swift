/// What can go wrong.
enum FaultKind: String, CaseIterable {
    case crash, wipe, image, rollback, pause, cut, reset, slowDisk, falseAlarm, election, trim, setBack
    case leave, drain, clockJump

    func meanMicros(_ rates: FaultRates) -> UInt64 {
        switch self {
        case .crash: rates.crash
        case .wipe: rates.wipe
        case .image: rates.image
        case .rollback: rates.rollback
        case .pause: rates.pause
        case .cut: rates.cut
        case .reset: rates.reset
        case .slowDisk: rates.slowDisk
        case .falseAlarm: rates.falseAlarm
        case .election: rates.election
        case .trim: rates.trim
        case .setBack: rates.setBack
        case .leave: rates.leave
        case .drain: rates.drain
        case .clockJump: rates.clockJump
        }
    }
}
