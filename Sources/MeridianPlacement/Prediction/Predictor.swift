import MeridianCore

/// Predicts what each way to replicate a table costs and keeps on a topology, from the engine's own rules: where
/// `ReplicaPlanner` puts copies, what `quorumRoundTripNanoseconds` says a commit waits for, and the timers that the
/// nodes run by (`ClusterTiming`).
///
/// | predicted | from |
/// |---|---|
/// | write | client to leaseholder and back; there the longest of the own disk, the quorum, the commit wait |
/// | strong read | client to leaseholder and back; of a global table the nearest copy |
/// | nearest read | the nearest copy, and a wait if it cannot have heard yet what the client's node has |
/// | staleness | the way from the leaseholder, and the time between two closed timestamps |
/// | failures | which members are left, whether they meet the rule, who campaigns when |
///
/// It promises: equal inputs give equal answers on every machine; no time, no randomness, no I/O.
/// It leaves out: load (queues, contention for rows), jitter of links, transactions over several ranges, disks slower
/// than `CostModel` says. docs/PLANNER.md has how far it is off.
package struct Predictor: Sendable {
    package let topology: Topology
    /// The clocks' error ε to either side.
    package let epsilonNanoseconds: Int64
    package let timing: ClusterTiming
    package let costs: CostModel
    package let failover: FailoverPolicy
    let planner: ReplicaPlanner
    /// The range with the cluster's own records: every node's local reads go by it too (`NodeCore+Freshness`), and
    /// failovers are commits to it.
    let system: PlannedRange
    var systemHome: Region { system.home }

    /// What happens to a table that cannot elect a leaseholder, while another region has its rows.
    package enum FailoverPolicy: Hashable, Sendable {
        /// Somebody promotes a copy.
        case manual
        /// A copy is promoted when the home region has not renewed its authority for so long. The engine's own time is
        /// `ClusterTiming.authorityTermNanoseconds`.
        case automatic(afterNanoseconds: Int64)
    }

    /// Precondition: ε is not negative.
    package init(
        topology: Topology, epsilonNanoseconds: Int64 = 500_000, timing: ClusterTiming = ClusterTiming(),
        costs: CostModel = CostModel(), failover: FailoverPolicy = .manual
    ) {
        precondition(epsilonNanoseconds >= 0, "an ε of \(epsilonNanoseconds) ns")
        self.topology = topology
        self.epsilonNanoseconds = epsilonNanoseconds
        self.timing = timing
        self.costs = costs
        self.failover = failover
        self.planner = ReplicaPlanner(topology: topology)
        guard let plan = try? planner.systemPlan(range: RangeID(1)) else {
            preconditionFailure("\(topology.regions) cannot hold the system range")
        }
        self.system = PlannedRange(plan, isGlobal: false)
    }

    /// A mode's prediction for a table.
    ///
    /// A topology that cannot carry the mode is told in `refusal`, with the planner's own words.
    package func predict(_ mode: PlannedMode, _ table: PlannedTable) -> ModePrediction {
        var prediction = ModePrediction(mode: mode, homes: [], refusal: nil, missed: [])
        do {
            if mode == .activeActive {
                prediction.homes = try activeActive(table)
            } else {
                for home in homes(of: table, mode) {
                    prediction.homes.append(predict(try plan(mode, table, home: home), mode, table))
                }
            }
        } catch {
            prediction.homes = []
            prediction.refusal = error.message
        }
        prediction.missed = missedWishes(prediction, table)
        return prediction
    }

    /// Every mode that the topology can be asked for.
    package func predictAll(_ table: PlannedTable) -> [ModePrediction] {
        var modes = PlannedMode.all(regions: topology.regions.count)
        if let mode = table.mode, !modes.contains(mode) { modes.append(mode) }
        return modes.map { predict($0, table) }
    }

    /// The home regions whose rows are predicted: of a table that is regional by row, the regions that ask.
    func homes(of table: PlannedTable, _ mode: PlannedMode) -> [Region] {
        if mode == .global { return [planner.centralRegion()] }
        switch table.locality {
        case .regionalByRow: return table.clientRegions(of: topology)
        case .regional(let region): return [region]
        case .global: return [planner.centralRegion()]
        case .activeActive: return table.clientRegions(of: topology)
        }
    }

    private func plan(_ mode: PlannedMode, _ table: PlannedTable, home: Region) throws(MeridianError) -> ReplicaPlan {
        var locality = Locality.regional(in: home)
        var goal = SurvivalGoal.zone
        var replication = ReplicationMode.synchronous
        switch mode {
        case .synchronousZone, .activeActive: break
        case .synchronousRegion: goal = .region
        case .semiSynchronous(let regions): replication = .semiSynchronous(remoteRegions: regions)
        case .asynchronous: replication = .asynchronous
        case .global: locality = .global
        }
        let descriptor = TableDescriptor(
            id: TableID(1), name: table.name, locality: locality, goal: goal, placement: table.placement,
            mode: replication)
        // Ranges of one home differ in which of its nodes they take, never in which regions.
        return try planner.plan(descriptor, home: home, range: RangeID(2))
    }

    private func predict(_ plan: ReplicaPlan, _ mode: PlannedMode, _ table: PlannedTable) -> HomePrediction {
        let range = PlannedRange(plan, isGlobal: mode == .global)
        let isBusy = table.writesPerSecond.isEmpty || table.writesPerSecond.values.contains { $0 >= 1 }
        let clients = topology.regions.map { region in
            let strong = strongRead(range, from: region)
            let nearest = mode == .global ? strong : nearestRead(range, from: region, isBusy: isBusy)
            return ClientPrediction(
                region: region, write: write(range, from: region), strongRead: strong, nearestRead: nearest,
                stalenessNanoseconds: mode == .global
                    ? 0 : stalenessNanoseconds(range, from: region, read: nearest, isBusy: isBusy))
        }
        return HomePrediction(
            home: plan.home, members: plan.members, shortfall: plan.shortfall, clients: clients,
            failures: failures(range), cost: cost(range, table))
    }

    /// Active-active keeps a zone-shaped range in every region that may hold the rows, and clients use the nearest.
    private func activeActive(_ table: PlannedTable) throws(MeridianError) -> [HomePrediction] {
        var laws: [Jurisdiction?] = [nil]
        if table.placement == .restricted {
            laws = []
            for home in homes(of: table, .activeActive) {
                let law = topology.jurisdiction(of: home)
                if !laws.contains(law) { laws.append(law) }
            }
        }
        var predictions: [HomePrediction] = []
        for law in laws {
            let regions = topology.regions.filter { law == nil || topology.jurisdiction(of: $0) == law }
            guard regions.count > 1 else {
                let place = law.map { "jurisdiction \($0), to which the table is restricted," } ?? "the topology"
                throw MeridianError(
                    .placementImpossible,
                    "table \"\(table.name)\": active-active replication needs two regions, but \(place) has only "
                        + "\(regions[0]); add a region or use the zone goal")
            }
            var copies: [PlannedRange] = []
            for region in regions {
                copies.append(PlannedRange(try plan(.synchronousZone, table, home: region), isGlobal: false))
            }
            predictions.append(activeActive(copies, table))
        }
        return predictions
    }
}

/// One range as predictions look at it.
struct PlannedRange: Sendable {
    let home: Region
    let members: [Member]
    let rule: CommitRule
    let leader: NodeID
    let isGlobal: Bool
    let shortfall: String?

    init(_ plan: ReplicaPlan, isGlobal: Bool) {
        home = plan.home
        members = plan.members
        rule = plan.commitRule
        leader = plan.preferredLeaders[0]
        shortfall = plan.shortfall
        self.isGlobal = isGlobal
    }

    var voters: [Member] { members.filter { $0.role != .learner } }
    /// Those that hold rows.
    var copies: [Member] { members.filter { $0.role != .witness } }
}
