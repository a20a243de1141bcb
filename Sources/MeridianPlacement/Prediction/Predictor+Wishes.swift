import MeridianCore

/// Whether a mode keeps what a table's owner wishes, and where it does not, which figure misses which wish.
extension Predictor {
    func missedWishes(_ prediction: ModePrediction, _ table: PlannedTable) -> [ModePrediction.Wish] {
        guard prediction.refusal == nil else { return [] }
        let wishes = table.wishes
        var missed: [ModePrediction.Wish] = []
        func miss(_ name: String, _ reason: String) { missed.append(ModePrediction.Wish(name: name, reason: reason)) }

        if prediction.mode == .activeActive, !wishes.toleratesConflicts {
            miss("conflicts", "two regions can change a row at once, and conflicts are not tolerable")
        }
        if let budget = wishes.writeBudgetNanoseconds, let worst = slowestWrite(prediction, table), worst.time > budget
        {
            miss(
                "write-budget",
                "a write from \(worst.region) takes \(TimeText.of(worst.time)) of \(TimeText.of(budget))")
        }
        if let limit = wishes.stalenessNanoseconds, prediction.mode == .activeActive {
            let oldest = clients(prediction, table).map(\.stalenessNanoseconds).max() ?? 0
            if oldest > limit {
                miss("staleness", "what other regions wrote shows after \(TimeText.of(oldest)), and no read is strong")
            }
        }
        if let budget = wishes.readBudgetNanoseconds {
            let reads = clients(prediction, table).map { ($0.region, readNanoseconds($0, wishes)) }
            if let worst = reads.max(by: { $0.1 < $1.1 }), worst.1 > budget {
                miss("read-budget", "a read from \(worst.0) takes \(TimeText.of(worst.1)) of \(TimeText.of(budget))")
            }
        }
        let failures = prediction.homes.flatMap(\.failures).filter { $0.kind == .home || $0.kind == .other }
        if let limit = wishes.rpoNanoseconds { missedRPO(limit, failures).map { miss("rpo", $0) } }
        if let limit = wishes.rtoNanoseconds { missedRTO(limit, failures).map { miss("rto", $0) } }
        return missed
    }

    /// The slowest p50 of a write by those who write, each to the rows of its own home where there is one.
    func slowestWrite(_ prediction: ModePrediction, _ table: PlannedTable) -> (region: Region, time: Int64)? {
        var worst: (region: Region, time: Int64)?
        for region in table.writingRegions(of: topology) {
            guard let time = prediction.home(for: region)?.client(region)?.write.p50Nanoseconds else { continue }
            if worst.map({ time > $0.time }) ?? true { worst = (region, time) }
        }
        return worst
    }

    private func clients(_ prediction: ModePrediction, _ table: PlannedTable) -> [ClientPrediction] {
        table.clientRegions(of: topology).compactMap { prediction.home(for: $0)?.client($0) }
    }

    /// At the nearest copy where that is as fresh as asked for, else strong.
    func readNanoseconds(_ client: ClientPrediction, _ wishes: PlannedTable.Wishes) -> Int64 {
        let limit = wishes.stalenessNanoseconds ?? .max
        guard let strong = client.strongRead, client.stalenessNanoseconds > limit || limit == 0 else {
            return client.nearestRead.p50Nanoseconds
        }
        return strong.p50Nanoseconds
    }

    private func missedRPO(_ limit: Int64, _ failures: [FailurePrediction]) -> String? {
        for failure in failures where failure.loss == .everything {
            return "\(failure.failure) takes all rows at home there, unless its disks come back"
        }
        var worst: (failure: PlannedFailure, time: Int64)?
        for failure in failures {
            guard case .last(let time) = failure.loss, time > limit, time > worst?.time ?? -1 else { continue }
            worst = (failure.failure, time)
        }
        return worst.map { "\($0.failure) takes the last \(TimeText.of($0.time)) of commits" }
    }

    private func missedRTO(_ limit: Int64, _ failures: [FailurePrediction]) -> String? {
        for failure in failures {
            switch failure.recovery {
            case .unaffected: continue
            case .after(let time):
                if time > limit { return "after \(failure.failure) commits go on after \(TimeText.of(time))" }
            case .promotion: return "after \(failure.failure) the table stands still until somebody promotes a copy"
            case .untilItReturns: return "after \(failure.failure) the table stands still until it comes back"
            }
        }
        return nil
    }
}
