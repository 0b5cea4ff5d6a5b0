/// Something that a script lets happen at its moment, besides the faults that happen at random or in place of
/// them: situations that have a name are played one by one.
public struct ScriptedEvent: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        /// Nothing that these machines send reaches those.
        case cut(from: [Int], to: [Int])
        /// Every cut is over. Connections through it are made anew.
        case healNetwork
        /// The processes end at this moment, as when the power fails; disks keep what they synced.
        case stop([Int])
        /// They start at the same moment.
        case start([Int])
        /// Journals forget what is in the tables.
        case trim([Int])
        /// Somebody orders each of these to found a cluster, at the same moment; one that is named twice
        /// is ordered twice.
        case initialize([Int])
        /// The machine asks the other one to be let into its cluster.
        case join(Int, at: Int)
        /// The process ends, and everything that was on the disk is removed.
        case clear(Int)
    }

    public var atMicros: UInt64
    public var kind: Kind

    public init(_ kind: Kind, atMicros: UInt64) {
        self.kind = kind
        self.atMicros = atMicros
    }
}

extension FaultRates {
    /// Nothing happens at random.
    public static let none = FaultRates(every: 0)

    private init(every micros: UInt64) {
        self.init()
        (crash, wipe, image, rollback, pause, cut, reset) = (
            micros, micros, micros, micros, micros, micros, micros
        )
        (slowDisk, falseAlarm, election, trim, setBack) = (micros, micros, micros, micros, micros)
        (leave, drain) = (micros, micros)
    }
}

extension Simulation {
    func happen(_ kind: ScriptedEvent.Kind) throws {
        note("script: \(kind)")
        switch kind {
        case .cut(let from, let to):
            for one in from {
                for other in to where other != one { network.cut(one, other) }
            }
        case .healNetwork: healNetwork()
        case .stop(let indices): for index in indices { stop(index, "it is stopped") }
        case .start(let indices):
            for index in indices where machines[index].process == nil { try start(index) }
        case .trim(let indices): for index in indices { trim(index) }
        case .initialize(let indices): for index in indices { try initialize(index) }
        case .join(let index, let member): try join(index, at: member)
        case .clear(let index): clear(index)
        }
    }
}
