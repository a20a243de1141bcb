import MeridianCore

/// What each failure leaves: which acknowledged commits, who can go on, and after how long.
///
/// A failure splits the nodes into parts that hear each other, and takes some for good, disks included. A part can
/// commit if it has a majority of the voters and what else the rule asks for; it can answer strong reads if it has the
/// majority and a leaseholder, the old one or one that it can elect.
extension Predictor {
    /// Nodes that hear each other.
    private typealias Part = Set<NodeID>

    /// All that are looked at: the leaseholder's zone, every region, every two, and the home region alone in the world.
    private func situations(around home: Region, leader: NodeID) -> [(PlannedFailure, PlannedFailure.Kind)] {
        let regions = topology.regions
        var found: [(PlannedFailure, PlannedFailure.Kind)] = []
        if let zone = topology.node(leader)?.zone { found.append((.zone(home, zone), .zone)) }
        found.append((.region(home), .home))
        for region in regions where region != home { found.append((.region(region), .other)) }
        if regions.count > 2 {
            for (position, first) in regions.enumerated() {
                for second in regions[(position + 1)...] { found.append((.regions(first, second), .two)) }
            }
        }
        if regions.count > 1 { found.append((.partition(home), .partition)) }
        return found
    }

    private func lost(in failure: PlannedFailure) -> Part {
        Set(
            topology.nodes.filter { node in
                switch failure {
                case .zone(let region, let zone): node.region == region && node.zone == zone
                case .region(let region): node.region == region
                case .regions(let first, let second): node.region == first || node.region == second
                case .partition: false
                }
            }.map(\.id))
    }

    private func parts(after failure: PlannedFailure) -> [Part] {
        let lost = lost(in: failure)
        let alive = topology.nodes.filter { !lost.contains($0.id) }
        guard case .partition(let region) = failure else { return [Set(alive.map(\.id))] }
        return [
            Set(alive.filter { $0.region == region }.map(\.id)), Set(alive.filter { $0.region != region }.map(\.id)),
        ]
    }

    /// The clients' regions with a node in a part.
    private func regions(of part: Part) -> [Region] {
        topology.regions.filter { region in topology.nodes(in: region).contains { part.contains($0.id) } }
    }

    // MARK: - A range with a home

    func failures(_ range: PlannedRange) -> [FailurePrediction] {
        situations(around: range.home, leader: range.leader).map { failure, kind in
            let lost = lost(in: failure)
            let parts = parts(after: failure)
            var prediction = FailurePrediction(
                failure: failure, kind: kind, loss: loss(of: lost, range), recovery: .unaffected, writable: [],
                strongReadable: [], staleReadable: [], clients: parts.flatMap(regions))
            for part in parts {
                let clients = regions(of: part)
                let isWritable = canCommit(part, range)
                if isWritable { prediction.writable += clients }
                if hasMajority(part, range), isWritable || part.contains(range.leader) {
                    prediction.strongReadable += clients
                }
                if range.copies.contains(where: { part.contains($0.node) }) { prediction.staleReadable += clients }
            }
            prediction.recovery = recovery(after: failure, range, parts)
            prediction.sort(by: topology.regions)
            return prediction
        }
    }

    private func hasMajority(_ part: Part, _ range: PlannedRange) -> Bool {
        range.voters.count { part.contains($0.node) } * 2 > range.voters.count
    }

    private func canCommit(_ part: Part, _ range: PlannedRange) -> Bool {
        meetsRule(part, range) && range.members.contains { $0.role == .voter && part.contains($0.node) }
    }

    /// Whether these nodes alone can have made a commit count.
    private func meetsRule(_ part: Part, _ range: PlannedRange) -> Bool {
        guard hasMajority(part, range) else { return false }
        switch range.rule {
        case .majority, .asynchronous: return true
        case .regionDiverse(let regions):
            return Set(range.members.filter { $0.role == .voter && part.contains($0.node) }.map(\.region)).count
                >= regions
        case .semiSynchronous(let home, let regions):
            let there = range.copies.filter { $0.region != home && part.contains($0.node) }
            return Set(there.map(\.region)).count >= regions
        }
    }

    /// Commits are kept if no set of lost nodes could have acknowledged one alone.
    private func loss(of lost: Part, _ range: PlannedRange) -> PredictedLoss {
        guard meetsRule(lost, range) else { return .nothing }
        let left = range.copies.filter { !lost.contains($0.node) }
        guard let nearest = left.map({ oneWay(range.home, $0.region) }).min() else { return .everything }
        return .last(nanoseconds: nearest + costs.logWriteNanoseconds + costs.hopNanoseconds)
    }

