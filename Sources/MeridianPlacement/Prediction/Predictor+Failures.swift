import MeridianCore

/// What each failure leaves: which acknowledged commits, who can go on, and after how long.
///
/// A failure splits the nodes into parts that hear each other, and takes some for good, disks included. A part can
/// commit if it has a majority of the voters and what else the rule asks for; it can answer strong reads if it has the
/// majority and a leaseholder, the old one or one that it can elect.
extension Predictor {
    /// Nodes that hear each other.
    typealias Part = Set<NodeID>

    /// All that are looked at: the leaseholder's zone, every region, every two, and the home region alone in the world.
    func situations(around home: Region, leader: NodeID) -> [(PlannedFailure, PlannedFailure.Kind)] {
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

    func lost(in failure: PlannedFailure) -> Part {
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

    func parts(after failure: PlannedFailure) -> [Part] {
        let lost = lost(in: failure)
        let alive = topology.nodes.filter { !lost.contains($0.id) }
        guard case .partition(let region) = failure else { return [Set(alive.map(\.id))] }
        return [
            Set(alive.filter { $0.region == region }.map(\.id)), Set(alive.filter { $0.region != region }.map(\.id)),
        ]
    }

    /// The clients' regions with a node in a part.
    func regions(of part: Part) -> [Region] {
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
                let isWritable = canCommit(part, range) && keepsAuthority(part, range)
                if isWritable { prediction.writable += clients }
                if hasMajority(part, range), keepsAuthority(part, range), isWritable || part.contains(range.leader) {
                    prediction.strongReadable += clients
                }
                if range.copies.contains(where: { part.contains($0.node) }) { prediction.staleReadable += clients }
            }
            recover(&prediction, range, parts)
            prediction.sort(by: topology.regions)
            return prediction
        }
    }

    func hasMajority(_ part: Part, _ range: PlannedRange) -> Bool {
        range.voters.count { part.contains($0.node) } * 2 > range.voters.count
    }

    func canCommit(_ part: Part, _ range: PlannedRange) -> Bool {
        meetsRule(part, range) && range.members.contains { $0.role == .voter && part.contains($0.node) }
    }

    /// Whether these nodes alone can have made a commit count.
    func meetsRule(_ part: Part, _ range: PlannedRange) -> Bool {
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

    private func recover(_ prediction: inout FailurePrediction, _ range: PlannedRange, _ parts: [Part]) {
        guard let part = parts.first(where: { canCommit($0, range) && keepsAuthority($0, range) }) else {
            // Voters that live but lack the copies that their rule asks for wait for these; copies that live without
            // their voters can be promoted.
            let heir = parts.first { !hasMajority($0, range) && canPromote($0, range) }
            prediction.recovery = .untilItReturns
            if let heir { promote(&prediction, in: heir, range) }
            return
        }
        if !part.contains(range.leader) {
            let delays = electionDelays(part, range)
            prediction.recovery = .after(nanoseconds: delays.medianOfEarliest)
            prediction.recoveryAtMostNanoseconds = delays.delays.map(\.end).min()
            return
        }
        // A home region that is cut off serves its own.
        guard case .partition = prediction.failure else { return }
        if let heir = parts.first(where: { $0 != part && canPromote($0, range) }) {
            promote(&prediction, in: heir, range)
        }
    }

    /// Until the first commit of a new leaseholder, half of the time: a voter's timer, which began with the last
    /// heartbeat; then a pre-vote, a vote and the new term's first entry, one round trip to the quorum each; then the
    /// commit. The lease of the old leaseholder is over before that, or the voter waits for it, as all do alike.
    func electionNanoseconds(_ part: Part, _ range: PlannedRange) -> Int64 {
        electionDelays(part, range).medianOfEarliest
    }

    /// The same for each voter that is left, in the order of the range's members: the first of them leads.
    func electionDelays(_ part: Part, _ range: PlannedRange) -> UniformDelays {
        let left = range.members.filter { part.contains($0.node) }
        let lease = leaseNanoseconds(range)
        // Half a heartbeat was over, on average, when the leaseholder died.
        let heard = timing.heartbeatIntervalNanoseconds / 2
        return UniformDelays(
            candidates(part, range).map { candidate in
                let timeout = timing.electionTimeoutNanoseconds(
                    in: candidate.region, voters: range.voters, matrix: topology.matrix)
                let delay = candidate.region == range.home ? 0 : timing.electionDelayNanoseconds
                let rounds = roundTripToMajority(of: range, from: candidate, among: left)
                return UniformDelays.Delay(
                    start: max(timeout + delay, lease) + 3 * (rounds + costs.logWriteNanoseconds) + rounds - heard
                        + 2 * epsilonNanoseconds,
                    width: timeout)
            })
    }

    func candidates(_ part: Part, _ range: PlannedRange) -> [Member] {
        range.members.filter { $0.role == .voter && part.contains($0.node) }
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
    func roundTripToMajority(of range: PlannedRange, from candidate: Member, among left: [Member]) -> Int64 {
        let distances = left.filter { $0.role != .learner }.map { member in
            member.node == candidate.node
                ? 0 : topology.matrix.roundTripNanoseconds(from: candidate.region, to: member.region)
        }
        let needed = range.voters.count / 2
        precondition(distances.count > needed, "\(distances.count) voters are no majority of \(range.voters.count)")
        return distances.sorted()[needed]
    }
}

extension FailurePrediction {
    mutating func sort(by order: [Region]) {
        func sorted(_ regions: [Region]) -> [Region] { order.filter(regions.contains) }
        writable = sorted(writable)
        strongReadable = sorted(strongReadable)
        staleReadable = sorted(staleReadable)
        clients = sorted(clients)
    }
}
