import MeridianCore

/// What operations take, and how old what they show is.
extension Predictor {
    func roundTrip(_ origin: Region, _ destination: Region) -> Int64 {
        origin == destination ? 0 : topology.matrix.roundTripNanoseconds(from: origin, to: destination)
    }

    func oneWay(_ origin: Region, _ destination: Region) -> Int64 { roundTrip(origin, destination) / 2 }

    /// A commit of one range: the client's node asks the leaseholder, which is asked directly when it is in the
    /// client's region (`EmbeddedCluster.gateway`). There the log is written while followers write theirs, and the
    /// timestamp passes meanwhile: the longest of the three decides.
    func write(_ range: PlannedRange, from client: Region) -> LatencyPrediction {
        let route = roundTrip(client, range.home)
        let quorum = quorumRoundTripNanoseconds(
            leader: range.leader, members: range.members, rule: range.rule, matrix: topology.matrix)
        guard let quorum else { preconditionFailure("\(range.members) cannot meet \(range.rule)") }
        var waits: [(wait: Int64, engine: Int64, limit: LatencyPrediction.Limit)] = [
            (0, costs.logWriteNanoseconds, .disk),
            (commitWaitNanoseconds(range), costs.wakeNanoseconds, .clock),
        ]
        if range.voters.count > 1 || range.rule.asksForCopiesElsewhere {
            // Links without delay are crossed in the sender's call.
            let hops = quorum > 0 ? 2 * costs.hopNanoseconds : 0
            waits.append((quorum, costs.logWriteNanoseconds + hops, .quorum))
        }
        var longest = waits[0]
        for wait in waits.dropFirst() where wait.wait + wait.engine > longest.wait + longest.engine { longest = wait }
        return LatencyPrediction(
            routeNanoseconds: route, waitNanoseconds: longest.wait,
            engineNanoseconds: longest.engine + callNanoseconds(over: route), limit: longest.limit,
            servedIn: range.home)
    }

    /// Until a new commit's timestamp is past on every clock.
    ///
    /// It is `latest` when the commit is proposed, so 2ε. The leaseholder of a global table has closed up to
    /// `latest` + lead + 2ε when it did so last; the commit lies above that, and `earliest` must pass it: lead + 4ε
    /// less the time since then. That is even over the interval, but a request that comes when the next close is almost
    /// due brings it about, and then no time has passed; so the median is half an interval less what counts as almost.
    private func commitWaitNanoseconds(_ range: PlannedRange) -> Int64 {
        guard range.isGlobal else { return 2 * epsilonNanoseconds }
        let lead = ClusterTiming.closeLeadNanoseconds(
            members: range.members, from: range.home, matrix: topology.matrix)
        let passed = ClusterTiming.closeIntervalNanoseconds / 2 - ClusterTiming.closeEarlyNanoseconds
        return lead + 4 * epsilonNanoseconds - passed
    }

    /// Under its lease the leaseholder answers alone. A global table is read fresh at the nearest copy.
    func strongRead(_ range: PlannedRange, from client: Region) -> LatencyPrediction {
        let region = range.isGlobal ? nearestCopy(range, from: client) : range.home
        return read(in: region, from: client, calls: 1)
    }

    /// A read of bounded staleness. Its timestamp is what the replicas of the client's node have closed, so a copy
    /// there serves it at once. Where the region has none, the nearest copy may have to wait until it has heard that
    /// much (`Gateway+LocalReads`, `NodeCore+Freshness`).
    func nearestRead(_ range: PlannedRange, from client: Region, isBusy: Bool) -> LatencyPrediction {
        let region = nearestCopy(range, from: client)
        var prediction = read(in: region, from: client, calls: 2)
        guard region != client, region != range.home else { return prediction }
        let chosen = freshestLag([systemLag(in: client)]) + neighboursLagNanoseconds(in: client)
        let known = freshestLag([lag(of: range, in: region, isBusy: isBusy)])
        let missing = known - chosen - oneWay(client, region)
        if missing > 0 {
            let patience = roundTrip(client, range.home) - roundTrip(client, region)
            prediction.waitNanoseconds = min(missing, patience)
            if missing > patience {
                prediction.routeNanoseconds += roundTrip(client, range.home)
                prediction.servedIn = range.home
            }
        }
        return prediction
    }

    /// The nearest region with rows; of equals the home, as gateways have it.
    func nearestCopy(_ range: PlannedRange, from client: Region) -> Region {
        var nearest = range.home
        for copy in range.copies where roundTrip(client, copy.region) < roundTrip(client, nearest) {
            nearest = copy.region
        }
        return nearest
    }

    func read(in region: Region, from client: Region, calls: Int64) -> LatencyPrediction {
        let route = roundTrip(client, region)
        return LatencyPrediction(
            routeNanoseconds: route, waitNanoseconds: 0,
            engineNanoseconds: callNanoseconds(over: route) + (calls - 1) * costs.callNanoseconds, limit: .none,
            servedIn: region)
    }

    func callNanoseconds(over route: Int64) -> Int64 {
        costs.callNanoseconds + (route > 0 ? 2 * costs.hopNanoseconds : 0)
    }

    // MARK: - Staleness

    /// How old the rows are that a nearest read shows when it returns.
    func stalenessNanoseconds(
        _ range: PlannedRange, from client: Region, read: LatencyPrediction, isBusy: Bool
    ) -> Int64 {
        var lags = [systemLag(in: client)]
        if nearestCopy(range, from: client) == client { lags.append(lag(of: range, in: client, isBusy: isBusy)) }
        let chosen = max(2 * epsilonNanoseconds, freshestLag(lags))
        return chosen + neighboursLagNanoseconds(in: client) + read.p50Nanoseconds
    }

    /// What a copy has heard is as old as the way is long, and up to the time between two closed timestamps.
    private func lag(of range: PlannedRange, in region: Region, isBusy: Bool) -> UniformDelays.Delay {
        let interval = isBusy ? timing.heartbeatIntervalNanoseconds : ClusterTiming.quietIntervalNanoseconds
        return UniformDelays.Delay(start: oneWay(range.home, region), width: interval)
    }

    private func systemLag(in region: Region) -> UniformDelays.Delay {
        UniformDelays.Delay(start: oneWay(systemHome, region), width: ClusterTiming.quietIntervalNanoseconds)
    }

    /// The least fresh of a node's replicas holds a read's timestamp back.
    func freshestLag(_ lags: [UniformDelays.Delay]) -> Int64 { UniformDelays(lags).medianOfLatest }

    /// In a region of several nodes what is read next may lie on another, which can be a little behind.
    private func neighboursLagNanoseconds(in region: Region) -> Int64 {
        topology.nodes(in: region).count > 1 ? ClusterTiming.keepaliveNanoseconds : 0
    }
}

extension CommitRule {
    var asksForCopiesElsewhere: Bool {
        if case .semiSynchronous(_, let regions) = self { regions > 0 } else { false }
    }
}
