import Foundation
import ReplicationCore
import Testing

@Suite("Replicas under random schedules") struct ReplicaWalks {
    /// `APUS_REPLICA_SEED=n` runs that seed alone and shows what happened.
    static let only = ProcessInfo.processInfo.environment["APUS_REPLICA_SEED"].flatMap { UInt64($0) }
    static let count = ProcessInfo.processInfo.environment["APUS_REPLICA_SEEDS"].flatMap { UInt64($0) } ?? 400

    @Test func noAcknowledgedRecordIsLost() throws {
        var commits = 0
        var settings = WorldSettings()
        settings.traces = Self.only != nil
        for seed in Self.only.map({ $0..<$0 + 1 }) ?? 0..<Self.count {
            commits += try ReplicaWorld.run(seed: seed, settings: settings).commits
        }
        if Self.only == nil { #expect(commits > Int(Self.count)) }
    }
}

/// Each rule taken away must show, or nobody would notice if the code lost it. R5, R9, R12 and R18 guard
/// against schedules that random walks hardly ever find; the search of `ProtocolModelTests` does.
@Suite("Replicas without one of their rules") struct ReplicaMutants {
    struct Mutant: CustomTestStringConvertible, Sendable {
        var name: String
        var without: ReplicationRules = []
        var seeds: UInt64 = 2_000
        var checksRequests = true
        var promotesAnybody = false
        var promotesAlone = false
        var testDescription: String { name }
    }

    static let mutants = [
        Mutant(name: "R1", without: .allInSyncCommit), Mutant(name: "R2", without: .shrinkByControlPlane),
        Mutant(name: "R3", without: .maximalInSync), Mutant(name: "R4", promotesAnybody: true),
        Mutant(name: "R6", without: .acknowledgeSynced), Mutant(name: "R7", without: .truncateByMatch),
        // An owner that asks first would hear of what is missing.
        Mutant(name: "R8", without: .asksBeforeItBegins, checksRequests: false),
        Mutant(name: "R10", without: .flushBeforeVouching),
        Mutant(name: "R11", without: .grantNamesStore), Mutant(name: "R17", without: .outputGate),
        Mutant(name: "R19", promotesAlone: true),
    ]

    @Test(arguments: mutants) func isCaught(_ mutant: Mutant) {
        var settings = WorldSettings()
        settings.checksRequests = mutant.checksRequests
        settings.promotesAnybody = mutant.promotesAnybody
        settings.promotesAlone = mutant.promotesAlone
        let rules = ReplicationRules.all.subtracting(mutant.without)
        let caught = (0..<mutant.seeds).first { seed in
            (try? ReplicaWorld.run(seed: seed, rules: rules, settings: settings)) == nil
        }
        #expect(caught != nil, "nothing shows that \(mutant.name) is missing")
    }
}
