import MeridianCore

/// An active-active table: every region commits in a copy of its own, and pulls what the others have committed
/// (`ConvergenceKeeper`).
///
/// Of each other copy a region asks for what is new, waits for the answer, takes it in, and asks again: at once if it
/// got something, else after a pause. So what is committed elsewhere waits for the next question to arrive, travels
/// with the answer, and is merged by a commit.
extension Predictor {
    func activeActive(_ copies: [PlannedRange], _ table: PlannedTable) -> HomePrediction {
        let origins = copies.filter { copy in
            table.writingRegions(of: topology).contains { nearest(copies, to: $0).home == copy.home }
        }
        let clients = topology.regions.map { client in
            let nearest = nearest(copies, to: client)
            let read = read(in: nearest.home, from: client, calls: 1)
            // A write is made against the record that its copy has, so it is read first.
            var write = write(nearest, from: client)
            write.routeNanoseconds += read.routeNanoseconds
            write.engineNanoseconds += read.engineNanoseconds
            let ages = origins.filter { $0.home != nearest.home }.map { pullAge(of: $0, into: nearest, copies, table) }
            return ClientPrediction(
                region: client, write: write, strongRead: nil, nearestRead: read,
                stalenessNanoseconds: ages.isEmpty ? 0 : freshestLag(ages) + read.p50Nanoseconds)
        }
        let shortfalls = copies.compactMap(\.shortfall)
        return HomePrediction(
            home: nil, members: copies.flatMap(\.members), shortfall: shortfalls.first, clients: clients,
            failures: activeActiveFailures(copies, table), cost: activeActiveCost(copies, table))
    }

    private func nearest(_ copies: [PlannedRange], to client: Region) -> PlannedRange {
        copies.dropFirst().reduce(copies[0]) { best, copy in
            roundTrip(client, copy.home) < roundTrip(client, best.home) ? copy : best
        }
    }

    // MARK: Pulls

    /// Between two questions of a copy to another one.
    private func pullCycleNanoseconds(
        of origin: PlannedRange, into copy: PlannedRange, _ copies: [PlannedRange], _ table: PlannedTable
    ) -> Int64 {
        let way = roundTrip(copy.home, origin.home)
        let asking = way + callNanoseconds(over: way)
        let isBusy = bringsNews(of: origin, every: asking, copies, table)
        return asking + (isBusy ? mergeNanoseconds(copy) : ClusterTiming.pullIntervalNanoseconds)
    }

    /// Whether there is a write to bring each time, on average. Where no rate is known, the longer cycle is taken.
    private func bringsNews(
        of origin: PlannedRange, every nanoseconds: Int64, _ copies: [PlannedRange], _ table: PlannedTable
    ) -> Bool {
        let writes = topology.regions.filter { nearest(copies, to: $0).home == origin.home }
            .reduce(0) { $0 + table.writes(from: $1) }
        return writes * Double(nanoseconds) >= 1_000_000_000
    }

    /// The own records are read, joined with those that came, and committed.
    private func mergeNanoseconds(_ copy: PlannedRange) -> Int64 {
        costs.callNanoseconds + write(copy, from: copy.home).p50Nanoseconds
    }

    /// How old what a copy has of another one is: the answer's way and the merge, and up to the time between two
    /// questions.
    private func pullAge(
        of origin: PlannedRange, into copy: PlannedRange, _ copies: [PlannedRange], _ table: PlannedTable
    ) -> UniformDelays.Delay {
        let cycle = pullCycleNanoseconds(of: origin, into: copy, copies, table)
        return UniformDelays.Delay(
            start: oneWay(copy.home, origin.home) + costs.hopNanoseconds + mergeNanoseconds(copy), width: cycle)
    }

    // MARK: Failures

    /// Each region goes on alone; what nobody had asked for yet is gone with its disks. What is on its way arrives.
    private func activeActiveFailures(_ copies: [PlannedRange], _ table: PlannedTable) -> [FailurePrediction] {
        let home = copies[0].home
        return situations(around: home, leader: copies[0].leader).map { failure, kind in
            let lost = lost(in: failure)
            let parts = parts(after: failure)
            var prediction = FailurePrediction(
                failure: failure, kind: kind, loss: .nothing, recovery: .unaffected, writable: [], strongReadable: [],
                staleReadable: [], clients: parts.flatMap(regions))
            for part in parts where copies.contains(where: { canCommit(part, $0) }) {
                prediction.writable += regions(of: part)
                prediction.staleReadable += regions(of: part)
            }
            let gone = copies.filter { meetsRule(lost, $0) }
            let left = copies.filter { copy in !gone.contains { $0.home == copy.home } }
            let unasked = gone.compactMap { origin in
                left.map { pullCycleNanoseconds(of: origin, into: $0, copies, table) }.min()
            }
            if !gone.isEmpty { prediction.loss = unasked.max().map { .last(nanoseconds: $0) } ?? .everything }
            // A region that is gone sends its clients to the next at once; one that lost a zone elects.
            if kind == .zone, let part = parts.first, canCommit(part, copies[0]) {
                let delays = electionDelays(part, copies[0])
                prediction.recovery = .after(nanoseconds: delays.medianOfEarliest)
                prediction.recoveryAtMostNanoseconds = delays.delays.map(\.end).min()
            }
            if prediction.writable.isEmpty { prediction.recovery = .untilItReturns }
            prediction.sort(by: topology.regions)
            return prediction
        }
    }

    // MARK: Cost

    private func activeActiveCost(_ copies: [PlannedRange], _ table: PlannedTable) -> CostPrediction {
        let writers = table.writingRegions(of: topology).map { ($0, table.writes(from: $0)) }
        var pulls = 0.0
        for copy in copies {
            for origin in copies where origin.home != copy.home {
                pulls += 1e9 / Double(pullCycleNanoseconds(of: origin, into: copy, copies, table))
            }
        }
        return cost(
            copies.flatMap(\.members), table, writers: writers,
            bytes: writers.map { region, _ in
                // Each other copy pulls it once, and replicates it inside of its region. A client without a copy sends
                // it twice, for the copy and for the span that is pulled from.
                (copies.count - 1 + (copies.contains { $0.home == region } ? 0 : 2)) * table.rowBytes
            }, pullsPerSecond: pulls)
    }
}
