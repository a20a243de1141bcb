import Foundation
import Testing

/// Runs Scenarios/*.txt: each command's output must be what the file recorded.
///
/// `MERIDIAN_REWRITE_SCENARIOS=1 swift test --filter ScenarioTests` records again; read the difference before you
/// commit it, since a recorded mistake is a test that defends it.
@Suite struct ScenarioTests {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Scenarios")

    static let files: [String] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter { $0.hasSuffix(".txt") }.sorted()
    }()

    @Test(arguments: files) func scenario(_ file: String) throws {
        let url = Self.folder.appending(path: file)
        let recorded = try String(contentsOf: url, encoding: .utf8)
        var world = ScenarioWorld()
        let now = ScenarioFile(recorded).rewritten { world.run($0) }
        if ProcessInfo.processInfo.environment["MERIDIAN_REWRITE_SCENARIOS"] == "1" {
            try now.write(to: url, atomically: true, encoding: .utf8)
            return
        }
        let pairs = zip(
            recorded.split(separator: "\n", omittingEmptySubsequences: false),
            now.split(separator: "\n", omittingEmptySubsequences: false))
        if recorded != now {
            let line = pairs.enumerated().first { $0.element.0 != $0.element.1 }
            Issue.record(
                "\(file):\((line?.offset ?? 0) + 1) recorded \"\(line?.element.0 ?? "")\", "
                    + "now \"\(line?.element.1 ?? "")\""
            )
        }
    }

    @Test func thereAreScenarios() { #expect(Self.files.count >= 25) }
}
