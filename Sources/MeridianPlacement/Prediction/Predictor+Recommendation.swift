import MeridianCore

/// The decision tree of the field, asked with the plan's own figures.
///
/// | question | yes | no |
/// |---|---|---|
/// | must rows stay under a law? | geo-partitioned data | next |
/// | is there a second region? | next | single region |
/// | do several regions ask? | next | active-passive |
/// | are conflicts tolerable? | active-active | next |
/// | do writers have the time for a quorum of regions? | synchronous replication | geo-partitioned writes |
///
/// A pattern offers several modes, in the order of what they cost; the first that keeps all wishes is advised, and if
/// none does, the one that misses fewest, with what it misses.
extension Predictor {
    package func recommend(_ table: PlannedTable) -> Recommendation {
        var steps: [Recommendation.Step] = []
        let clients = table.clientRegions(of: topology)
        let wishes = table.wishes

        let isRestricted = table.placement == .restricted
        steps.append(
            step(
                "must rows stay under a law?", isRestricted,
                ["placement \(isRestricted ? "restricted" : "unrestricted")"]))
        if isRestricted {
            return choose(
                .geoPartitioned, [.synchronousRegion] + durableThenFast(wishes),
                table.byRow(unless: clients.count == 1),
                steps, ["pin each row by its region's column; read across regions by asking each and adding up"])
        }
        let count = topology.regions.count
        steps.append(step("is there a second region?", count > 1, ["\(count) regions in the plan"]))
        guard count > 1 else { return choose(.singleRegion, [.synchronousZone], table, steps, []) }

        steps.append(
            step("do several regions ask?", clients.count > 1, ["reads or writes from \(list(clients))"]))
        guard clients.count > 1 else {
            return choose(
                .activePassive, durableThenFast(wishes) + [.synchronousRegion], table, steps,
                ["home the rows in \(clients[0])"])
        }
        steps.append(
            step(
                "are conflicts tolerable?", wishes.toleratesConflicts,
                ["conflicts \(wishes.toleratesConflicts ? "tolerable" : "none")"]))
        if wishes.toleratesConflicts {
            return choose(
                .activeActive, [.activeActive], table, steps,
                ["choose a resolver for each column; counters and sets merge without loss"])
        }
        return recommendWithoutConflicts(table, steps)
    }

    private func recommendWithoutConflicts(
        _ table: PlannedTable, _ steps: [Recommendation.Step]
    ) -> Recommendation {
        let budget = table.wishes.writeBudgetNanoseconds
        let synchronous: [PlannedMode] =
            isReadMostly(table) ? [.global, .synchronousRegion] : [.synchronousRegion, .global]
        var inputs = [budget.map { "write-budget \(TimeText.of($0))" } ?? "no write-budget"]
        var hasTime = false
        for mode in synchronous {
            let prediction = predict(mode, table)
            guard let worst = slowestWrite(prediction, table) else {
                inputs.append("\(mode): \(prediction.refusal ?? "nobody writes")")
                continue
            }
            inputs.append("\(mode): \(TimeText.of(worst.time)) from \(worst.region)")
            if worst.time <= budget ?? .max { hasTime = true }
        }
        let steps = steps + [step("do writers have the time for a quorum of regions?", hasTime, inputs)]
        if hasTime {
            return choose(
                .synchronous, synchronous.filter { !misses("write-budget", $0, table) }, table, steps,
                ["read what may be stale at the nearest copy"])
        }
        return choose(
            .geoPartitionedWrites, durableThenFast(table.wishes), table.byRow(unless: false), steps,
            [
                "home each row in the region of its writer (regional by row)",
                "read across regions with causal tokens, which keep read-your-writes",
            ])
    }

    /// Read everywhere and hardly written: what global tables are for.
    private func isReadMostly(_ table: PlannedTable) -> Bool {
        let writes = topology.regions.reduce(0) { $0 + table.writes(from: $1) }
        let reads = topology.regions.reduce(0) { $0 + table.reads(from: $1) }
        return table.locality == .global || reads >= 100 * writes && reads > 0
    }

    /// One home, copies elsewhere: what a lost region may take decides whether commits wait for those.
    private func durableThenFast(_ wishes: PlannedTable.Wishes) -> [PlannedMode] {
        wishes.rpoNanoseconds == 0
            ? [.semiSynchronous(remoteRegions: 1), .asynchronous, .synchronousZone]
            : [.asynchronous, .semiSynchronous(remoteRegions: 1), .synchronousZone]
    }

    private func misses(_ wish: String, _ mode: PlannedMode, _ table: PlannedTable) -> Bool {
        let prediction = predict(mode, table)
        return prediction.refusal != nil || prediction.missed.contains { $0.name == wish }
    }

    private func choose(
        _ pattern: Recommendation.Pattern, _ modes: [PlannedMode], _ table: PlannedTable,
        _ steps: [Recommendation.Step], _ advice: [String]
    ) -> Recommendation {
        var best: ModePrediction?
        var inputs: [String] = []
        for mode in modes {
            let prediction = predict(mode, table)
            if let refusal = prediction.refusal {
                inputs.append("\(mode): refused, \(refusal)")
                continue
            }
            let missed = prediction.missed.map { "\($0.name) (\($0.reason))" }.joined(separator: ", ")
            inputs.append("\(mode): " + (missed.isEmpty ? "keeps every wish" : "misses \(missed)"))
            if best.map({ prediction.missed.count < $0.missed.count }) ?? true { best = prediction }
            if prediction.missed.isEmpty { break }
        }
        let answer = best.map { "\($0.mode)" } ?? "none"
        return Recommendation(
            pattern: pattern, mode: best?.mode, advice: advice,
            steps: steps + [.init(question: "which mode of \(pattern.rawValue)?", answer: answer, inputs: inputs)],
            missed: best?.missed ?? [])
    }

    private func step(_ question: String, _ answer: Bool, _ inputs: [String]) -> Recommendation.Step {
        Recommendation.Step(question: question, answer: answer ? "yes" : "no", inputs: inputs)
    }

    private func list(_ regions: [Region]) -> String { regions.map(\.rawValue).joined(separator: ", ") }
}

extension PlannedTable {
    /// The same table with its rows at home with their clients.
    fileprivate func byRow(unless isFixed: Bool) -> PlannedTable {
        var table = self
        if case .regionalByRow = locality { return table }
        if !isFixed { table.locality = .regionalByRow(column: "region") }
        return table
    }
}
