import Foundation
import Logging
import Meridian
import MeridianCore
import MeridianPlacement
import MeridianReplica

/// A cluster of three jurisdictions whose rows carry canaries, put through faults while every channel is looked at.
///
/// Four regions with three nodes each, real files, real threads. Rows of `EU` and `US` are pinned; `JP` only looks on.
/// Clients of all three do what clients do, and what they must not.
package struct ResidencyRun: Sendable {
    /// A pinned row. Its key holds a canary, and so do its values.
    package struct Person: Codable, Sendable {
        package var id: String
        package var region: String
        package var name: String
        package var age: Int
    }

    package struct Outcome: Sendable {
        package var matrix: LeakMatrix
        package var ledger: EgressReport
        /// Rows that clients have written and found again at the end.
        package var rowsFound: Int
        /// Errors by code, to show that they were provoked.
        package var errors: [String: Int]
    }

    static let regions: [Region] = ["eu-west-1", "eu-central-1", "us-east-1", "ap-northeast-1"]
    static let laws: [Region: Jurisdiction] = [
        "eu-west-1": "EU", "eu-central-1": "EU", "us-east-1": "US", "ap-northeast-1": "JP",
    ]
    static let keyCanaries: [Jurisdiction: String] = ["EU": "zq7-eu-key-canary", "US": "zq7-us-key-canary"]
    static let valueCanaries: [Jurisdiction: String] = ["EU": "zq7-eu-name-canary", "US": "zq7-us-name-canary"]

    package var rowsPerRegion = 40
    /// Declares the tables unrestricted, with copies abroad: the run must then find leaks.
    package var isLeaky = false

    package init(rowsPerRegion: Int = 40, isLeaky: Bool = false) {
        self.rowsPerRegion = rowsPerRegion
        self.isLeaky = isLeaky
    }

    static func rules() throws -> JurisdictionRules {
        func closed(_ law: Jurisdiction) -> JurisdictionRule {
            JurisdictionRule(
                jurisdiction: law, readsFromOutside: .refused, lookupsOutside: .refused,
                aggregates: [.count, .sum, .mean, .histogram], minimumGroupSize: 10)
        }
        return try JurisdictionRules([closed("EU"), closed("US")])
    }

    package func run() async throws -> Outcome {
        let canaries = (Self.keyCanaries.sorted { $0.key < $1.key } + Self.valueCanaries.sorted { $0.key < $1.key })
            .map { Canary($0.value, of: $0.key) }
        let matrix = LeakMatrix(canaries)
        let topology = try Topology.aws(Self.regions, jurisdictions: Self.laws)
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("meridian-leaks-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var logger = Logger(label: "residency") { _ in LeakLogHandler(matrix) }
        logger.logLevel = .trace
        var configuration = ClusterConfiguration(
            storage: .directory(directory), simulatesLatency: false, rules: isLeaky ? .none : try Self.rules(),
            logger: logger)
        let laws = Dictionary(
            uniqueKeysWithValues: topology.nodes.map { ($0.id, topology.jurisdiction(of: $0.region)) })
        // Heartbeats are most of the frames: one in eight of them is looked into.
        configuration.onFrame = { frame in
            for message in frame.messages where LeakChannel.of(message) != .control || frame.sent.rawValue % 8 == 0 {
                // They hold numbers alone, which show in their text.
                if LeakChannel.of(message) == .control {
                    matrix.look(at: "\(message)", .control, "a frame from \(frame.from) to \(frame.to)")
                }
                matrix.look(
                    into: message, .of(message), under: laws[frame.to], "a frame from \(frame.from) to \(frame.to)")
            }
        }
        let cluster = try await EmbeddedCluster(topology: topology, configuration: configuration)
        let clients = ResidencyClients(cluster: cluster, matrix: matrix, rows: rowsPerRegion, isLeaky: isLeaky)
        do {
            try await clients.goThroughFaults { try look(atFilesOf: topology, directory, matrix) }
        } catch {
            await cluster.shutdown()
            throw error
        }
        let ledger = cluster.egress
        matrix.look(at: ledger.description, .ledger, "the ledger")
        let found = try await clients.countRows()
        await cluster.shutdown()
        matrix.begin("shut down")
        try look(atFilesOf: topology, directory, matrix)
        return Outcome(matrix: matrix, ledger: ledger, rowsFound: found, errors: clients.errors)
    }

    /// Every file below the cluster's directory.
    private func look(atFilesOf topology: Topology, _ directory: String, _ matrix: LeakMatrix) throws {
        for name in try FileManager.default.subpathsOfDirectory(atPath: directory).sorted() {
            var isDirectory: ObjCBool = false
            let path = directory + "/" + name
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), !isDirectory.boolValue else {
                continue
            }
            let parts = name.split(separator: "/")
            let law = parts.count > 1 ? topology.node(named: String(parts[0])) : nil
            let channel: LeakChannel =
                if name.contains("/log.sqlite") {
                    .logFile
                } else if name.contains("/state.sqlite") {
                    .stateFile
                } else { .otherFile }
            // A file may go between the listing and the look.
            try? matrix.look(atFile: path, channel, under: law.map { topology.jurisdiction(of: $0.region) })
        }
    }
}
