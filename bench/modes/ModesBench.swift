import ArgumentParser
import BenchSupport
import Foundation
import Meridian
import MeridianCore
import MeridianPlacement

/// `bench-modes`: every mode on the same workload over the same links, beside what the design document claims.
///
/// Three AWS regions of three nodes, SQLite files, links of the AWS matrix with 1 % jitter, ε = 0.5 ms; a new cluster
/// for each mode. The first region is the rows' home. At the end of each mode's run that region dies under load, and
/// comes back. `ModeLoad` and `RegionLoss` say what is done, `ModeFigures` what each figure means.
@main struct ModesBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-modes", abstract: "Every mode on one workload, beside the design document's claims.")

    @Option(help: "text or json.")
    var format = OutputFormat.text

    @Option(help: ArgumentHelp("Writes a page with tables and charts as well.", valueName: "file"))
    var html: String?

    @Option(help: "Seconds of undisturbed load for each mode.")
    var seconds = 10

    @Option(help: "AWS regions, the home first: at least three.")
    var regions = "us-east-1,eu-west-1,ap-northeast-1"

    @Option(help: ArgumentHelp("Only this mode; may be repeated.", valueName: "name"))
    var mode: [String] = []

    func validate() throws {
        guard seconds >= 1 else { throw ValidationError("\(seconds) seconds of load show nothing; ask for 1 at least") }
        guard regionList.count >= 3 else {
            throw ValidationError("\(regions) are not three regions; separate AWS regions by commas")
        }
        for name in mode where ModeFigures.Kind(rawValue: name) == nil {
            let names = ModeFigures.Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("there is no mode \(name); choose among \(names)")
        }
    }

    private var regionList: [Region] { regions.split(separator: ",").map { Region(String($0)) } }

    func run() async throws {
        let topology = try Topology.aws(regionList)
        let home = regionList[0]
        var run = ModesRun(
            home: home.rawValue, regions: regionList.map(\.rawValue), links: links(topology), modes: [])
        var errors = 0
        for kind in ModeFigures.Kind.allCases where mode.isEmpty || mode.contains(kind.rawValue) {
            BenchRun.note("\(kind.rawValue) …")
            let start = ContinuousClock.now
            let result = try await ModeRun(
                // A global table is at home where the planner puts it.
                mode: Mode(kind, home: kind == .global ? ReplicaPlanner(topology: topology).centralRegion() : home),
                topology: topology, duration: .seconds(seconds)
            ).run()
            run.modes.append(result.figures)
            errors += result.errors
            BenchRun.note("\(kind.rawValue): \(Int((ContinuousClock.now - start).milliseconds / 1000)) s")
        }
        let report = FigureReport()
        report.add(run)
        report.add("modes.errors", Double(errors), "errors")
        if let html {
            let page = ModesPage(run: run, command: CommandLine.arguments.joined(separator: " "), date: Date())
            try page.text.write(toFile: html, atomically: true, encoding: .utf8)
        }
        if format == .text {
            FileHandle.standardOutput.write(Data((ModesText.text(of: run) + "\n\n").utf8))
        }
        try BenchRun.print(report, as: format)
        // Nothing that a mode promises to keep may be lost.
        let isLost = run.modes.contains { $0.brokenPromise != nil }
        for mode in run.modes { mode.brokenPromise.map { BenchRun.note("\(mode.kind.title): \($0)") } }
        if isLost { throw ExitCode.failure }
    }

    private func links(_ topology: Topology) -> [ModesRun.Link] {
        regionList.enumerated().flatMap { position, from in
            regionList[(position + 1)...].map { to in
                let roundTrip = Double(topology.matrix.roundTripNanoseconds(from: from, to: to)) / 1_000_000
                return ModesRun.Link(from: from.rawValue, to: to.rawValue, roundTrip: roundTrip)
            }
        }
    }
}
