import ArgumentParser
import BenchSupport
import Foundation
import MeridianCore
import MeridianPlacement

/// `meridian plan`: what each way to replicate would cost and keep, before a node runs.
struct PlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Predict every mode's latency, losses and cost for a plan, and recommend one.",
        discussion: """
            A plan names regions, distances, clocks and tables; docs/PLANNER.md describes it, docs/examples has some. \
            Exit code 0: each table's mode keeps its wishes (the mode that the plan declares, or else the recommended \
            one). 1: one does not. 2: the plan is malformed or cannot be read. 64: wrong arguments.
            """)

    @Argument(help: "The plan; without one, --preset and --regions.")
    var file: String?

    @Option(help: "text for people, json for machines.")
    var format = OutputFormat.text

    @Option(help: ArgumentHelp("Show only this mode; may be repeated.", valueName: "mode"))
    var mode: [String] = []

    @Option(help: ArgumentHelp("Show only this table; may be repeated.", valueName: "table"))
    var table: [String] = []

    @Option(help: "Distances of a preset instead of a file: aws.")
    var preset: String?

    @Option(help: "With --preset: the regions, such as us-east-1,eu-west-1; rows are at home in the first.")
    var regions: String?

    @Option(help: "With --preset: nodes in each region.")
    var nodes = 3

    static let missedCode: Int32 = 1
    static let malformedCode: Int32 = 2

    func validate() throws {
        guard (file == nil) != (preset == nil) else {
            throw ValidationError("name a plan, or --preset aws with --regions: one of the two")
        }
        if let preset, preset != "aws" {
            throw ValidationError("there is no preset \"\(preset)\"; the known one is aws")
        }
        guard (preset == nil) == (regions == nil) else {
            throw ValidationError("--preset and --regions go together")
        }
        for name in mode where PlannedMode(name) == nil {
            let hint = NameSuggestion.hint(for: name, among: PlannedMode.names)
            throw ValidationError(
                "there is no mode \"\(name)\".\(hint) The modes are \(PlannedMode.names.joined(separator: ", "))")
        }
    }

    func run() throws {
        let plan = try read()
        let report = PlanReport(plan, tables: try chosenTables(plan), modes: mode.compactMap { PlannedMode($0) })
        let screen = Screen(showsText: format == .text)
        if format == .json {
            screen.machine(try report.json())
        } else {
            for line in PlanText(report).lines { screen.line(line) }
        }
        if !report.keepsEveryWish { throw ExitCode(Self.missedCode) }
    }

    private func chosenTables(_ plan: PlanFile) throws -> [PlannedTable] {
        let names = plan.tables.map(\.name)
        for name in table where !names.contains(name) {
            let hint = NameSuggestion.hint(for: name, among: names)
            throw ValidationError(
                "the plan has no table \"\(name)\".\(hint) It has \(names.joined(separator: ", "))")
        }
        return table.isEmpty ? plan.tables : plan.tables.filter { table.contains($0.name) }
    }

    private func read() throws -> PlanFile {
        if let regions {
            let names = regions.split(separator: ",").map { Region(String($0.filter { !$0.isWhitespace })) }
            guard !names.isEmpty else { throw ValidationError("--regions \"\(regions)\" names no region") }
            do {
                return try PlanInput.plan(awsRegions: names, nodes: nodes)
            } catch {
                throw ValidationError(error.message)
            }
        }
        guard let file else { preconditionFailure("neither a plan nor a preset") }
        do {
            return try PlanInput.plan(file: file)
        } catch let error as PlanFileError {
            throw refuse("\(error)")
        } catch let error as MeridianError {
            throw refuse("\(file) \(error.message)")
        }
    }

    /// Says on standard error why there is nothing to show.
    private func refuse(_ reason: String) -> ExitCode {
        FileHandle.standardError.write(Data("meridian plan: \(reason)\n".utf8))
        return ExitCode(Self.malformedCode)
    }
}
