import MeridianCore

/// When the rows of a lost home go on from a copy elsewhere, and how long that takes (`FailoverProcedure`).
///
/// The system range must be able to commit: whoever promotes a copy, by hand or by itself, does so by commits there. By
/// itself a table goes on when the home's authority is over (`RegionAuthority`). Then the nearest region with a copy
///
/// 1. notices with its keeper's next look, a question to the system range's leaseholder;
/// 2. fences the range, by a commit there;
/// 3. waits for the lost home's replicas in vain;
/// 4. begins the new history: another commit.
extension Predictor {
    /// Whether a copy of these nodes can go on in the place of the home, with all that the mode promises or, in the
    /// asynchronous mode, with what it has.
    func canPromote(_ part: Part, _ range: PlannedRange) -> Bool {
        hasMajority(part, system) && !heirs(part, range).isEmpty
    }

    /// The regions outside of the home that have copies, the nearest to it first; each with its place among all such
    /// regions, those that are lost too included.
    private func heirs(_ part: Part, _ range: PlannedRange) -> [(region: Region, rank: Int)] {
        let regions = Set(range.copies.map(\.region)).subtracting([range.home]).sorted { first, second in
            (roundTrip(range.home, first), first.rawValue) < (roundTrip(range.home, second), second.rawValue)
        }
        return regions.enumerated().filter { _, region in
            range.copies.contains { $0.region == region && part.contains($0.node) }
        }.map { ($1, $0) }
    }

    /// The table goes on in this part: by itself, if the failover is automatic and nobody has to accept a loss.
    func promote(_ prediction: inout FailurePrediction, in part: Part, _ range: PlannedRange) {
        prediction.recovery = .promotion
        guard case .automatic(let term) = failover, isPromotedByItself(part, range) else { return }
        let time = promotion(range, in: part, term: term)
        prediction.recovery = .after(nanoseconds: time.expected)
        prediction.recoveryAtMostNanoseconds = time.atMost
        prediction.writable = regions(of: part)
        prediction.strongReadable = prediction.writable
        guard case .partition = prediction.failure, case .asynchronous = range.rule else { return }
        // The home is served until its authority is over; its copies elsewhere get none of that.
        let heir = heirs(part, range)[0].region
        prediction.loss = .last(nanoseconds: term + oneWay(range.home, heir))
    }

    /// Whether leaseholders here go on serving: those of a table that fails over by itself stop when they can no longer
    /// renew their authority in the system range.
    func keepsAuthority(_ part: Part, _ range: PlannedRange) -> Bool {
        guard case .automatic = failover, range.rule.allowsPromotion else { return true }
        return hasMajority(part, system)
    }

    /// In the synchronous modes nobody but a user decides that commits may be lost.
    private func isPromotedByItself(_ part: Part, _ range: PlannedRange) -> Bool {
        switch range.rule {
        case .asynchronous: return true
        case .semiSynchronous(_, let needed):
            let remote = Set(range.copies.map(\.region)).subtracting([range.home])
            return remote.count - heirs(part, range).count < needed
        case .majority, .regionDiverse: return false
        }
    }

    /// From the loss to the first commit elsewhere: expected, and at most.
    private func promotion(
        _ range: PlannedRange, in part: Part, term: Int64
    ) -> (expected: Int64, atMost: Int64) {
        let heir = heirs(part, range)[0]
        // The term counts from before the renewal's commit, and renewals have a keeper's interval between them. A
        // renewal survives the home when it has gone half of its way.
        let renewal = write(system, from: range.home).p50Nanoseconds
        let lapse = UniformDelays.Delay(
            start: term - renewal / 2 - renewal - ClusterTiming.keeperIntervalNanoseconds,
            width: renewal + ClusterTiming.keeperIntervalNanoseconds)
        var (expected, atMost) = (0.0, Int64(0))
        for leader in systemLeaders(in: part) {
            let way = roundTrip(heir.region, leader.region)
            let call = callNanoseconds(over: way)
            let look = ClusterTiming.keeperIntervalNanoseconds + way + call
            let left = system.members.filter { part.contains($0.node) }
            let commit =
                roundTripToMajority(of: system, from: leader.member, among: left) + costs.logWriteNanoseconds
            let work =
                2 * epsilonNanoseconds + ClusterTiming.takeOverRankNanoseconds * Int64(heir.rank) + 3 * (way + call)
                + 2 * commit + ClusterTiming.lostHomePatienceNanoseconds(from: heir.region, topology)
                // The copy hears of it, and commits.
                + way / 2 + 2 * costs.logWriteNanoseconds
            // The system range may need longer to have a leaseholder again than the home's authority lasts.
            let begin = max(lapse.start + lapse.width / 2, leader.expected)
            expected += leader.share * Double(begin + look / 2 + work)
            atMost = max(atMost, max(lapse.end, leader.atMost) + look + work)
        }
        return (Int64(expected), atMost)
    }

    /// A voter that may lead the system range after a loss, with what probability, and from when on.
    private struct SystemLeader {
        var member: Member
        var share: Double
        var expected: Int64 = 0
        var atMost: Int64 = 0

        var region: Region { member.region }
    }

    private func systemLeaders(in part: Part) -> [SystemLeader] {
        let voters = candidates(part, system)
        if let leader = voters.first(where: { $0.node == system.leader }) { return [.init(member: leader, share: 1)] }
        let delays = electionDelays(part, system)
        let atMost = delays.delays.map(\.end).min() ?? 0
        return zip(voters, delays.sharesOfEarliest).map { voter, share in
            .init(member: voter, share: share, expected: delays.medianOfEarliest, atMost: atMost)
        }
    }
}

extension CommitRule {
    /// Whether a table with this rule is one that fails over by itself where the plan says so.
    fileprivate var allowsPromotion: Bool {
        switch self {
        case .asynchronous, .semiSynchronous: true
        case .majority, .regionDiverse: false
        }
    }
}
