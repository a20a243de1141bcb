import ArgumentParser
import BenchSupport
import Foundation
import MeridianCheckers
import MeridianCore
import MeridianSimulation

/// `bench-simulation`: how fast the simulated world is, how fast the checkers are, and whether runs repeat.
///
/// Speed is virtual time through processor time: three regions of three nodes under the load of each workload in turn
/// (six clients, two in each region, each pausing 0.3 s on average) and the standard faults, with all invariants
/// checked after every step and every history judged, on one core.
@main struct SimulationBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-simulation", abstract: "Speed of the simulated world and of the checkers; replay; crashes.")

    @Option(help: "text or json.")
    var format = OutputFormat.text

    @Option(help: "Seeds for each speed.")
    var seeds: UInt64 = 120

    @Option(help: "Measure this part alone: \(Part.allCases.map(\.rawValue).joined(separator: ", ")).")
    var only: Part?

    enum Part: String, CaseIterable, ExpressibleByArgument { case memory, sqlite, replay, crashes, checkers }

    @Option(help: "Print the event hashes of this many seeds, and nothing else.")
    var hashes: UInt64?

    private static func simulation(_ seed: UInt64, _ storage: SimulatedStorage) throws -> Simulation {
        let topology = try Topology.aws(["us-east-1", "eu-west-1", "ap-northeast-1"])
        let names = Workloads.names
        var simulation = Simulation(
            seed: seed, workload: names[Int(seed % UInt64(names.count))], topology: topology)
        simulation.storage = storage
        return simulation
    }

    func run() throws {
        if let hashes {
            for seed in 1...hashes { print(try Self.simulation(seed, .memory).run().eventHash) }
            return
        }
        let report = FigureReport()
        for part in Part.allCases where only == nil || only == part {
            switch part {
            case .memory: try speed(.memory, "simulation.memory", limit: 1_000, report)
            case .sqlite: try speed(.sqlite, "simulation.sqlite", limit: 100, report)
            case .replay: try replay(report)
            case .crashes: try crashes(report)
            case .checkers: try checkers(report)
            }
        }
        try BenchRun.print(report, as: format)
    }

    private func speed(
        _ storage: SimulatedStorage, _ name: String, limit: Double, _ report: FigureReport
    ) throws {
        BenchRun.note("\(name): \(seeds) seeds …")
        var (virtual, steps, operations, broken) = (0.0, 0.0, 0.0, 0)
        let start = BenchRun.processorSeconds()
        for seed in 1...seeds {
            let run = try Self.simulation(seed, storage).run()
            virtual += run.virtualTime / .seconds(1)
            steps += Double(run.stepCount)
            operations += Double(run.okCount + run.failCount + run.infoCount)
            if let violation = run.violation {
                broken += 1
                BenchRun.note("seed \(seed): \(violation)")
            }
        }
        let processor = BenchRun.processorSeconds() - start
        report.add("\(name).speed", virtual / processor, "x real time", .atLeast, limit)
        report.add("\(name).steps", steps / processor, "1/s")
        report.add("\(name).load", operations / virtual, "operations/virtual s")
        report.add("\(name).violations", Double(broken), "1", .atMost, 0)
    }

    /// Two processes: their hash tables have different seeds.
    private func replay(_ report: FigureReport) throws {
        let count: UInt64 = 200
        BenchRun.note("replay: \(count) seeds in two processes …")
        let runs = try (0..<2).map { _ in
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            process.arguments = ["--hashes", "\(count)"]
            let output = Pipe()
            process.standardOutput = output
            try process.run()
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            return text.split(separator: "\n")
        }
        let equal = zip(runs[0], runs[1]).count { $0 == $1 }
        report.add("simulation.replay.equal", Double(equal), "of \(count) seeds", .atLeast, Double(count))
    }

    private func crashes(_ report: FigureReport) throws {
        BenchRun.note("crashes: every write and sync of 1,000 operations …")
        let result = try CrashScript(seed: 1).run()
        report.add("simulation.crashes.points", Double(result.crashPoints), "1")
        report.add("simulation.crashes.failures", Double(result.failures.count), "1", .atMost, 0)
        for failure in result.failures.prefix(3) { BenchRun.note(failure) }
    }

    private func checkers(_ report: FigureReport) throws {
        for (name, generated) in [
            ("checkers.register.100000", GeneratedHistory.register(operations: 100_000, seed: 1)),
            ("checkers.append.1000000", GeneratedHistory.append(transactions: 1_000_000, seed: 1)),
        ] {
            BenchRun.note("\(name) …")
            let history = try generated.history()
            let start = BenchRun.processorSeconds()
            let verdict = try Checker.check(history)
            report.add(name, BenchRun.processorSeconds() - start, "s", .atMost, 60)
            precondition(verdict.isValid, "a valid history is refused: \(verdict.lines)")
        }
    }
}
