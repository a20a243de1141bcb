import MeridianCheckers
import Testing

/// Valid histories are found valid, and survive being written and read.
struct GeneratedHistoryTests {
    @Test(arguments: HistoryModel.allCases) func generatedHistoriesAreValid(model: HistoryModel) throws {
        for seed in 0..<60 as Range<UInt64> {
            let history = try GeneratedHistory(model, count: 300, seed: seed).history()
            #expect(history.operations.count == 300)
            let verdict = try Checker.check(history)
            #expect(verdict.isValid, "seed \(seed): \(verdict.lines.joined(separator: "\n"))")
        }
    }

    @Test(arguments: HistoryModel.allCases) func aHistoryReadsBackAsItWasWritten(model: HistoryModel) throws {
        let generated = GeneratedHistory(model, count: 200, seed: 7)
        var writer = HistoryWriter()
        for event in generated.events { writer.write(event) }
        let text = String(decoding: writer.take(), as: UTF8.self)
        let read = try HistoryReader.history(of: text, model: model)
        let direct = try generated.history()
        #expect(read.operations.count == direct.operations.count)
        for (one, other) in zip(read.operations, direct.operations) {
            #expect(read.value(of: one) == direct.value(of: other))
            #expect(one.outcome == other.outcome && one.completionIndex == other.completionIndex)
        }
    }

    @Test func theSameSeedGivesTheSameHistory() {
        #expect(
            GeneratedHistory.append(transactions: 100, seed: 3).events
                == GeneratedHistory.append(transactions: 100, seed: 3).events)
        #expect(
            GeneratedHistory.append(transactions: 100, seed: 3).events
                != GeneratedHistory.append(transactions: 100, seed: 4).events)
    }

    @Test func generatedHistoriesHoldEveryOutcome() throws {
        let verdict = try Checker.check(GeneratedHistory.append(transactions: 2000, seed: 1).history())
        #expect(verdict.okCount > 0 && verdict.failCount > 0 && verdict.infoCount > 0)
    }
}
