/// How long a suspect has to object: the less, the more nodes found it silent themselves.
///
/// Begins at the longest time and falls with the logarithm of the confirmations to the shortest, so a node
/// with a bad connection of its own convinces nobody soon (Lifeguard, 4.2: "LHA-Suspicion").
struct Suspicion: Hashable, Sendable {
    /// When it began; moved on by as much as this process itself stood still.
    var start: Duration
    let shortest: Duration
    let longest: Duration
    /// Confirmations that make it the shortest.
    let confirmationsWanted: Int
    private(set) var confirmations = 0
    /// When this node has asked the suspect itself, which it does before it believes.
    var asked: Duration?

    init(start: Duration, clusterSize: Int, settings: SwimSettings) {
        self.start = start
        let factor = Double(settings.suspicionMultiplier) * max(1, Logarithm.decimal(clusterSize))
        shortest = settings.probePeriod * factor
        // Besides the suspect and the first accuser there must be so many, or nobody could confirm.
        let wanted = settings.suspicionMultiplier - 2
        confirmationsWanted = clusterSize - 2 < wanted ? 0 : wanted
        longest = shortest * Double(settings.suspicionMaxFactor)
    }

    var deadline: Duration {
        guard confirmationsWanted > 0, confirmations < confirmationsWanted else { return start + shortest }
        let share = Logarithm.binary(confirmations + 1) / Logarithm.binary(confirmationsWanted + 1)
        return start + longest - (longest - shortest) * share
    }

    mutating func confirm() { confirmations += 1 }
}

/// Logarithms of small counts, the same on every machine.
enum Logarithm {
    /// To base 2, to 20 binary digits. The count is at least 1.
    static func binary(_ count: Int) -> Double {
        let value = Double(max(1, count))
        var (result, rest, digit) = (Double(value.exponent), value.significand, 0.5)
        // Squaring doubles the logarithm, so its next digit shows in whether the square is two or more.
        for _ in 0..<20 {
            rest *= rest
            if rest >= 2 {
                rest /= 2
                result += digit
            }
            digit /= 2
        }
        return result
    }

    static func decimal(_ count: Int) -> Double { binary(count) * 0.301_029_995_663_981_2 }
}
