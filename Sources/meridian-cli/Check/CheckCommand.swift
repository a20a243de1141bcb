import ArgumentParser
import BenchSupport
import Foundation
import MeridianCheckers

/// `meridian check`: a history from a file or a pipe, a verdict, and an exit code that a script can use.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Judge a recorded history: is it what a consistent store could have answered?",
        discussion: """
            A history is JSON lines, one event a line; docs/CHECKERS.md describes the format and every anomaly. The \
            exit code is 0 if the history is valid, 1 if it holds an anomaly, 2 if it is malformed or cannot be judged.
            """)

    @Option(help: "What the history is about: \(Self.models).")
    var model: String

    @Option(help: "text for people, json for machines.")
    var format = OutputFormat.text

    @Option(help: "What transactions were promised: \(Self.consistencies). For append, registers and bank.")
    var consistency = SerializabilityChecker.Consistency.strictSerializable.rawValue

    @Argument(help: "The history; - is standard input.")
    var file: String

    private static let models = HistoryModel.allCases.map(\.rawValue).joined(separator: ", ")
    private static let consistencies =
        SerializabilityChecker.Consistency.allCases.map(\.rawValue).joined(separator: ", ")

    private static let anomalyCode: Int32 = 1
    private static let malformedCode: Int32 = 2

    func run() throws {
        guard let model = HistoryModel(rawValue: model) else {
            throw refuse("unknown model \(model); the models are \(Self.models)")
        }
        guard let consistency = SerializabilityChecker.Consistency(rawValue: consistency) else {
            throw refuse("unknown consistency \(consistency); known are \(Self.consistencies)")
        }
        let verdict = try judge(model, consistency)
        let screen = Screen(showsText: format == .text)
        if format == .json {
            screen.machine(try CheckReport(verdict, consistency).json())
        } else {
            for line in verdict.lines { screen.line(line) }
        }
        if !verdict.isValid { throw ExitCode(Self.anomalyCode) }
    }

    private func judge(
        _ model: HistoryModel, _ consistency: SerializabilityChecker.Consistency
    ) throws -> Verdict {
        guard let input = file == "-" ? FileHandle.standardInput : FileHandle(forReadingAtPath: file) else {
            throw refuse("\(file) cannot be read")
        }
        do {
            let history = try HistoryReader.history(from: input, model: model)
            // An empty file is more likely a recorder that failed than a history without anything wrong.
            guard !history.operations.isEmpty else { throw refuse("\(file) holds no operations") }
            return try Checker.check(history, consistency: consistency)
        } catch let error as HistoryError {
            throw refuse("\(file) is malformed: \(error)")
        } catch let error as CheckerError {
            throw refuse("\(file) cannot be judged: \(error)")
        } catch let error as ExitCode {
            throw error
        } catch {
            throw refuse("\(file) cannot be read: \(error)")
        }
    }

    /// Says why there is no verdict, on standard error.
    private func refuse(_ reason: String) -> ExitCode {
        FileHandle.standardError.write(Data("meridian check: \(reason)\n".utf8))
        return ExitCode(Self.malformedCode)
    }
}
