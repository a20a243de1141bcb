import MeridianCore

/// One plan for each replication mode, put together from the shapes.
extension ReplicaPlanner {
    func synchronousPlan(_ request: Request) throws(MeridianError) -> ReplicaPlan {
        let spansRegions = request.table.goal == .region || request.isGlobal
        let voters: Shape
        if spansRegions, let shape = regionShape(request) {
            voters = shape
        } else if request.table.goal == .region {
            throw tooFewRegions(request)
        } else {
            voters = zoneShape(request)
        }
        let learners = request.isGlobal ? remoteLearners(request, besides: voters) : []
        return plan(request, voters, learners: learners, rule: .majority)
    }

    func semiSynchronousPlan(_ request: Request, remoteRegions: Int) throws(MeridianError) -> ReplicaPlan {
        try refuseRegionGoal(request)
        guard remoteRegions > 0 else {
            throw impossible(
                request,
                "semi-synchronous replication to \(remoteRegions) regions; ask for at least 1, or use "
                    + ".asynchronous")
        }
        let voters = zoneShape(request)
        let learners = remoteLearners(request, besides: voters)
        guard learners.count >= remoteRegions else {
            throw impossible(
                request,
                "semi-synchronous replication asks for copies in \(remoteRegions) other regions, but "
                    + "\(whatIsThere(request)); add regions\(orUnrestrict(request)) or ask for fewer")
        }
        // One region more than the rule waits for, so that commits go on when a remote region is lost.
        return plan(
            request, voters, learners: request.isGlobal ? learners : Array(learners.prefix(remoteRegions + 1)),
            rule: .semiSynchronous(home: request.home, remoteRegions: remoteRegions))
    }

    func asynchronousPlan(_ request: Request) throws(MeridianError) -> ReplicaPlan {
        try refuseRegionGoal(request)
        let voters = zoneShape(request)
        let learners = remoteLearners(request, besides: voters)
        guard !learners.isEmpty else {
            throw impossible(
                request,
                "asynchronous replication needs another region to follow, but \(whatIsThere(request)); add a "
                    + "region\(orUnrestrict(request)) or use .synchronous")
        }
        return plan(
            request, voters, learners: request.isGlobal ? learners : Array(learners.prefix(2)),
            rule: .asynchronous(home: request.home))
    }

    private func plan(
        _ request: Request, _ voters: Shape, learners: [NodeDescriptor], rule: CommitRule
    ) -> ReplicaPlan {
        let members =
            voters.voters.map { Member(node: $0.id, region: $0.region, role: .voter) }
            + (voters.learners + learners).map { Member(node: $0.id, region: $0.region, role: .learner) }
        return ReplicaPlan(
            home: request.home, members: members, commitRule: rule, preferredLeaders: voters.voters.map(\.id),
            jurisdiction: request.jurisdiction, shortfall: voters.shortfall)
    }

    /// One node in each allowed region that has no voter, the nearest region first.
    private func remoteLearners(_ request: Request, besides shape: Shape) -> [NodeDescriptor] {
        let regions = allowedRegions(request).filter { region in !shape.voters.contains { $0.region == region } }
        return regions.map { candidates(in: $0, request)[0] }
    }

    // MARK: - Refusals

    private func refuseRegionGoal(_ request: Request) throws(MeridianError) {
        guard request.table.goal == .region else { return }
        throw impossible(
            request,
            "the region goal needs voters in three regions, but \(request.table.mode) replication keeps all of them "
                + "at home and stands still without it; use .synchronous, or the zone goal and promote a copy by hand")
    }

    private func tooFewRegions(_ request: Request) -> MeridianError {
        impossible(
            request,
            "the region goal needs voters in three regions, but \(whatIsThere(request)); add "
                + "regions\(orUnrestrict(request)) or use the zone goal (with .semiSynchronous a lost region loses "
                + "no commit either)")
    }

    private func impossible(_ request: Request, _ message: String) -> MeridianError {
        MeridianError(
            .placementImpossible, "table \"\(request.table.name)\" homed in \(request.home): \(message)")
    }

    private func whatIsThere(_ request: Request) -> String {
        let names = allowedRegions(request).map(\.rawValue).sorted().joined(separator: ", ")
        let place =
            request.jurisdiction.map { "jurisdiction \($0), to which the table is restricted," } ?? "the topology"
        return "\(place) has only \(names)"
    }

    private func orUnrestrict(_ request: Request) -> String {
        request.jurisdiction.map { " to \($0), lift the restriction," } ?? ","
    }
}
