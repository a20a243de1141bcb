import ArgumentParser
import Foundation
import MeridianCore
import MeridianSimulation

/// `meridian explore`: every order of a small world.
struct ExploreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explore",
        abstract: "Take the real machines of a small world through every order of what can happen in it.",
        discussion: """
            A world is explored within each of its bounds until nothing is left or the limit of states is reached. \
            Exit code 0: no rule was broken. 1: one was; the rule and a shortest trace to it are printed. 64: wrong \
            arguments. docs/TESTING.md has the worlds, the bounds and what was found.
            """)

    @Option(help: "A world, or all: \(SmallWorld.allCases.map(\.rawValue).joined(separator: ", ")).")
    var world = "all"
    @Option(help: "Only this bound of the world, by its number.")
    var bound: Int?
    @Option(help: "The most states to be merged within a bound.")
    var states = 10_000_000
    @Option(help: "Carry one planted bug (builds with MERIDIAN_PLANTED=1 only).")
    var bug: String?
    @Option(help: .hidden)
    var counter: String?
    @Option(help: .hidden)
    var until: Int?

    func validate() throws {
        guard states > 0 else { throw ValidationError("--states 0 explores nothing; ask for at least one") }
        guard world == "all" || SmallWorld(rawValue: world) != nil else {
            throw ValidationError(
                "there is no world \"\(world)\"; the known ones are "
                    + SmallWorld.allCases.map(\.rawValue).joined(separator: ", "))
        }
    }

    private var parts: [SmallWorld.Part] {
        let worlds = SmallWorld(rawValue: world).map { [$0] } ?? SmallWorld.allCases
        return worlds.flatMap(\.parts).filter { bound == nil || $0.number == bound }
    }

    func run() throws {
        if let bug { try PlantedSearch.carry(bug) }
        if counter == nil, until == nil { return try watch() }
        let mark = try counter.map { try StepMark(file: $0) }
        for part in parts {
            mark?.begin(part.number)
            let began = ContinuousClock().now
            let report = part.explore(states: states, transitions: until ?? .max) { _, transitions in
                mark?.note(transitions)
            }
            let seconds = Double((ContinuousClock().now - began).nanoseconds) / 1e9
            print(Self.summary(part, report, seconds))
            fflush(nil)
            guard report.violation != nil || until != nil else { continue }
            if let violation = report.violation { print("VIOLATION \(violation)") }
            for (number, line) in report.trace.enumerated() { print("\(number + 1). \(line)") }
            throw ExitCode(1)
        }
    }

    private static func summary(_ part: SmallWorld.Part, _ report: ExplorationReport, _ seconds: Double) -> String {
        "\(part.world.rawValue).\(part.number) (\(part.bound)): \(report.states) states, \(report.transitions) "
            + "transitions, depth \(report.depth), "
            + (report.isComplete ? "complete" : report.violation == nil ? "stopped at the limit" : "violated")
            + ", " + String(format: "%.1f s", seconds)
    }

    /// Runs the exploration in a process of its own: an assertion of the explored code ends that one, and the last
    /// transition that it had begun tells how it came to it.
    private func watch() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("meridian-explore-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: file) }
        let (status, isSignal) = try Self.start(arguments + ["--counter", file])
        guard isSignal else { if status == 0 { return } else { throw ExitCode(status) } }
        let (part, transition) = try StepMark.read(file)
        print("VIOLATION an assertion of the explored code (above), at transition \(transition) of bound \(part)")
        fflush(nil)
        _ = try Self.start(arguments + ["--until", "\(transition)", "--bound", "\(part)"])
        throw ExitCode(1)
    }

    private var arguments: [String] {
        var words = ["explore", "--world", world, "--states", "\(states)"]
        if let bound { words += ["--bound", "\(bound)"] }
        if let bug { words += ["--bug", bug] }
        return words
    }

    private static func start(_ arguments: [String]) throws -> (status: Int32, isSignal: Bool) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = arguments
        try process.run()
        process.waitUntilExit()
        return (process.terminationStatus, process.terminationReason == .uncaughtSignal)
    }
}

/// Where an exploration is, in a file that outlives the process: the bound and the transition that it has begun.
final class StepMark {
    private let words: UnsafeMutablePointer<Int>

    init(file: String) throws {
        guard FileManager.default.createFile(atPath: file, contents: Data(count: 16)),
            let handle = FileHandle(forUpdatingAtPath: file),
            let memory = mmap(nil, 16, PROT_READ | PROT_WRITE, MAP_SHARED, handle.fileDescriptor, 0),
            memory != MAP_FAILED
        else { throw ValidationError("cannot write \(file)") }
        words = memory.bindMemory(to: Int.self, capacity: 2)
    }

    deinit { munmap(words, 16) }

    func begin(_ bound: Int) {
        words[0] = bound
        words[1] = 0
    }

    func note(_ transitions: Int) { words[1] = transitions }

    static func read(_ file: String) throws -> (bound: Int, transition: Int) {
        let data = try Data(contentsOf: URL(fileURLWithPath: file))
        guard data.count == 16 else { return (0, 0) }
        return data.withUnsafeBytes { bytes in
            (bytes.loadUnaligned(as: Int.self), bytes.loadUnaligned(fromByteOffset: 8, as: Int.self))
        }
    }
}
