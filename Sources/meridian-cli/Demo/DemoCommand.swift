import ArgumentParser
import BenchSupport
import Dispatch
import Foundation
import Meridian
import MeridianRuntime

/// `meridian demo`: the arguments, the time limit, and the exit code.
struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract:
            "Run a cluster of five regions in this process, and watch it commit, read, fail over and stay at home.",
        discussion: """
            Fifteen nodes, three in each of five AWS regions, each with its own SQLite files, on links as long as the \
            real ones. Takes about half a minute. The exit code is 0 only if nothing was lost and no row left its law.
            """)

    @Option(help: "text for people, json for machines.")
    var format = OutputFormat.text

    @Option(help: "Keep the nodes' files here, and go on from them next time. Without it they are removed at the end.")
    var directory: String?

    @Option(help: "Seeds jitter, election timeouts and the choice of canaries.")
    var seed: UInt64 = 1

    /// The demo promises to end by itself in less than 120 seconds, whatever happens.
    private static let limit = Duration.seconds(110)

    func run() async throws {
        let screen = Screen(showsText: format == .text)
        let files = try DemoDirectory(directory)
        defer { files.removeIfTemporary() }
        let signals = [SIGINT, SIGTERM].map(files.removed(on:))
        defer { for signal in signals { signal.cancel() } }
        let isSound = try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                let report = FigureReport()
                let isSound = try await Demo.run(in: files, seed: seed, screen: screen, report: report)
                if format == .json { screen.machine(try report.json()) }
                return isSound
            }
            group.addTask {
                await Pause.sleep(for: Self.limit)
                guard !Task.isCancelled else { return false }
                // What hangs does not answer to cancellation either.
                screen.note("the demo did not end within \(Self.limit.components.seconds) s; this is a defect")
                files.removeIfTemporary()
                Foundation.exit(1)
            }
            defer { group.cancelAll() }
            return try await group.next() ?? false
        }
        if !isSound { throw ExitCode.failure }
    }
}

/// Where the demo's nodes keep their files.
struct DemoDirectory: Sendable {
    let path: String
    let isTemporary: Bool
    /// Whether a demo has run here before.
    let isResumed: Bool

    /// - Throws: `.storageFailed` if the directory cannot be made.
    init(_ chosen: String?) throws {
        let manager = FileManager.default
        isTemporary = chosen == nil
        let url =
            chosen.map { URL(fileURLWithPath: $0) }
            ?? manager.temporaryDirectory.appendingPathComponent("meridian-demo-\(UUID())")
        path = url.path
        isResumed = manager.fileExists(atPath: url.appendingPathComponent("CLUSTER").path)
        do {
            try manager.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw MeridianError(.storageFailed, "the directory \(path) cannot be made; choose another --directory")
        }
    }

    func removeIfTemporary() {
        if isTemporary { try? FileManager.default.removeItem(atPath: path) }
    }

    /// A signal that ends the process, such as Control-C, leaves no temporary files behind. Lasts until the result is
    /// cancelled.
    func removed(on number: Int32) -> any DispatchSourceSignal {
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler {
            removeIfTemporary()
            Foundation.exit(128 + number)
        }
        source.resume()
        return source
    }
}
