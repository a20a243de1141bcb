import ArgumentParser
import Foundation
import MeridianCore
import MeridianPlacement
import Testing

@testable import meridian_cli

/// `meridian plan`: the sample plans, its output, its exit codes, and what it says to bad input.
@Suite struct PlanCommandTests {
    private static let examples = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../docs/examples").standardized

    private func example(_ name: String) -> String { Self.examples.appendingPathComponent(name).path }

    /// A plan of a test's own, in a file that is removed afterwards.
    private func withPlan<Result>(_ text: String, _ body: (String) throws -> Result) throws -> Result {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("meridian-\(UUID()).plan")
        try Data(text.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        return try body(file.path)
    }

    private func exitCode(_ arguments: [String]) throws -> Int32 {
        do {
            try PlanCommand.parse(arguments).run()
            return 0
        } catch {
            return PlanCommand.exitCode(for: error).rawValue
        }
    }

    @Test(arguments: ["shop.plan", "bank.plan", "standby.plan", "stores.plan"])
    func everySampleIsAPlanWhoseWishesCanBeKept(name: String) throws {
        let plan = try PlanInput.plan(file: example(name))
        let report = PlanReport(plan, tables: plan.tables, modes: [])
        for table in report.tables {
            #expect(table.missed.isEmpty, "\(table.table.name): \(table.missed)")
            #expect(table.recommendation.mode != nil)
            #expect(table.modes.contains { $0.refusal == nil })
        }
    }

    @Test func theFourKindsOfTableGetFourPatterns() throws {
        func recommended(_ file: String) throws -> [Recommendation.Pattern] {
            let plan = try PlanInput.plan(file: example(file))
            return PlanReport(plan, tables: plan.tables, modes: []).tables.map(\.recommendation.pattern)
        }
        #expect(try recommended("shop.plan") == [.synchronous, .activeActive, .synchronous])
        #expect(try recommended("bank.plan") == [.geoPartitioned])
        #expect(try recommended("standby.plan") == [.activePassive])
    }

    /// `docs/examples/standby.txt` is what `meridian plan docs/examples/standby.plan` prints; written anew when
    /// `MERIDIAN_REWRITE=1`.
    @Test func theTextOfASampleIsAsRecorded() throws {
        let plan = try PlanInput.plan(file: example("standby.plan"))
        let text = PlanText(PlanReport(plan, tables: plan.tables, modes: [])).lines.joined(separator: "\n") + "\n"
        let recorded = URL(fileURLWithPath: example("standby.txt"))
        if ProcessInfo.processInfo.environment["MERIDIAN_REWRITE"] == "1" { try Data(text.utf8).write(to: recorded) }
        #expect(text == (try String(contentsOf: recorded, encoding: .utf8)))
    }

    @Test func theJSONSaysWhatThePredictorSays() throws {
        let plan = try PlanInput.plan(file: example("stores.plan"))
        let json = try PlanReport(plan, tables: plan.tables, modes: [.synchronousRegion]).json()
        let object = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
        let table = try #require((object["tables"] as? [[String: Any]])?.first)
        #expect(table["declaredMode"] as? String == "synchronous-region")
        let modes = try #require(table["modes"] as? [[String: Any]])
        #expect(modes.count == 1)
        let home = try #require((modes[0]["homes"] as? [[String: Any]])?.first)
        let client = try #require((home["clients"] as? [[String: Any]])?.first { $0["region"] as? String == "oslo" })
        let write = try #require(client["write"] as? [String: Any])
        let predicted = plan.predictor.predict(.synchronousRegion, plan.tables[0]).homes.first?.client("oslo")?.write
        let expected = try #require(predicted)
        #expect(write["p50Milliseconds"] as? Double == Double(expected.p50Nanoseconds) / 1_000_000)
        // Oslo to Paris, and Paris to Madrid, whose distance the plan gives anew.
        let floor = try #require(write["floorMilliseconds"] as? Double)
        #expect(abs(floor - 53) < 0.001)
        #expect(write["limitedBy"] as? String == "quorum")
    }

    @Test func exitCodesTellWishesThatAreMissedFromPlansThatAreMalformed() throws {
        #expect(try exitCode([example("standby.plan"), "--mode", "asynchronous"]) == 0)
        let head = "region paris\nregion oslo\nmatrix uniform 28ms\ntable t\nlocality in paris\n"
        #expect(try withPlan(head + "mode asynchronous\nrpo 0") { try exitCode([$0]) } == 1)
        #expect(try withPlan(head + "survival region") { try exitCode([$0]) } == 1)
        #expect(try withPlan(head + "lokality in oslo") { try exitCode([$0]) } == 2)
        #expect(try exitCode(["/nowhere.plan"]) == 2)
    }

    @Test func aTypoIsToldWithFileLineAndSuggestion() throws {
        try withPlan("region paris\ntable t\n  locality in pariss\n") { path in
            let error = try #require(throws: PlanFileError.self) { _ = try PlanInput.plan(file: path) }
            #expect(
                "\(error)"
                    == "\(path):3:15: there is no region \"pariss\"; known are paris; did you mean \"paris\"?")
        }
    }

    @Test(arguments: [
        ([], "name a plan, or --preset aws with --regions"),
        (["a.plan", "--preset", "aws", "--regions", "us-east-1"], "one of the two"),
        (["--preset", "aws"], "--preset and --regions go together"),
        (["--preset", "gcp", "--regions", "a"], "there is no preset \"gcp\""),
        (["--preset", "aws", "--regions", "us-eats-1"], "Did you mean \"us-east-1\"?"),
        (["--preset", "aws", "--regions", ","], "names no region"),
        (["a.plan", "--mode", "asynchronus"], "Did you mean \"asynchronous\"?"),
    ])
    func wrongArgumentsAreAnsweredWithWhatIsKnown(arguments: [String], answer: String) throws {
        let error = try #require(throws: (any Error).self) { try PlanCommand.parse(arguments).run() }
        let message = PlanCommand.message(for: error) + PlanCommand.fullMessage(for: error)
        #expect(message.contains(answer), "\(message)")
    }

    @Test func aTableThatThePlanLacksIsToldWithTheNearest() throws {
        let command = try PlanCommand.parse([example("shop.plan"), "--table", "order"])
        let error = try #require(throws: (any Error).self) { try command.run() }
        #expect(PlanCommand.message(for: error).contains("Did you mean \"orders\"?"))
    }
}
