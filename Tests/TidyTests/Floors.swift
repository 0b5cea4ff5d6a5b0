/// Which target stands on which floor, and what each floor may import (docs/decisions/0001-floors.md).
///
/// A new folder under `Sources` gets its line here.
enum Floors {
    static let table: [[String]] = [
        ["CSQLite", "CAllocator", "CChecksum", "CLibUV", "COpenSSL", "CCaptureVFS", "CInspectorPages"],
        ["Identifiers", "ByteCoding", "TimeAndChance"],
        [
            "WorkflowCore", "MailboxCore", "TimerCore", "SessionCore", "ClientProtocol", "ClientRouting",
            "MembershipCore",
            "ConsensusCore", "PlacementCore", "ControlCore", "ReplicationCore", "MeshProtocol",
        ],
        ["SQLiteDriver", "DurableFiles", "PartitionStore", "ConsensusStore", "MeshTransport", "Telemetry"],
        ["Apus"],
        [
            "ActorHost", "ClientGateway", "ClusterHost", "ClusterMembership", "HTTPCalls", "Inspector",
            "NodeAssembly",
        ],
        ["ApusClient"],
        [
            "ApusNode", "OperatorCommands", "ApusCommand", "LoadVerifier", "apus-load", "ChaosProbe",
            "apus-probe", "FaultProxy", "apus-proxy", "simulate",
            "Simulator",
            "ApusTesting",
        ],
    ]

    static func floor(of target: String) -> Int? { table.firstIndex { $0.contains(target) } }

    /// The floors that a floor may import, besides itself.
    static func importable(from floor: Int) -> Set<Int> {
        switch floor {
        case 2: [1]
        case 4: [1, 2]
        case 6: [1, 2, 4]
        default: Set(0..<floor)
        }
    }

    /// What a core must not touch: its inputs come as arguments, its outputs are values.
    static let modulesKeptFromCores = [
        "Foundation", "FoundationEssentials", "FoundationNetworking", "Logging", "Dispatch",
        "Synchronization",
        "Glibc", "Darwin", "Musl",
    ]
    static let wordsKeptFromCores = [
        "await", "Date(", "ContinuousClock", "SuspendingClock", "Task.sleep", "SystemRandomNumberGenerator",
    ]

    static func breaches(in source: SourceText) -> [Breach] {
        guard let target = source.target, source.isSwift else { return [] }
        guard let floor = floor(of: target) else {
            return [Breach(source, 0, "the target \(target) is not in the table of floors (Floors.swift)")]
        }
        var breaches: [Breach] = []
        for (line, module) in imports(of: source) {
            if let other = Self.floor(of: module), other != floor, !importable(from: floor).contains(other) {
                breaches.append(
                    Breach(source, line, "\(target) (floor \(floor)) imports \(module) (floor \(other))"))
            }
            if floor == 2, modulesKeptFromCores.contains(module) || module.hasPrefix("NIO") {
                breaches.append(Breach(source, line, "a core imports \(module)"))
            }
        }
        guard floor == 2 else { return breaches }
        for word in wordsKeptFromCores {
            breaches += source.codeLines(with: word).map { Breach(source, $0, "a core says \(word)") }
        }
        for line in source.codeLines(with: ".random(") where !source.codeContains("using:", line: line) {
            breaches.append(Breach(source, line, "a core uses the system's randomness"))
        }
        return breaches
    }

    /// The modules that a file imports, with their lines.
    static func imports(of source: SourceText) -> [(line: Int, module: String)] {
        source.codeLines(with: "import").compactMap { line in
            var words = String(decoding: source.code[line], as: UTF8.self).split(separator: " ")[...]
            while let word = words.first, word != "import" {
                let access = ["public", "package", "internal", "fileprivate", "private"]
                guard word.hasPrefix("@") || access.contains(String(word)) else { return nil }
                words = words.dropFirst()
            }
            words = words.dropFirst()
            let kinds = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
            if let kind = words.first, kinds.contains(String(kind)) { words = words.dropFirst() }
            return words.first?.split(separator: ".").first.map { (line, String($0)) }
        }
    }
}
