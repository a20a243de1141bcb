import MeridianCheckers
import Testing

/// Every anomaly that a checker knows is found: alone, and hidden in a valid history.
struct PlantedAnomalyTests {
    static let all =
        PlantedAnomaly.ofAppend + PlantedAnomaly.ofRegisters + PlantedAnomaly.ofRegister + PlantedAnomaly.ofBank
        + PlantedAnomaly.ofSet + PlantedAnomaly.ofOrders

    @Test(arguments: all.indices) func isFoundAlone(number: Int) throws {
        let planted = Self.all[number]
        // A total that one read cannot tell is told by the other histories.
        guard planted.model != .bank || planted.name == .negativeBalance else { return }
        let verdict = try Checker.check(History(model: planted.model, events: planted.history))
        #expect(verdict.contains(planted.name), "\(planted.name): \(verdict.lines.joined(separator: "\n"))")
    }

    @Test(arguments: all.indices) func isFoundInAValidHistory(number: Int) throws {
        let planted = Self.all[number]
        // These read the whole set, so they cannot be put into one that holds other elements.
        guard planted.model != .set, planted.model != .causal else { return }
        for seed in 0..<10 as Range<UInt64> {
            let events = GeneratedHistory(planted.model, count: 400, seed: seed).events
            // Late enough that a bank has been read before.
            let position = events.count / 2 + Int(seed) * 20
            let verdict = try Checker.check(
                History(model: planted.model, events: planted.planted(in: events, at: position)))
            #expect(verdict.contains(planted.name), "\(planted.name): \(verdict.lines.joined(separator: "\n"))")
        }
    }

    @Test func whatNeedsRealTimeIsSerializable() throws {
        for planted in Self.all
        where planted.name.rawValue.hasSuffix("-realtime") || planted.name.rawValue.hasSuffix("-process") {
            let history = try History(model: planted.model, events: planted.history)
            let verdict = try Checker.check(history, consistency: .serializable)
            #expect(verdict.isValid, "\(planted.name): \(verdict.lines.joined(separator: "\n"))")
        }
    }

    @Test func aDataCycleIsNamedWithoutASuffix() throws {
        for planted in Self.all
        where planted.name.rawValue.hasPrefix("G") && !planted.name.rawValue.contains("-realtime") {
            let verdict = try Checker.check(History(model: planted.model, events: planted.history))
            let isSuffixed = verdict.totals.contains { $0.name.rawValue == planted.name.rawValue + "-realtime" }
            #expect(!isSuffixed, "\(planted.name)")
        }
    }
}
