import BenchSupport
import Foundation

/// What the user sees: text or one JSON object on standard output, progress and notes on standard error.
struct Screen: Sendable {
    /// Whether results are printed for people.
    let showsText: Bool

    func line(_ text: String = "") {
        if showsText { machine(text) }
    }

    /// A heading and what the figures under it mean.
    func section(_ title: String, _ explanation: String) {
        line()
        line(title)
        line(String(repeating: "─", count: title.count))
        line(explanation)
        line()
    }

    func table(_ table: TextTable) {
        for text in table.lines { line("  " + text) }
    }

    /// Printed in either format.
    func machine(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }

    /// Something worth knowing that is no result.
    func note(_ text: String) { FileHandle.standardError.write(Data(("meridian demo: " + text + "\n").utf8)) }
}

/// How far something is, on standard error: a bar that is redrawn on a terminal, elsewhere a line each quarter.
final class ProgressBar: Sendable {
    private let title: String
    private let total: Int
    private let isTerminal = isatty(2) == 1
    private let start = ContinuousClock.now
    private let state = Locked(State())

    private struct State {
        var done = 0
        var shown = -1
    }

    private static let width = 30

    init(_ title: String, total: Int) {
        precondition(total > 0, "progress towards \(total)")
        self.title = title
        self.total = total
    }

    func advance(by count: Int) {
        state.with { state in
            state.done = min(state.done + count, total)
            // A terminal sees each per cent, a log file each quarter.
            let step = state.done * 100 / total / (isTerminal ? 1 : 25)
            guard step > state.shown else { return }
            state.shown = step
            FileHandle.standardError.write(Data(picture(state.done).utf8))
        }
    }

    private func picture(_ done: Int) -> String {
        let seconds = max((ContinuousClock.now - start).milliseconds / 1000, 0.001)
        let rate = Decimals.grouped(Int(Double(done) / seconds))
        let counts = "\(Decimals.grouped(done)) of \(Decimals.grouped(total)), \(rate)/s"
        guard isTerminal else { return "\(title): \(counts)\n" }
        let filled = done * Self.width / total
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: Self.width - filled)
        return "\r\u{1B}[2K\(title) \(bar) \(counts)" + (done == total ? "\n" : "")
    }
}
