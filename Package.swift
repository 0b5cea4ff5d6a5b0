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

        // Floor 1: vocabulary
        .target(name: "Identifiers", swiftSettings: house),
        .target(name: "ByteCoding", dependencies: ["Identifiers"], swiftSettings: house),
        .target(name: "TimeAndChance", swiftSettings: house),

        // Floor 2: cores
        .target(name: "ClientProtocol", dependencies: ["Identifiers"], swiftSettings: house),

        // Examples
        .target(
            name: "OutsideWorldServer",
            dependencies: [
                "Identifiers",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            path: "Examples/OutsideWorldServer", swiftSettings: house),
        .executableTarget(
            name: "OutsideWorld",
            dependencies: [
                "OutsideWorldServer",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Examples/OutsideWorld", exclude: ["README.md"], swiftSettings: house),

        // Tests
        .target(
            name: "FuzzTargets", dependencies: ["Identifiers", "ByteCoding", "TimeAndChance"],
            path: "Tests/Fuzz/FuzzTargets", swiftSettings: house),
        .testTarget(
            name: "FuzzTests", dependencies: ["FuzzTargets", "TimeAndChance"],
            path: "Tests/Fuzz/FuzzTests", swiftSettings: house),
        .testTarget(name: "TidyTests", swiftSettings: house),
        .testTarget(
            name: "IdentifiersTests", dependencies: ["Identifiers", "TimeAndChance"], swiftSettings: house),
        .testTarget(
            name: "ByteCodingTests", dependencies: ["ByteCoding", "Identifiers", "TimeAndChance"],
            swiftSettings: house),
        .testTarget(name: "TimeAndChanceTests", dependencies: ["TimeAndChance"], swiftSettings: house),
        .testTarget(
            name: "OutsideWorldTests", dependencies: ["OutsideWorldServer", "OutsideWorld"],
            swiftSettings: house),
    ],
    swiftLanguageModes: [.v6]
)
