// swift-tools-version: 6.2
import PackageDescription

/// Every target of the house compiles with the same settings; see CONTRIBUTING.md.
let house: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

let package = Package(
    name: "apus",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "Identifiers", targets: ["Identifiers"]),
        .library(name: "ApusClient", targets: ["ApusClient"]),
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

        // Floor 1: vocabulary
        .target(name: "Identifiers", swiftSettings: house),
        .target(name: "ByteCoding", dependencies: ["Identifiers"], swiftSettings: house),
        .target(name: "TimeAndChance", swiftSettings: house),

        // Floor 2: cores
        .target(
            name: "ClientProtocol", dependencies: ["Identifiers"], exclude: ["README.md"], swiftSettings: house),
        .target(
            name: "SessionCore", dependencies: ["ClientProtocol", "Identifiers"], exclude: ["README.md"],
            swiftSettings: house),

        // Floor 5: hosting
        .target(
            name: "ClientGateway",
            dependencies: [
                "ClientProtocol", "SessionCore", "Identifiers",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            exclude: ["README.md"],
            swiftSettings: house),

        // Floor 6: clients
        .target(
            name: "ApusClient",
            dependencies: [
                "ClientProtocol", "Identifiers",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            exclude: ["README.md"],
            swiftSettings: house),

        // Tests
        .target(
            name: "FakeActors", dependencies: ["ClientProtocol", "Identifiers"], path: "Tests/FakeActors",
            swiftSettings: house),
        .testTarget(
            name: "ApusClientTests",
            dependencies: [
                "ApusClient", "ClientGateway", "ClientProtocol", "Identifiers", "FakeActors",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: house),
        .testTarget(
            name: "ClientGatewayTests",
            dependencies: [
                "ClientGateway", "SessionCore", "ClientProtocol", "Identifiers", "FakeActors",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: house),
        .testTarget(name: "IdentifiersTests", dependencies: ["Identifiers"], swiftSettings: house),
        .testTarget(name: "ByteCodingTests", dependencies: ["ByteCoding", "Identifiers"], swiftSettings: house),
        .testTarget(name: "TimeAndChanceTests", dependencies: ["TimeAndChance"], swiftSettings: house),
        .testTarget(
            name: "ClientProtocolTests", dependencies: ["ClientProtocol", "Identifiers"], swiftSettings: house),
        .testTarget(
            name: "SessionCoreTests", dependencies: ["SessionCore", "ClientProtocol", "Identifiers"],
            swiftSettings: house),
    ],
    swiftLanguageModes: [.v6]
)
