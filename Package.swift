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
        .target(name: "ClientProtocol", dependencies: ["Identifiers"], swiftSettings: house),

        // Floor 3: drivers
        .target(
            name: "SQLiteDriver", dependencies: ["CSQLite"], exclude: ["README.md"], swiftSettings: house),
        .target(
            name: "PartitionStore", dependencies: ["SQLiteDriver", "ByteCoding", "Identifiers"],
            exclude: ["README.md"], swiftSettings: house),

        // Tests
        .testTarget(name: "IdentifiersTests", dependencies: ["Identifiers"], swiftSettings: house),
        .testTarget(name: "ByteCodingTests", dependencies: ["ByteCoding", "Identifiers"], swiftSettings: house),
        .testTarget(name: "TimeAndChanceTests", dependencies: ["TimeAndChance"], swiftSettings: house),
        .testTarget(name: "SQLiteDriverTests", dependencies: ["SQLiteDriver"], swiftSettings: house),
        .testTarget(
            name: "PartitionStoreTests",
            dependencies: ["PartitionStore", "SQLiteDriver", "ByteCoding", "Identifiers", "TimeAndChance"],
            swiftSettings: house),
    ],
    swiftLanguageModes: [.v6]
)
