// swift-tools-version: 6.2
import PackageDescription

/// Every target of the house compiles with the same settings; see CONTRIBUTING.md.
let house: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

/// What speaks HTTP and WebSocket.
let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
    .product(name: "NIOWebSocket", package: "swift-nio"),
]
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let heap: Target.Dependency = .product(name: "HeapModule", package: "swift-collections")

let package = Package(
    name: "apus",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "Apus", targets: ["Apus"]),
        .library(name: "ApusNode", targets: ["ApusNode"]),
        .library(name: "ApusClient", targets: ["ApusClient"]),
        .executable(name: "apus", targets: ["ApusCommand"]),
        .executable(name: "apus-load", targets: ["apus-load"]),
        .executable(name: "demo", targets: ["Demo"]),
        // For Benchmarks/, a package of its own; not an interface for anybody else.
        .library(
            name: "ApusInternals",
            targets: [
                "NodeAssembly", "ActorHost", "SQLiteDriver", "ClientProtocol", "Identifiers", "MeshProtocol",
                "MeshTransport", "TimeAndChance",
            ]),
        .executable(name: "announced", targets: ["Announced"]),
        .executable(name: "outside-world", targets: ["OutsideWorld"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    ],
    targets: [
        // Floor 0: system
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CLibUV", pkgConfig: "libuv", providers: [.apt(["libuv1-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .target(name: "CAllocator"),
        .target(name: "CChecksum"),

        // Floor 1: vocabulary
        .target(name: "Identifiers", swiftSettings: house),
        .target(name: "ByteCoding", dependencies: ["CChecksum", "Identifiers"], swiftSettings: house),
        .target(name: "TimeAndChance", swiftSettings: house),

        // Floor 2: cores
        .target(
            name: "ClientProtocol", dependencies: ["Identifiers"], exclude: ["README.md"],
            swiftSettings: house),
        .target(
            name: "ClientRouting", dependencies: ["ClientProtocol", "Identifiers", "TimeAndChance"],
            exclude: ["README.md"], swiftSettings: house),
        .target(
            name: "SessionCore", dependencies: ["ClientProtocol", "Identifiers"], exclude: ["README.md"],
            swiftSettings: house),
        .target(name: "WorkflowCore", dependencies: ["ByteCoding"], swiftSettings: house),
        .target(
            name: "MailboxCore", dependencies: ["ByteCoding", "Identifiers", deque], swiftSettings: house),
        .target(name: "TimerCore", dependencies: [heap], swiftSettings: house),
        .target(
            name: "ReplicationCore", dependencies: ["ByteCoding", "Identifiers", deque],
            exclude: ["README.md"], swiftSettings: house),
        .target(
            name: "PlacementCore", dependencies: ["Identifiers", "ByteCoding", "TimeAndChance"],
            exclude: ["README.md"], swiftSettings: house),
        .target(
            name: "ConsensusCore", dependencies: ["ByteCoding", "Identifiers", "TimeAndChance"],
            exclude: ["README.md"], swiftSettings: house),

        .target(
            name: "ControlCore",
            dependencies: [
                "ConsensusCore", "PlacementCore", "ClientProtocol", "ByteCoding", "Identifiers",
                "TimeAndChance",
            ],
            exclude: ["README.md"], swiftSettings: house),

        .target(
            name: "MembershipCore", dependencies: ["ByteCoding", "Identifiers", "TimeAndChance"],
            exclude: ["README.md"], swiftSettings: house),
        .target(
            name: "MeshProtocol", dependencies: ["ByteCoding", "Identifiers"], exclude: ["README.md"],
            swiftSettings: house),

        // Floor 3: drivers
        .target(
            name: "SQLiteDriver", dependencies: ["CSQLite"], exclude: ["README.md"], swiftSettings: house),
        .target(name: "DurableFiles", exclude: ["README.md"], swiftSettings: house),
        .target(
            name: "PartitionStore",
            dependencies: [
                "SQLiteDriver", "DurableFiles", "ReplicationCore", "ByteCoding", "Identifiers", "CAllocator",
                deque,
            ],
            exclude: ["README.md"], swiftSettings: house),
        .target(
            name: "ConsensusStore",
            dependencies: ["SQLiteDriver", "DurableFiles", "ConsensusCore", "ByteCoding", "Identifiers"],
            exclude: ["README.md"], swiftSettings: house),

        .target(
            name: "MeshTransport",
            dependencies: [
                "CLibUV", "COpenSSL", "MeshProtocol", "ByteCoding", "Identifiers", "TimeAndChance",
            ], exclude: ["README.md"], swiftSettings: house),

        // Floor 4: authoring
        .target(
            name: "Apus",
            dependencies: ["Identifiers", "ByteCoding", "TimeAndChance", "WorkflowCore", "ClientProtocol"],
            swiftSettings: house),

        // Floor 5: hosting
        .target(
            name: "ActorHost",
            dependencies: [
                "Apus", "Identifiers", "ByteCoding", "TimeAndChance", "WorkflowCore", "MailboxCore",
                "TimerCore",
                "ClientProtocol", "PartitionStore", "CAllocator", deque, logging,
            ],
            swiftSettings: house),
        .target(
            name: "ClientGateway",
            dependencies: ["ClientProtocol", "SessionCore", "Identifiers", logging] + nio,
            exclude: ["README.md"],
            swiftSettings: house),
        .target(
            name: "ClusterMembership",
            dependencies: [
                "MeshTransport", "MeshProtocol", "PlacementCore", "ConsensusCore", "ConsensusStore",
                "PartitionStore", "DurableFiles", "ClientProtocol", "MembershipCore", "ByteCoding",
                "Identifiers", "TimeAndChance",
            ], exclude: ["README.md"], swiftSettings: house),
        .target(
            name: "ClusterHost",
            dependencies: [
                "ActorHost", "ConsensusCore", "ConsensusStore", "ControlCore", "PlacementCore",
                "ReplicationCore", "PartitionStore", "MeshProtocol", "MeshTransport", "ClusterMembership",
                "ClientProtocol", "MailboxCore", "MembershipCore", "ByteCoding", "Identifiers",
                "TimeAndChance", logging, deque,
            ], exclude: ["README.md"], swiftSettings: house),
        .target(
            name: "HTTPCalls", dependencies: nio, exclude: ["README.md"], swiftSettings: house),
        .target(
            name: "NodeAssembly",
            dependencies: [
                "ActorHost", "Apus", "ClientGateway", "ClientProtocol", "ClusterHost", "ClusterMembership",
                "HTTPCalls", "MembershipCore", "MeshProtocol",
                "PartitionStore", "PlacementCore", "Identifiers", logging,
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: house),

        // Floor 6: clients
        .target(
            name: "ApusClient",
            dependencies: [
                "Apus", "ClientProtocol", "ClientRouting", "Identifiers", "TimeAndChance", logging,
            ]
                + nio,
            exclude: ["README.md"],
            swiftSettings: house),

        // Floor 7: programs
        .target(
            name: "ApusNode",
            dependencies: [
                "ActorHost", "Apus", "ClusterMembership", "MeshProtocol", "NodeAssembly", logging, arguments,
            ],
            swiftSettings: house),

        .target(
            name: "OperatorCommands",
            dependencies: [
                "HTTPCalls", "ClientProtocol", "Identifiers", arguments,
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ], exclude: ["README.md"], swiftSettings: house),
        .executableTarget(
            name: "ApusCommand", dependencies: ["OperatorCommands", arguments], swiftSettings: house),
        .target(
            name: "LoadVerifier",
            dependencies: [
                "ApusClient", "OperatorCommands", "HTTPCalls", "ClientProtocol", "Identifiers",
                "TimeAndChance", arguments, .product(name: "NIOHTTP1", package: "swift-nio"),
            ], exclude: ["README.md"], swiftSettings: house),
        .executableTarget(
            name: "apus-load", dependencies: ["LoadVerifier", arguments], swiftSettings: house),
        .target(
            name: "ChaosProbe",
            dependencies: [
                "OperatorCommands", "HTTPCalls", "ClientProtocol", "Linearizability", "TimeAndChance",
                arguments,
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ], exclude: ["README.md"], swiftSettings: house),
        .executableTarget(
            name: "apus-probe", dependencies: ["ChaosProbe", arguments], swiftSettings: house),
        .target(
            name: "FaultProxy",
            dependencies: [
                "CLibUV", "MeshProtocol", "MeshTransport", "TimeAndChance", arguments, deque,
            ], exclude: ["README.md"], swiftSettings: house),
        .executableTarget(
            name: "apus-proxy", dependencies: ["FaultProxy", arguments], swiftSettings: house),

        // The cluster in one process, in virtual time
        .target(
            name: "Simulator",
            dependencies: [
                "ActorHost", "Apus", "ByteCoding", "ClientProtocol", "ClientRouting", "ConsensusCore",
                "ControlCore",
                "SessionCore", "FaultyDisk", "Identifiers", "MailboxCore", "MembershipCore", "MeshProtocol",
                "PartitionStore", "PlacementCore", "ReplicationCore", "TimeAndChance", "WorkflowCore", heap,
                logging,
            ], exclude: ["README.md"], swiftSettings: house),
        .executableTarget(
            name: "simulate", dependencies: ["Simulator", arguments], swiftSettings: house),

        // Examples
        .target(name: "AnnouncedPrograms", dependencies: ["Apus"], path: "Examples/AnnouncedPrograms"),
        .executableTarget(
            name: "Announced", dependencies: ["AnnouncedPrograms", "ApusNode"], path: "Examples/Announced"),
        .target(
            name: "OutsideWorldServer", dependencies: ["Identifiers"] + nio,
            path: "Examples/OutsideWorldServer", swiftSettings: house),
        .executableTarget(
            name: "OutsideWorld", dependencies: ["OutsideWorldServer", arguments],
            path: "Examples/OutsideWorld", exclude: ["README.md"], swiftSettings: house),
        // Not dependencies, but siblings that the demo starts: see the goal `run` of the Makefile.
        .executableTarget(
            name: "Demo",
            dependencies: [
                "OperatorCommands", "HTTPCalls", .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            path: "Examples/Demo", exclude: ["README.md"], swiftSettings: house),

        // Tests
        .target(
            name: "FuzzTargets",
            dependencies: [
                "Identifiers", "ByteCoding", "TimeAndChance", "WorkflowCore", "ClientProtocol", "SessionCore",
                "MailboxCore", "PartitionStore", "ActorHost", "ClientGateway", "OperatorCommands",
                "ReplicationCore", "PlacementCore", "ConsensusCore", "ControlCore", "ConsensusStore",
                "MembershipCore", "MeshProtocol", "MeshTransport", "ClusterMembership", "ClusterHost",
            ], path: "Tests/Fuzz/FuzzTargets", swiftSettings: house),
        .target(
            name: "FakeActors", dependencies: ["ClientProtocol", "Identifiers"], path: "Tests/FakeActors",
            swiftSettings: house),
        .target(
            name: "WorkflowTrials",
            dependencies: [
                "Apus", "ActorHost", "PartitionStore", "ByteCoding", "Identifiers", "ClientProtocol",
                "TimeAndChance", "WorkflowCore", logging,
            ], path: "Tests/WorkflowTrials", swiftSettings: house),
        // A disk with faults under the real SQLite, for tests and the simulation.
        .target(name: "CFaultyDisk", dependencies: ["CSQLite"], path: "Tests/CFaultyDisk"),
        .target(
            name: "FaultyDisk", dependencies: ["CFaultyDisk", "DurableFiles"], path: "Tests/FaultyDisk",
            exclude: ["README.md"], swiftSettings: house),
        // Optimised in debug builds too: its tests visit millions of states. It is in no product, so the flag
        // keeps nobody from depending on this package.
        .target(
            name: "ProtocolModel", dependencies: ["TimeAndChance"], path: "Tests/ProtocolModel",
            exclude: ["README.md"], swiftSettings: house + [.unsafeFlags(["-O"])]),
        .target(
            name: "Linearizability", path: "Tests/Linearizability", exclude: ["README.md"],
            swiftSettings: house),
        .testTarget(
            name: "FuzzTests", dependencies: ["FuzzTargets", "TimeAndChance"], path: "Tests/Fuzz/FuzzTests",
            swiftSettings: house),
        .testTarget(name: "TidyTests", swiftSettings: house),
        .testTarget(name: "ProtocolModelTests", dependencies: ["ProtocolModel"], swiftSettings: house),
        .testTarget(
            name: "LinearizabilityTests", dependencies: ["Linearizability", "TimeAndChance"],
            swiftSettings: house),
        .testTarget(
            name: "WorkflowCoreTests", dependencies: ["WorkflowCore", "ByteCoding"], swiftSettings: house),
        .testTarget(
            name: "MailboxCoreTests",
            dependencies: ["MailboxCore", "ByteCoding", "Identifiers", "TimeAndChance"],
            swiftSettings: house),
        .testTarget(
            name: "ReplicationCoreTests",
            dependencies: ["ReplicationCore", "ByteCoding", "Identifiers", "TimeAndChance"],
            swiftSettings: house),
        .testTarget(
            name: "TimerCoreTests", dependencies: ["TimerCore", "TimeAndChance"], swiftSettings: house),
        .testTarget(
            name: "PlacementCoreTests",
            dependencies: ["PlacementCore", "Identifiers", "ByteCoding", "TimeAndChance"],
            swiftSettings: house),
        .testTarget(
            name: "ConsensusCoreTests",
            dependencies: ["ConsensusCore", "ByteCoding", "Identifiers", "TimeAndChance"],
            swiftSettings: house),
        .testTarget(
            name: "ControlCoreTests",
            dependencies: [
                "ControlCore", "ConsensusCore", "PlacementCore", "ByteCoding", "Identifiers", "TimeAndChance",
            ],
            swiftSettings: house),
        .testTarget(
            name: "MembershipCoreTests",
            dependencies: ["MembershipCore", "ByteCoding", "Identifiers"], swiftSettings: house),
        .testTarget(
            name: "SimulationTests", dependencies: ["Simulator", "Linearizability", "MembershipCore"],
            swiftSettings: house),
        .testTarget(
            name: "IdentifiersTests", dependencies: ["Identifiers", "TimeAndChance"], swiftSettings: house),
        .testTarget(
            name: "ByteCodingTests", dependencies: ["ByteCoding", "Identifiers", "TimeAndChance"],
            swiftSettings: house),
        .testTarget(name: "TimeAndChanceTests", dependencies: ["TimeAndChance"], swiftSettings: house),
        .testTarget(
            name: "ClientProtocolTests", dependencies: ["ClientProtocol", "Identifiers"], swiftSettings: house
        ),
        .testTarget(
            name: "SessionCoreTests", dependencies: ["SessionCore", "ClientProtocol", "Identifiers"],
            swiftSettings: house),
        .testTarget(name: "SQLiteDriverTests", dependencies: ["SQLiteDriver"], swiftSettings: house),
        .testTarget(
            name: "MeshProtocolTests",
            dependencies: ["MeshProtocol", "ByteCoding", "Identifiers", "TimeAndChance"],
            swiftSettings: house),
        .testTarget(
            name: "MeshTransportTests",
            dependencies: ["MeshTransport", "MeshProtocol", "CLibUV", "Identifiers", "TimeAndChance"],
            swiftSettings: house),
        .testTarget(
            name: "ClusterMembershipTests",
            dependencies: [
                "ClusterMembership", "MeshTransport", "MeshProtocol", "PlacementCore", "ConsensusCore",
                "ConsensusStore", "PartitionStore", "ClientProtocol", "MembershipCore", "ByteCoding",
                "Identifiers", "TimeAndChance",
            ], swiftSettings: house),
        .testTarget(
            name: "ClusterHostTests",
            dependencies: [
                "ClusterHost", "ClusterMembership", "ActorHost", "Apus", "ClientProtocol", "ControlCore",
                "ConsensusCore", "ConsensusStore", "PlacementCore", "ReplicationCore", "MailboxCore",
                "MembershipCore", "PartitionStore", "MeshProtocol", "MeshTransport", "ByteCoding",
                "Identifiers", "TimeAndChance", logging,
            ], swiftSettings: house),
        .testTarget(
            name: "PartitionStoreTests",
            dependencies: [
                "PartitionStore", "DurableFiles", "FaultyDisk", "ReplicationCore", "SQLiteDriver",
                "ByteCoding", "Identifiers", "TimeAndChance",
            ],
            swiftSettings: house),
        .testTarget(
            name: "ConsensusStoreTests",
            dependencies: [
                "ConsensusStore", "ConsensusCore", "FaultyDisk", "SQLiteDriver", "ByteCoding", "Identifiers",
                "TimeAndChance",
            ], swiftSettings: house),
        .testTarget(
            name: "ActorHostTests",
            dependencies: [
                "ActorHost", "Apus", "WorkflowTrials", "PartitionStore", "ByteCoding", "Identifiers",
                "ClientProtocol", "MailboxCore", "TimeAndChance", "WorkflowCore", logging,
            ], swiftSettings: house),
        .testTarget(
            name: "ClientGatewayTests",
            dependencies: [
                "ClientGateway", "SessionCore", "ClientProtocol", "Identifiers", "FakeActors", logging,
            ]
                + nio,
            swiftSettings: house),
        .testTarget(
            name: "ApusClientTests",
            dependencies: [
                "ApusClient", "ClientGateway", "ClientProtocol", "Identifiers", "FakeActors", logging,
            ]
                + nio,
            swiftSettings: house),
        .testTarget(
            name: "ClientRoutingTests", dependencies: ["ClientRouting", "ClientProtocol", "Identifiers"],
            swiftSettings: house),
        .testTarget(
            name: "OperatorTests",
            dependencies: ["OperatorCommands", "HTTPCalls", "Identifiers", "ClientProtocol", arguments],
            swiftSettings: house),
        .testTarget(
            name: "LoadVerifierTests",
            dependencies: [
                "LoadVerifier", "NodeAssembly", "AnnouncedPrograms", "OutsideWorldServer", "ClientGateway",
                "ClientProtocol", "FakeActors", "OperatorCommands", "Identifiers", logging, arguments,
            ], swiftSettings: house),
        .testTarget(
            name: "ChaosProbeTests",
            dependencies: [
                "ChaosProbe", "LoadVerifier", "Linearizability", "NodeAssembly", "Apus", "OperatorCommands",
                logging, arguments,
            ], swiftSettings: house),
        .testTarget(
            name: "FaultProxyTests",
            dependencies: ["FaultProxy", "MeshTransport", "MeshProtocol", "TimeAndChance"],
            swiftSettings: house),
        .testTarget(
            name: "ReadmeTests", dependencies: ["Apus", "ApusNode", "ApusClient"], swiftSettings: house),
        .testTarget(
            name: "NodeTests",
            dependencies: [
                "NodeAssembly", "ActorHost", "Apus", "ApusClient", "PartitionStore", "ClientProtocol",
                "Identifiers", "MeshProtocol", "PlacementCore", logging,
            ],
            swiftSettings: house),
        .testTarget(name: "OutsideWorldTests", dependencies: ["OutsideWorldServer"], swiftSettings: house),
        // Runs the programs themselves, so they are built with it.
        .testTarget(
            name: "ProcessTests",
            dependencies: [
                "Announced", "OutsideWorld", "FaultProxy", "TimeAndChance", "Linearizability",
                "ClusterMembership",
                "MeshTransport",
                "MeshProtocol", "Identifiers", "PartitionStore", "PlacementCore", "ApusClient",
                "ClientProtocol", "LoadVerifier", "OperatorCommands",
            ] + nio,
            swiftSettings: house),
    ],
    swiftLanguageModes: [.v6]
)
