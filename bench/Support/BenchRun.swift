import ArgumentParser
import Foundation
import MeridianCore

/// What every bench has in common: its option, where progress goes, and how figures are printed (DESIGN §13).
package enum OutputFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    case text
    case json
}

package enum BenchRun {
    /// Progress goes to standard error, so that standard output holds the figures alone.
    package static func note(_ text: String) {
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }

    package static func print(_ report: FigureReport, as format: OutputFormat) throws {
        let text = format == .json ? try report.json() : report.text()
        FileHandle.standardOutput.write(Data((text + "\n").utf8))
    }

    /// Processor time of the whole process, user and system, in seconds.
    package static func processorSeconds() -> Double { Double(clock()) / Double(CLOCKS_PER_SEC) }

    /// A directory on the disk that the bench stands on: /tmp may be memory.
    package static func makeDirectory(_ name: String) throws -> String {
        let path = FileManager.default.currentDirectoryPath + "/.build/bench-\(name)-\(UUID())"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }
}