    private func recovery(after failure: PlannedFailure, _ range: PlannedRange, _ parts: [Part]) -> PredictedRecovery {
        guard let part = parts.first(where: { canCommit($0, range) }) else {
            // Voters that live but lack the copies that their rule asks for wait for these; copies that live without
            // their voters can be promoted.
            let isPromotable = parts.contains { part in
                !hasMajority(part, range) && range.copies.contains { part.contains($0.node) }
            }
            guard isPromotable else { return .untilItReturns }
            guard case .automatic(let detection) = failover else { return .promotion }
            return .after(nanoseconds: promotionNanoseconds(range, detection: detection, parts))
        }
        if part.contains(range.leader) { return isPromotable(failure, range) ? .promotion : .unaffected }
        return .after(nanoseconds: electionNanoseconds(part, range))
    }

    /// Clients outside of a home region that is cut off are served when a copy on their side is promoted. Nobody does
    /// so by itself while the home region serves its own.
    private func isPromotable(_ failure: PlannedFailure, _ range: PlannedRange) -> Bool {
        guard case .partition = failure else { return false }
        return range.copies.contains { $0.region != range.home }
    }

    /// Until the first commit of a new leaseholder, half of the time: a voter's timer, which began with the last
    /// heartbeat; then a pre-vote, a vote and the new term's first entry, one round trip to the quorum each; then the
    /// commit. The lease of the old leaseholder is over before that, or the voter waits for it, as all do alike.
    func electionNanoseconds(_ part: Set<NodeID>, _ range: PlannedRange) -> Int64 {
        let candidates = range.members.filter { $0.role == .voter && part.contains($0.node) }
        let left = range.members.filter { part.contains($0.node) }
        let lease = leaseNanoseconds(range)
        let delays = candidates.map { candidate in
            let timeout = timing.electionTimeoutNanoseconds(
                in: candidate.region, voters: range.voters, matrix: topology.matrix)
            let delay = candidate.region == range.home ? 0 : timing.electionDelayNanoseconds
            let rounds = roundTripToMajority(of: range, from: candidate, among: left)
            return UniformDelays.Delay(
                start: max(timeout + delay, lease) + 3 * (rounds + costs.logWriteNanoseconds) + rounds,
                width: timeout)
        }
        // Half a heartbeat was over, on average, when the leaseholder died.
        let heard = timing.heartbeatIntervalNanoseconds / 2
        return UniformDelays(delays).medianOfEarliest - heard + 2 * epsilonNanoseconds
    }

    private func leaseNanoseconds(_ range: PlannedRange) -> Int64 {
        let lease = timing.leaseDurationNanoseconds(voters: range.voters, matrix: topology.matrix)
        guard range.isGlobal else { return lease }
        let lead = range.members.map {
            ClusterTiming.closeLeadNanoseconds(members: range.members, from: $0.region, matrix: topology.matrix)
        }.max()
        return lease + (lead ?? 0) + 2 * timing.heartbeatIntervalNanoseconds
    }

    /// To the copies among those that are left that make up a majority of all voters.
    private func roundTripToMajority(of range: PlannedRange, from candidate: Member, among left: [Member]) -> Int64 {
        let distances = left.filter { $0.role != .learner }.map { member in
            member.node == candidate.node
                ? 0 : topology.matrix.roundTripNanoseconds(from: candidate.region, to: member.region)
        }
        let needed = range.voters.count / 2
        precondition(distances.count > needed, "\(distances.count) voters are no majority of \(range.voters.count)")
        return distances.sorted()[needed]
    }

    /// The promotion itself is a commit in the system range, and a commit of the new leaseholder.
    private func promotionNanoseconds(_ range: PlannedRange, detection: Int64, _ parts: [Set<NodeID>]) -> Int64 {
        let left = range.copies.filter { copy in parts.contains { $0.contains(copy.node) } && copy.region != range.home
        }
        let way = left.map { roundTrip(systemHome, $0.region) }.min() ?? 0
        let widest = topology.regions.map { roundTrip(systemHome, $0) }.max() ?? 0
        return detection + widest + way + timing.electionTimeoutNanoseconds
    }

    // MARK: - Active-active

    /// Each region goes on alone; what it had not shipped is gone with its disks.
    func activeActiveFailures(_ copies: [PlannedRange]) -> [FailurePrediction] {
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
            if let copy = gone.first {
                prediction.loss =
                    left.map { oneWay(copy.home, $0.home) }.min().map { way in
                        .last(nanoseconds: way + costs.shippingIntervalNanoseconds)
                    } ?? .everything
            }
            // A region that is gone sends its clients to the next at once; one that lost a zone elects.
            if kind == .zone, let part = parts.first, canCommit(part, copies[0]) {
                prediction.recovery = .after(nanoseconds: electionNanoseconds(part, copies[0]))
            }
            if prediction.writable.isEmpty { prediction.recovery = .untilItReturns }
            prediction.sort(by: topology.regions)
            return prediction
        }
    }
}

extension FailurePrediction {
    fileprivate mutating func sort(by order: [Region]) {
        func sorted(_ regions: [Region]) -> [Region] { order.filter(regions.contains) }
        writable = sorted(writable)
        strongReadable = sorted(strongReadable)
        staleReadable = sorted(staleReadable)
        clients = sorted(clients)
    }
}
