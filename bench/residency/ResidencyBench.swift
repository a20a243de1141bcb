import ArgumentParser
import BenchSupport
import Meridian
import MeridianCore

/// `bench-residency`: does anything of a pinned row come out of its jurisdiction, by any channel, under any fault?
@main struct ResidencyBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-residency",
        abstract: "Canaries in pinned rows and keys: channels, faults, leaked bytes; the ledger and its cost.")

    @Option(help: "text or json.")
    var format = OutputFormat.text

    @Option(help: "Rows that are written in each region under each fault.")
    var rows = 100

    func run() async throws {
        let report = FigureReport()
        BenchRun.note("canaries in rows of two jurisdictions, three looking on")
        let outcome = try await ResidencyRun(rowsPerRegion: rows).run()
        let matrix = outcome.matrix
        BenchRun.note(matrix.text)
        for example in matrix.examples { BenchRun.note("LEAK: \(example)") }
        BenchRun.note("\nthe ledger:\n\(outcome.ledger)\n")
        let codes = outcome.errors.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        BenchRun.note("errors provoked: \(codes)")
        report.add("residency.leakedBytes", Double(matrix.leakedBytes), "bytes", .atMost, 0)
        report.add("residency.channels", Double(matrix.channels.count), "channels", .atLeast, 12)
        report.add("residency.faults", Double(matrix.faults.count), "faults", .atLeast, 6)
        report.add("residency.scannedBytes", Double(matrix.scannedBytes), "bytes")
        report.add("residency.foundAtHome", Double(matrix[.stateFile].foundAtHome), "canaries", .atLeast, 1)
        report.add("residency.errorCodes", Double(outcome.errors.count), "codes", .atLeast, 10)
        report.add("residency.ledger.leakedBytes", Double(outcome.ledger.leakedBytes), "bytes", .atMost, 0)
        report.add("residency.ledger.answeredBytes", Double(outcome.ledger.answeredBytes), "bytes", .atMost, 0)
        report.add("residency.ledger.aggregateBytes", Double(outcome.ledger[.aggregate].bytes), "bytes")

        BenchRun.note("the same rows unrestricted: the search must find them")
        let leaky = try await ResidencyRun(rowsPerRegion: 10, isLeaky: true).run()
        report.add("residency.leaky.channels", Double(leaky.leakyChannels), "channels", .atLeast, 3)
        LedgerCost.measure(report)
        try BenchRun.print(report, as: format)
        guard matrix.leakedBytes == 0, leaky.matrix.leakedBytes > 0 else { throw ExitCode(1) }
    }
}

extension ResidencyRun.Outcome {
    /// Channels in which a leak was found.
    var leakyChannels: Int { LeakChannel.allCases.count { matrix[$0].leakedBytes > 0 } }
}
