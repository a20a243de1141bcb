import Foundation

/// Runs seeds in processes of their own, several at once, one seed at a time in each.
///
/// A world is single-threaded, so processes are how several run at once; and a run that traps or hangs takes no other
/// with it. A worker gets the next job only after the result of the last, so whose fault its end is, is certain. All of
/// it happens on one thread, which waits for the workers' pipes.
final class WorkerPool {
    /// What to start: reads `SeedJob`s and writes `SeedResult`s, as JSON lines.
    struct Command {
        var executable: URL
        var arguments: [String]
        var environment: [String: String] = ProcessInfo.processInfo.environment
    }

    private let command: Command
    private let workerCount: Int
    private let patienceSeconds: Int
    private var workers: [Worker] = []

    /// - Parameters:
    ///   - workerCount: how many processes at once.
    ///   - patienceSeconds: a run that takes longer is ended.
    init(_ command: Command, workerCount: Int, patienceSeconds: Int) {
        precondition(workerCount > 0, "\(workerCount) workers")
        self.command = command
        self.workerCount = workerCount
        self.patienceSeconds = patienceSeconds
        // Writing to a worker that has just ended is an error to be read, not a signal to die of.
        signal(SIGPIPE, SIG_IGN)
    }

    deinit { workers.forEach { $0.end() } }

    /// Runs jobs until there are none.
    /// - Parameters:
    ///   - next: the next job; nil when no further one is to begin.
    ///   - done: is told of each, in the order in which they end.
    func run(next: () -> SeedJob?, done: (SeedJob, SeedOutcome) throws -> Void) throws {
        var isOver = false
        while true {
            while !isOver, workers.count < workerCount || workers.contains(where: { $0.job == nil }) {
                guard let job = next() else {
                    isOver = true
                    break
                }
                let worker = try workers.first { $0.job == nil } ?? start()
                worker.give(job)
            }
            guard workers.contains(where: { $0.job != nil }) else { break }
            wait()
            for worker in workers {
                guard let job = worker.job, let outcome = worker.outcome(patienceSeconds) else { continue }
                if worker.hasEnded { workers.removeAll { $0 === worker } }
                try done(job, outcome)
            }
        }
    }

    private func start() throws -> Worker {
        let worker = try Worker(command)
        workers.append(worker)
        return worker
    }

    /// Until a worker says something, or ends, or a tenth of a second has passed.
    private func wait() {
        var waits = workers.filter { $0.job != nil }.map { pollfd(fd: $0.output, events: Int16(POLLIN), revents: 0) }
        _ = poll(&waits, nfds_t(waits.count), 100)
        for (worker, wait) in zip(workers.filter { $0.job != nil }, waits) where wait.revents != 0 { worker.hear() }
    }
}

/// One process of a pool.
private final class Worker {
    private let process = Process()
    private let input = Pipe()
    private let answers = Pipe()
    /// A file, so that last words of any length never hold the process up.
    private let lastWords: URL
    private var heard = Data()
    private var isSilent = false
    private var began = ContinuousClock.now
    private(set) var job: SeedJob?
    private(set) var hasEnded = false

    init(_ command: WorkerPool.Command) throws {
        lastWords = FileManager.default.temporaryDirectory.appendingPathComponent("meridian-worker-\(UUID())")
        _ = FileManager.default.createFile(atPath: lastWords.path, contents: nil)
        process.executableURL = command.executable
        process.arguments = command.arguments
        process.environment = command.environment
        process.standardInput = input
        process.standardOutput = answers
        process.standardError = try FileHandle(forWritingTo: lastWords)
        try process.run()
    }

    var output: Int32 { answers.fileHandleForReading.fileDescriptor }

    func give(_ job: SeedJob) {
        self.job = job
        began = .now
        guard let line = try? JSONEncoder().encode(job) else { preconditionFailure("a job is always JSON") }
        // A worker that has ended shows that by its silence.
        try? input.fileHandleForWriting.write(contentsOf: line + Data("\n".utf8))
    }

    func hear() {
        let data = answers.fileHandleForReading.availableData
        if data.isEmpty { isSilent = true } else { heard.append(data) }
    }

    /// How its job ended, if it has. The worker is free then, or has ended.
    func outcome(_ patienceSeconds: Int) -> SeedOutcome? {
        let newline = UInt8(ascii: "\n")
        while let end = heard.firstIndex(of: newline) {
            let line = heard[heard.startIndex..<end]
            heard = Data(heard[(end + 1)...])
            guard let result = try? JSONDecoder().decode(SeedResult.self, from: line), result.seed == job?.seed else {
                continue
            }
            job = nil
            return .finished(result)
        }
        if isSilent { return .crashed(end()) }
        guard ContinuousClock.now - began > .seconds(patienceSeconds) else { return nil }
        end()
        return .hung(seconds: patienceSeconds)
    }

    /// Ends the process, if it has not ended by itself.
    /// - Returns: why it ended, in words.
    @discardableResult
    func end() -> String {
        guard !hasEnded else { return "" }
        hasEnded = true
        job = nil
        if !isSilent, process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
        defer { try? FileManager.default.removeItem(at: lastWords) }
        let words = (try? String(contentsOf: lastWords, encoding: .utf8)) ?? ""
        let how =
            process.terminationReason == .uncaughtSignal
            ? "signal \(process.terminationStatus)" : "exit code \(process.terminationStatus)"
        return [how, Self.essence(words)].filter { !$0.isEmpty }.joined(separator: ": ")
    }

    /// The fatal error, and where a backtrace says that it happened.
    private static func essence(_ words: String) -> String {
        let lines = words.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
        let fatal = lines.first { $0.contains("Fatal error") || $0.contains("Assertion failed") }
        let frames = lines.filter { $0.contains(" in ") && $0.contains(" at /") && !$0.contains("/stdlib/") }
        let parts = [fatal ?? lines.last { !$0.isEmpty }] + frames.prefix(3).map { Optional($0) }
        return parts.compactMap { $0 }.joined(separator: "; ")
    }
}
