import ArgumentParser
import BenchSupport
import Foundation
import Meridian
import MeridianCore

/// `bench-active`: what an active-active table costs and how fast its copies converge.
///
/// Local commits and reads beside each other in three regions; how long a write takes to be seen elsewhere; two copies
/// that were cut off from each other and differ in ten thousand rows, from the moment at which the link is back until
/// both have everything; and the merge alone, on one core. Exit code 0 only if the copies are equal in the end and no
/// acknowledged write is missing without a record of it.
@main struct ActiveBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-active", abstract: "Local commits, convergence and merges of active-active tables.")

    @Option(help: "text or json.")
    var format = OutputFormat.text

    @Option(help: "Seconds of load for the local latencies.")
    var seconds = 10

    @Option(help: "Rows that differ when the link comes back.")
    var rows = 10_000

    @Option(help: "How often the link is cut and mended.")
    var rounds = 3

    @Option(help: "Which parts to run: local, heal, merge.")
    var parts: [String] = ["local", "heal", "merge"]

    func run() async throws {
        let report = FigureReport()
        var wrong = 0
        if parts.contains("merge") { try MergeRates(report: report).run() }
        if parts.contains("local") { try await LocalLatency(report: report, seconds: seconds).run() }
        if parts.contains("heal") { wrong += try await Healing(report: report, rows: rows, rounds: rounds).run() }
        try BenchRun.print(report, as: format)
        if wrong > 0 { throw ExitCode.failure }
    }
}

struct Profile: Codable, Sendable, Equatable {
    var id: Int
    var name: String
    var visits: Int
    var data: String

    static let table = Table<Profile>("profiles", key: \.id, convergence: .columns(.counter(\.visits)))
}
