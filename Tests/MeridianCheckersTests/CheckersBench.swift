import Foundation
import MeridianCheckers
import Testing

/// How long checking takes, printed. Opt-in, and only meaningful in release:
/// `MERIDIAN_BENCH=1 swift test -c release -Xswiftc -enable-testing --filter CheckersBench`.
@Suite(.serialized, .enabled(if: ProcessInfo.processInfo.environment["MERIDIAN_BENCH"] != nil))
struct CheckersBench {
    private func measure<Result>(_ name: String, _ body: () throws -> Result) rethrows -> Result {
        let start = ContinuousClock.now
        let result = try body()
        let elapsed = (ContinuousClock.now - start) / .seconds(1)
        print("bench: \(name): \(String(format: "%.2f", elapsed)) s, peak \(Self.peakMiB) MiB")
        return result
    }

    /// Of the process so far.
    private static var peakMiB: Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM") } ?? ""
        return (Int(line.split(separator: " ").dropFirst().first ?? "") ?? 0) / 1024
    }

    private func write(_ generated: GeneratedHistory) throws -> String {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("history-\(UUID()).jsonl").path
        _ = FileManager.default.createFile(atPath: path, contents: nil)
        let file = try #require(FileHandle(forWritingAtPath: path))
        var writer = HistoryWriter()
        try generated.forEach { event in
            writer.write(event)
            if writer.bytes.count > 1 << 20 { try file.write(contentsOf: writer.take()) }
        }
        try file.write(contentsOf: writer.take())
        try file.close()
        return path
    }

    private func run(_ generated: GeneratedHistory, _ name: String) throws {
        let path = try measure("\(name): generate and write") { try write(generated) }
        defer { try? FileManager.default.removeItem(atPath: path) }
        let byteCount = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
        let file = try #require(FileHandle(forReadingAtPath: path))
        let history = try measure("\(name): read \(byteCount >> 20) MiB") {
            try HistoryReader.history(from: file, model: generated.model)
        }
        let verdict = try measure("\(name): check") { try Checker.check(history) }
        #expect(verdict.isValid)
    }

    @Test func registerOf100000Operations() throws {
        try run(.register(operations: 100_000, seed: 1), "register, 100,000 operations")
    }

    @Test func registersOf1000000Transactions() throws {
        try run(.registers(transactions: 1_000_000, seed: 1), "registers, 1,000,000 transactions")
    }

    @Test func appendOf1000000Transactions() throws {
        try run(.append(transactions: 1_000_000, seed: 1), "append, 1,000,000 transactions")
    }

    /// A broken history may not cost much more than a sound one.
    @Test func planted() throws {
        let generated = GeneratedHistory.append(transactions: 200_000, seed: 1)
        let events = generated.events
        for planted in PlantedAnomaly.ofAppend {
            let history = try History(model: .append, events: planted.planted(in: events, at: events.count / 2))
            let verdict = try measure("append, 200,000 transactions with \(planted.name)") {
                try Checker.check(history)
            }
            #expect(verdict.contains(planted.name))
        }
    }

    /// A read of the first version of a key at the end: a component as long as the history.
    @Test func staleReadAtTheEnd() throws {
        var events = GeneratedHistory.append(transactions: 200_000, seed: 1).events
        let last = try #require(events.last)
        let stale = TransactionStep.readList(.int(0), [])
        for phase in [HistoryEvent.Phase.invoke, .ok] {
            events.append(
                HistoryEvent(
                    index: last.index + (phase == .ok ? 2 : 1), process: 1_000_000, phase: phase,
                    value: .transaction([stale]), time: last.time))
        }
        let history = try History(model: .append, events: events)
        let verdict = try measure("append, 200,000 transactions with a stale read at the end") {
            try Checker.check(history)
        }
        #expect(verdict.contains(AnomalyName(rawValue: "G-single-realtime")))
    }
}
