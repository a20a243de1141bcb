// swift-tools-version: 6.2
import PackageDescription

/// Bugs on purpose, for the test of the simulator alone (`PlantedBug`).
let planted: [SwiftSetting] = Context.environment["MERIDIAN_PLANTED"] == "1" ? [.define("MERIDIAN_PLANTED")] : []

/// Arrows point down only (docs/ARCHITECTURE.md). CI builds with
/// `--explicit-target-dependency-import-check error`, so an import that is not declared here fails.
let settings: [SwiftSetting] =
    [
        .swiftLanguageMode(.v6),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ] + planted

let collections: Target.Dependency = .product(name: "Collections", package: "swift-collections")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let histogram: Target.Dependency = .product(name: "Histogram", package: "hdrhistogram-swift")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

func library(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource]? = nil) -> Target {
    .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource]? = nil) -> Target {
    .testTarget(name: name, dependencies: dependencies, resources: resources, swiftSettings: settings)
}

func bench(_ name: String) -> Target {
    .executableTarget(
        name: "bench-\(name)",
        dependencies: [
            "BenchSupport", "Meridian", "MeridianConvergence", "MeridianCore", "MeridianPlacement", "MeridianReplica",
            "MeridianRuntime", "MeridianStorage", arguments, grdb, histogram,
        ],
        path: "bench/\(name)", swiftSettings: settings)
}

let package = Package(
    name: "meridian",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "Meridian", targets: ["Meridian"]),
        .library(name: "MeridianSimulation", targets: ["MeridianSimulation"]),
        .library(name: "MeridianCheckers", targets: ["MeridianCheckers"]),
        .executable(name: "meridian", targets: ["meridian-cli"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto.git", exact: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // Vocabulary and ports.
        library("MeridianCore", ["CMeridianSystem"]),
        // What Swift's Glibc module lacks: the kernel's word on its clock.
        .target(name: "CMeridianSystem"),
        // Pure: events in, effects out.
        library("MeridianClock", ["MeridianCore", "CMeridianSystem", collections]),
        library("MeridianConsensus", ["MeridianCore", collections]),
        library("MeridianTransactions", ["MeridianCore", "MeridianClock", collections]),
        library("MeridianPlacement", ["MeridianCore"]),
        library("MeridianConvergence", ["MeridianCore"]),
        library(
            "MeridianReplica",
            [
                "MeridianCore", "MeridianClock", "MeridianConsensus", "MeridianTransactions", "MeridianPlacement",
                collections,
            ]),
        // Adapters and the shell.
        library("MeridianStorage", ["MeridianCore", grdb]),
        library("MeridianTransport", ["MeridianCore", "MeridianReplica", collections]),
        library(
            "MeridianRuntime",
            ["MeridianCore", "MeridianClock", "MeridianConsensus", "MeridianPlacement", "MeridianReplica", logging]),
        // The API.
        library(
            "Meridian",
            [
                "MeridianCore", "MeridianClock", "MeridianConvergence", "MeridianPlacement", "MeridianReplica",
                "MeridianRuntime", "MeridianStorage", "MeridianTransactions", "MeridianTransport", crypto, logging,
            ],
            // The example rules are data, and need no file beside the program.
            resources: [.embedInCode("Residency/Resources/jurisdictions.json")]),
        // Users test their own code with it.
        library(
            "MeridianSimulation",
            [
                "Meridian", "MeridianCheckers", "MeridianCore", "MeridianClock", "MeridianConsensus",
                "MeridianPlacement", "MeridianReplica", "MeridianRuntime", "MeridianStorage", "MeridianTransactions",
                collections, grdb,
            ]),
        // Histories of operations, and what they prove. Needs nothing of a cluster.
        library("MeridianCheckers", ["MeridianCore"]),
        .executableTarget(
            name: "meridian-cli",
            dependencies: [
                "BenchSupport", "Meridian", "MeridianCheckers", "MeridianCore", "MeridianPlacement", "MeridianReplica",
                "MeridianRuntime", "MeridianSimulation", arguments, grdb,
            ],
            path: "Sources/meridian-cli", swiftSettings: settings),
        .target(
            name: "BenchSupport",
            dependencies: [
                "Meridian", "MeridianCore", "MeridianPlacement", "MeridianReplica", "MeridianRuntime",
                "MeridianStorage", arguments, histogram, logging,
            ],
            path: "bench/Support", resources: [.copy("Resources/cities.csv"), .copy("Resources/CREDITS.md")],
            swiftSettings: settings),
        bench("latency"), bench("throughput"), bench("failover"), bench("reads"), bench("transactions"),
        bench("active"), bench("modes"), bench("planner"), bench("routing"), bench("sessions"), bench("residency"),
        .executableTarget(
            name: "bench-simulation",
            dependencies: ["BenchSupport", "MeridianCheckers", "MeridianCore", "MeridianSimulation", arguments],
            path: "bench/simulation", swiftSettings: settings),
        // Tests: one folder per target.
        tests("MeridianCoreTests", ["MeridianCore"]),
        tests("MeridianClockTests", ["MeridianClock", "CMeridianSystem", "MeridianCore"]),
        tests(
            "MeridianConsensusTests", ["MeridianConsensus", "MeridianCore"],
            resources: [.copy("Scenarios")]),
        tests("MeridianTransactionsTests", ["MeridianTransactions", "MeridianCore"]),
        tests("MeridianPlacementTests", ["MeridianPlacement", "MeridianCore"]),
        tests("MeridianConvergenceTests", ["MeridianConvergence", "MeridianCore"]),
        tests(
            "MeridianReplicaTests",
            [
                "MeridianReplica", "MeridianConsensus", "MeridianPlacement", "MeridianRuntime", "MeridianTransactions",
                "MeridianStorage", "MeridianCore", collections,
            ]),
        tests("MeridianStorageTests", ["MeridianStorage", "MeridianSimulation", "MeridianCore", grdb]),
        tests("MeridianTransportTests", ["MeridianTransport", "MeridianReplica", "MeridianCore"]),
        tests(
            "MeridianRuntimeTests",
            [
                "MeridianRuntime", "MeridianConsensus", "MeridianPlacement", "MeridianReplica", "MeridianStorage",
                "MeridianTransport", "MeridianCore", logging,
            ]),
        tests("MeridianCheckersTests", ["MeridianCheckers", "MeridianCore"], resources: [.copy("Histories")]),
        tests("MeridianSimulationTests", ["MeridianSimulation", "Meridian", "MeridianCore"]),
        tests(
            "MeridianTests",
            ["BenchSupport", "Meridian", "MeridianCore", "MeridianPlacement", "MeridianReplica", "meridian-cli"]),
    ]
)
