import ArgumentParser
import BenchSupport
import Foundation
import MeridianCheckers
import MeridianCore
import MeridianSimulation

/// `meridian simulate`: seeds, faults and workloads in virtual time.
struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Run a cluster in virtual time under faults, one seed one run, and judge what happened.",
        discussion: """
            Exit code 0: every promise was kept. 1: one was broken; the seed, the rule, the faults that it needs and \
            the command that repeats it are printed. A campaign ends with 1 too if a run's process ended or had to \
            be ended. 64: wrong arguments.
            """)

    @Option(help: "The first seed: 1, or of a campaign one that the clock says.")
    var seed: UInt64?
    @Option(help: "How many seeds, from the first one on: 1; a campaign goes on until its time is up.")
    var seeds: UInt64?
    @Option(help: "A workload, a list of them, or all: \(Workloads.names.joined(separator: ", ")).")
    var workload = "all"
    @Option(help: "standard, all (with lying clocks), nondestructive, none, or a list such as crash,partition.")
    var faults = "standard"
    @Option(help: "Virtual hours of the safety phase of each run; without it each lasts 20 seconds.")
    var hours: Double?
    @Option(help: "memory or sqlite.")
    var storage = SimulatedStorage.memory
    @Option(help: "Regions of AWS with the nodes of each, such as us-east-1:3,eu-west-1:3,ap-northeast-1:3.")
    var topology = "us-east-1:3,eu-west-1:3,ap-northeast-1:3"
    @Option(help: "Write what happens to this file, in words.")
    var trace: String?
    @Option(help: "Write the history to this file, for `meridian check`; parts after the first to FILE.2 and so on.")
    var history: String?
    @Option(help: "Only these episodes of the fault plan, by number; none leaves the weather alone.")
    var episodes: String?
    @Flag(help: "Run fresh seeds whatever fails, in several processes; group failures and make one of each smaller.")
    var campaign = false
    @Option(help: "Of a campaign: how many seconds it lasts; without --seeds and this, 600.")
    var seconds: Double?
    @Option(help: "Of a campaign: how many processes, instead of one for each core.")
    var jobs: Int?
    @Option(help: "Of a campaign: after how many seconds a run is ended and counts as a failure.")
    var patience: Int?
    @Option(help: "Of a campaign: append failures to this file.")
    var failures: String?
    @Option(help: "Of a campaign: text or json.")
    var format = OutputFormat.text
    @Flag(help: .hidden)
    var worker = false
    @Flag(help: "Print a line for each seed.")
    var verbose = false
    @Flag(help: "Find every planted bug and print how many seeds it took (builds with MERIDIAN_PLANTED=1 only).")
    var planted = false
    @Option(help: "Run with one planted bug (builds with MERIDIAN_PLANTED=1 only).")
    var bug: String?

    func validate() throws {
        guard seeds != 0 else { throw ValidationError("--seeds 0 runs nothing; ask for at least one") }
        if let seconds, seconds <= 0 { throw ValidationError("--seconds \(seconds) is no time; ask for more than 0") }
        if let jobs, jobs <= 0 { throw ValidationError("--jobs \(jobs) runs nothing; ask for at least one") }
        if let patience, patience <= 0 {
            throw ValidationError("--patience \(patience) ends every run; ask for at least one second")
        }
        let isOnlyForCampaigns = seconds != nil || jobs != nil || patience != nil || failures != nil || format == .json
        guard campaign || !isOnlyForCampaigns else {
            throw ValidationError("--seconds, --jobs, --patience, --failures and --format json go with --campaign")
        }
        if let hours, hours <= 0 { throw ValidationError("--hours \(hours) is no time; ask for more than 0") }
        _ = try chosenEpisodes()
    }

    /// The episodes to keep; `nil` for all.
    private func chosenEpisodes() throws -> Set<Int>? {
        guard let episodes else { return nil }
        if episodes == "none" { return [] }
        return try Set(
            episodes.split(separator: ",").map { word in
                guard let number = Int(word) else {
                    throw ValidationError("\"\(word)\" is no episode; write their numbers, such as 1,4, or none")
                }
                return number
            })
    }

    private var names: [String] {
        workload == "all" ? Workloads.names : workload.split(separator: ",").map(String.init)
    }

    func run() throws {
        if planted { return try PlantedSearch(seeds: seeds ?? 4_000).run() }
        if let bug { try PlantedSearch.carry(bug) }
        if worker { return try SeedWorker(simulation: simulation).run() }
        if campaign { return try runCampaign() }
        let clock = ContinuousClock()
        let start = clock.now
        var totals = SimulateTotals()
        let (first, count) = (seed ?? 1, seeds ?? 1)
        for number in first..<first + count {
            let simulation = try simulation(number, names[Int(number % UInt64(names.count))])
            let began = clock.now
            let report = try execute(simulation)
            totals.add(report)
            if verbose || count == 1 { print(report.summary(simulation.workload, clock.now - began)) }
            progress(totals, clock.now - start)
            if let violation = report.violation {
                if bug != nil { print("FOUND \(totals.runs) \(violation)") }
                if bug == nil { explain(violation, report, simulation) }
                throw ExitCode(1)
            }
        }
        print(totals.summary(clock.now - start))
    }

    private func runCampaign() throws {
        guard trace == nil, history == nil, episodes == nil, bug == nil else {
            throw ValidationError("--trace, --history, --episodes and --bug are for single runs; leave --campaign out")
        }
        // Wrong arguments are refused here, and not by every worker.
        for name in names { _ = try simulation(seed ?? 1, name) }
        // Room for a thousand seeds in each second, so that two campaigns run different ones.
        let base = seed ?? UInt64(Date().timeIntervalSince1970) * 1_000
        var arguments = ["simulate", "--worker", "--faults", faults, "--storage", storage.rawValue]
        arguments += ["--topology", topology] + (hours.map { ["--hours", "\($0)"] } ?? [])
        var command = WorkerPool.Command(
            executable: URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath(), arguments: arguments)
        // Where it trapped tells failures apart; the question what to do about it would wait for ever.
        command.environment["SWIFT_BACKTRACE"] =
            "enable=yes,interactive=no,color=no,threads=crashed,images=none,registers=none,limit=16"
        let report = try Campaign(
            simulation: simulation, command: { job in self.command(job) }, workloads: names, base: base, seeds: seeds,
            seconds: seconds ?? (seeds == nil ? 600 : nil), workers: command,
            jobs: jobs ?? ProcessInfo.processInfo.activeProcessorCount,
            patienceSeconds: patience ?? 120 + Int((hours ?? 0) * 600), failures: failures,
            note: { line in
                let handle = format == .json ? FileHandle.standardError : FileHandle.standardOutput
                handle.write(Data((line + "\n").utf8))
            }
        ).run()
        print(format == .json ? try report.json() : report.lines.joined(separator: "\n"))
        if !report.findings.isEmpty { throw ExitCode(1) }
    }

    private func simulation(_ job: SeedJob) throws -> Simulation {
        var simulation = try simulation(job.seed, job.workload)
        if let episodes = job.episodes { simulation.episodes = Set(episodes) }
        return simulation
    }

    private func command(_ job: SeedJob) -> String {
        guard let simulation = try? simulation(job) else { return "" }
        return command(simulation)
    }

    private func simulation(_ number: UInt64, _ name: String) throws -> Simulation {
        do {
            var simulation = Simulation(
                seed: number, workload: name, topology: try parsedTopology(), faults: try FaultKind.parse(faults))
            simulation.storage = storage
            if let hours { simulation.length = .nanoseconds(Int64(hours * 3_600_000_000_000)) }
            simulation.episodes = try chosenEpisodes()
            _ = try Workloads.named(name, topology: simulation.topology)
            _ = try simulation.plan()
            return simulation
        } catch {
            throw ValidationError("\(error)")
        }
    }

    private func parsedTopology() throws -> Topology {
        var regions: [RegionDescriptor] = []
        for part in topology.split(separator: ",") {
            let words = part.split(separator: ":")
            guard let name = words.first, words.count <= 2, let nodes = Int(words.count == 2 ? words[1] : "3") else {
                throw ValidationError("\"\(part)\" is no region with its nodes; write us-east-1:3")
            }
            regions.append(RegionDescriptor(Region(String(name)), nodes: nodes))
        }
        return try Topology(regions: regions, matrix: .aws)
    }

    private func execute(_ simulation: Simulation) throws -> SimulationReport {
        var sink: FileSink?
        if let trace { sink = try FileSink(trace) }
        let report = try simulation.run(trace: sink.map { sink in { sink.write($0 + "\n") } })
        sink?.close()
        if let history {
            for (number, part) in report.histories.enumerated() {
                var writer = HistoryWriter()
                for event in part { writer.write(event) }
                let path = number == 0 ? history : "\(history).\(number + 1)"
                try Data(writer.take()).write(to: URL(fileURLWithPath: path))
            }
        }
        return report
    }

    private func progress(_ totals: SimulateTotals, _ elapsed: Duration) {
        guard (seeds ?? 1) > 1, totals.runs % 25 == 0 else { return }
        FileHandle.standardError.write(Data(("\r" + totals.summary(elapsed)).utf8))
    }

    private func explain(_ violation: Violation, _ report: SimulationReport, _ simulation: Simulation) {
        print("\nseed \(report.seed) FAILED: \(violation)")
        var small = simulation
        if let result = try? Minimiser(simulation, rule: violation.rule).run() {
            small.episodes = Set(result.episodes)
            print("faults that it needs (after \(result.attempts) smaller runs), beside the weather:")
            let needed = report.plan.keeping(Set(result.episodes)).episodes
            print("  weather: \(report.plan.weather.words)")
            for episode in needed { print("  \(episode.words)") }
            if needed.isEmpty { print("  none") }
        }
        var lines: [String] = []
        if let last = try? small.run(trace: { _ in }) { lines = last.lastLines }
        print("the last events:")
        for line in lines.suffix(40) { print("  \(line)") }
        print("to repeat it:\n  \(command(small))")
    }

    private func command(_ simulation: Simulation) -> String {
        var words = ["meridian simulate --seed \(simulation.seed) --workload \(simulation.workload)"]
        words.append("--faults \(faults) --storage \(storage.rawValue) --topology \(topology)")
        if let hours { words.append("--hours \(hours)") }
        if let episodes = simulation.episodes {
            let list = episodes.sorted().map(String.init).joined(separator: ",")
            words.append("--episodes \(list.isEmpty ? "none" : list)")
        }
        return words.joined(separator: " ")
    }
}

extension SimulatedStorage: ExpressibleByArgument {}

/// A file that is written line by line, none of them held back: the last ones say most when a run traps.
private final class FileSink {
    private let handle: FileHandle

    init(_ path: String) throws {
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let handle = FileHandle(forWritingAtPath: path)
        else { throw ValidationError("\(path) cannot be written; choose another file") }
        self.handle = handle
    }

    func write(_ text: String) { handle.write(Data(text.utf8)) }

    func close() { try? handle.close() }
}
