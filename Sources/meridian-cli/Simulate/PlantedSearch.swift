import ArgumentParser
import Foundation
import MeridianCore
import Synchronization

/// `meridian simulate --planted`: does the simulator find bugs that are there on purpose?
///
/// Each bug runs in a process of its own, because many are found by an assertion of the production code, which ends
/// the process.
struct PlantedSearch {
    var seeds: UInt64

    /// Makes this process carry a bug.
    static func carry(_ name: String) throws {
        guard Planted.isCompiledIn else {
            throw ValidationError("this build has no planted bugs; build it with MERIDIAN_PLANTED=1")
        }
        guard let bug = PlantedBug(rawValue: name) else {
            let known = PlantedBug.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("there is no planted bug \"\(name)\"; the known ones are \(known)")
        }
        #if MERIDIAN_PLANTED
            Planted.bug = bug
        #else
            _ = bug
        #endif
    }

    /// No workload or fault of the simulator shows these yet, so that searching for them would prove nothing; unit
    /// tests hold the rules. Each is a blind spot of the simulator (docs/TESTING.md).
    static let unseen: Set<PlantedBug> = [
        .firstWrittenAnchors, .unequalInOneRound, .snapshotTakesRowsBack, .departureForgotten,
        .sealedAmidSnapshot,
    ]

    func run() throws {
        guard Planted.isCompiledIn else {
            throw ValidationError("this build has no planted bugs; build it with MERIDIAN_PLANTED=1")
        }
        var counts: [Int] = []
        let searched = PlantedBug.allCases.filter { !Self.unseen.contains($0) }
        for bug in searched {
            let (found, how) = try search(bug)
            if let found { counts.append(found) }
            print("\(found.map { "\($0) seeds" } ?? "NOT FOUND")\t\(bug.rawValue)\t\(bug.summary)\t\(how)")
            fflush(nil)
        }
        counts.sort()
        let median = counts.isEmpty ? 0 : counts[counts.count / 2]
        print(
            "planted.found \(counts.count) of \(searched.count), median \(median) seeds (limit 500); "
                + "\(Self.unseen.count) that nothing shows yet are left out")
        if counts.count < searched.count { throw ExitCode(1) }
    }

    /// - Returns: after how many seeds it was found, and by which rule.
    private func search(_ bug: PlantedBug) throws -> (Int?, String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = ["simulate", "--bug", bug.rawValue, "--seeds", "\(seeds)", "--verbose"]
        if let workload = bug.workload { process.arguments?.append(contentsOf: ["--workload", workload]) }
        // A disk that is lost amid a failover can cost liveness without any bug (docs/internals/failover.md).
        if bug.workload == "failover" { process.arguments?.append(contentsOf: ["--faults", "nondestructive"]) }
        let output = Pipe()
        let errors = Pipe()
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let drained = Mutex(Data())
        errors.fileHandleForReading.readabilityHandler = { handle in
            let data = handle.availableData
            drained.withLock { $0.append(data) }
        }
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        errors.fileHandleForReading.readabilityHandler = nil
        let lines = text.split(separator: "\n")
        if let line = lines.last(where: { $0.hasPrefix("FOUND ") }) {
            let words = line.split(separator: " ", maxSplits: 2)
            return (Int(words[1]), String(words[2].prefix { $0 != ":" }))
        }
        guard process.terminationReason == .uncaughtSignal else { return (nil, "") }
        let message = String(decoding: drained.withLock { $0 }, as: UTF8.self)
        let fatal = message.split(separator: "\n").first { $0.contains("Fatal error:") } ?? "an assertion"
        let reason = fatal.components(separatedBy: "Fatal error: ").last ?? "an assertion"
        return (lines.filter { $0.hasPrefix("seed ") }.count + 1, "assertion: " + reason.prefix(60))
    }
}
