import MeridianCore
import MeridianPlacement
import Testing

@Suite struct ReplicaPlannerTests {
    private let five: [Region] = ["us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-central-1"]

    private func table(
        _ locality: Locality = .regionalByRow(column: "region"), goal: SurvivalGoal = .zone,
        placement: Placement = .unrestricted, mode: ReplicationMode = .synchronous
    ) -> TableDescriptor {
        TableDescriptor(
            id: TableID(7), name: "users", locality: locality, goal: goal, placement: placement, mode: mode)
    }

    private func counts(_ members: [Member]) -> [Region: Int] {
        members.reduce(into: [:]) { $0[$1.region, default: 0] += 1 }
    }

    private func expectRefusal(
        _ code: MeridianError.Code, naming fragments: [String], _ topology: Topology, _ table: TableDescriptor,
        home: Region?, location: SourceLocation = #_sourceLocation
    ) {
        do {
            let plan = try ReplicaPlanner(topology: topology).plan(table, home: home, range: RangeID(1))
            Issue.record("planned \(plan)", sourceLocation: location)
        } catch {
            #expect(error.code == code, sourceLocation: location)
            for fragment in fragments + ["\"users\""] {
                #expect(error.message.contains(fragment), "\(error.message)", sourceLocation: location)
            }
        }
    }

    // MARK: - Zone goal

    @Test func zoneGoalTakesThreeZonesOfTheHomeRegion() throws {
        let topology = try Topology(
            regions: [RegionDescriptor("home", nodes: 10, zones: ["a", "b", "c", "d", "e"]), RegionDescriptor("far")],
            matrix: .uniform(regions: ["home", "far"], milliseconds: 50))
        for range in 1...50 {
            let plan = try ReplicaPlanner(topology: topology).plan(
                table(), home: "home", range: RangeID(UInt64(range)))
            #expect(plan.members.count == 3)
            #expect(plan.members.allSatisfy { $0.role == .voter && $0.region == "home" })
            #expect(Set(plan.members.map { topology.node($0.node)?.zone }).count == 3)
            #expect(plan.commitRule == .majority)
            #expect(plan.shortfall == nil)
        }
    }

    @Test func zoneGoalBendsInSmallRegionsAndSaysSo() throws {
        let one = try ReplicaPlanner(topology: .local(nodes: 1)).plan(table(), home: "local", range: RangeID(1))
        #expect(one.voters.count == 1 && one.learners.isEmpty)
        #expect(one.shortfall?.contains("one node") == true)

        let two = try ReplicaPlanner(topology: .local(nodes: 2)).plan(table(), home: "local", range: RangeID(1))
        #expect(two.voters.count == 1 && two.learners.count == 1)
        #expect(two.shortfall?.contains("two nodes") == true)

        let narrow = try Topology(regions: [RegionDescriptor("home", nodes: 4, zones: ["a", "b"])], matrix: .none)
        let plan = try ReplicaPlanner(topology: narrow).plan(table(), home: "home", range: RangeID(1))
        #expect(plan.voters.count == 3)
        #expect(plan.shortfall?.contains("2 of the three zones") == true)
    }

    @Test func leadersSpreadEvenlyOverTheNodesOfARegion() throws {
        let planner = ReplicaPlanner(topology: try .aws(five, nodesPerRegion: 6))
        for step in [1, 2, 3, 5, 6, 8] {
            var leads: [NodeID: Int] = [:]
            for index in 0..<600 {
                let plan = try planner.plan(table(), home: "eu-west-1", range: RangeID(UInt64(7 + index * step)))
                leads[plan.preferredLeaders[0], default: 0] += 1
            }
            #expect(leads.count == 6)
            #expect(leads.values.allSatisfy { (80...120).contains($0) }, "every \(step)th: \(leads.values.sorted())")
        }
    }

    @Test func equalQuestionsHaveEqualAnswers() throws {
        let topology = try Topology.aws(five)
        for range in 1...20 {
            let plans = try (1...3).map { _ in
                try ReplicaPlanner(topology: topology).plan(
                    table(goal: .region), home: "us-west-2", range: RangeID(UInt64(range)))
            }
            #expect(Set(plans).count == 1)
        }
    }

    // MARK: - Region goal

    @Test func regionGoalPutsTwoTwoOneInTheNearestRegions() throws {
        let planner = ReplicaPlanner(topology: try .aws(five))
        let plan = try planner.plan(table(goal: .region), home: "us-east-1", range: RangeID(3))
        #expect(counts(plan.members) == ["us-east-1": 2, "us-east-2": 2, "us-west-2": 1])
        #expect(plan.members.allSatisfy { $0.role == .voter })
        #expect(plan.commitRule == .majority)
        #expect(plan.quorumRoundTripNanoseconds(.aws) == 13_000_000)
        let leaders = plan.preferredLeaders.map { plan.membership[$0]?.region.rawValue ?? "" }
        #expect(leaders == ["us-east-1", "us-east-1", "us-east-2", "us-east-2", "us-west-2"])
    }

    @Test func aMajorityUnderTheRegionGoalSpansTwoRegionsAndSurvivesAny() throws {
        for shape in [[3, 3, 3], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 1, 1], [1, 1, 3], [2, 1, 1]] {
            let regions = zip(["a", "b", "c"] as [Region], shape).map { RegionDescriptor($0, nodes: $1) }
            let matrix = try LatencyMatrix(
                regions: ["a", "b", "c"], roundTripMilliseconds: [[1, 20, 50], [20, 1, 60], [50, 60, 1]])
            let planner = ReplicaPlanner(topology: try Topology(regions: regions, matrix: matrix))
            let plan = try planner.plan(table(goal: .region), home: "a", range: RangeID(1))
            for (region, votes) in counts(plan.voters) {
                #expect(plan.voters.count - votes > plan.voters.count / 2, "\(shape): \(votes) in \(region)")
            }
            #expect(plan.quorumRoundTripNanoseconds(matrix) == 20_000_000, "\(shape)")
        }
    }

    @Test func singleNodeRegionsGetThreeVotersWhenFiveWouldReachFarther() throws {
        let planner = ReplicaPlanner(topology: try .aws(five, nodesPerRegion: 1))
        let plan = try planner.plan(table(goal: .region), home: "eu-west-1", range: RangeID(1))
        #expect(counts(plan.members) == ["eu-west-1": 1, "eu-central-1": 1, "us-east-1": 1])
        #expect(plan.quorumRoundTripNanoseconds(.aws) == 27_000_000)
    }

    @Test func regionGoalIsRefusedWithFewerThanThreeRegions() throws {
        expectRefusal(
            .placementImpossible, naming: ["three regions", "eu-west-1, us-east-1", "add regions"],
            try .aws(["us-east-1", "eu-west-1"]), table(goal: .region), home: "us-east-1")
        for mode in [ReplicationMode.asynchronous, .semiSynchronous(remoteRegions: 1)] {
            expectRefusal(
                .placementImpossible, naming: ["use .synchronous"], try .aws(five), table(goal: .region, mode: mode),
                home: "us-east-1")
        }
    }

    // MARK: - Weaker modes

    @Test func semiSynchronousHasASpareRegion() throws {
        let planner = ReplicaPlanner(topology: try .aws(five))
        let plan = try planner.plan(
            table(mode: .semiSynchronous(remoteRegions: 1)), home: "us-east-1", range: RangeID(1))
        #expect(counts(plan.voters) == ["us-east-1": 3])
        #expect(counts(plan.learners) == ["us-east-2": 1, "us-west-2": 1])
        #expect(plan.commitRule == .semiSynchronous(home: "us-east-1", remoteRegions: 1))
        #expect(plan.quorumRoundTripNanoseconds(.aws) == 13_000_000)

        let all = try planner.plan(
            table(mode: .semiSynchronous(remoteRegions: 4)), home: "us-east-1", range: RangeID(1))
        #expect(all.learners.count == 4)
    }

    @Test func semiSynchronousIsRefusedWithTooFewRegions() throws {
        expectRefusal(
            .placementImpossible, naming: ["5 other regions", "has only"], try .aws(five),
            table(mode: .semiSynchronous(remoteRegions: 5)), home: "us-east-1")
        for count in [0, -1] {
            expectRefusal(
                .placementImpossible, naming: ["at least 1"], try .aws(five),
                table(mode: .semiSynchronous(remoteRegions: count)), home: "us-east-1")
        }
    }

    @Test func asynchronousFollowsInTheTwoNearestRegions() throws {
        let plan = try ReplicaPlanner(topology: .aws(five)).plan(
            table(.regional(in: "eu-west-1"), mode: .asynchronous), range: RangeID(1))
        #expect(counts(plan.voters) == ["eu-west-1": 3])
        #expect(counts(plan.learners) == ["eu-central-1": 1, "us-east-1": 1])
        #expect(plan.commitRule == .asynchronous(home: "eu-west-1"))
        #expect(plan.quorumRoundTripNanoseconds(.aws) == 1_000_000)
        expectRefusal(
            .placementImpossible, naming: ["another region"], try .local(), table(mode: .asynchronous), home: "local")
    }

    // MARK: - Restriction

    @Test func restrictedReplicasStayUnderTheLawOfTheHomeRegion() throws {
        let topology = try Topology.aws(
            five + ["eu-north-1"].filter { LatencyMatrix.aws.contains($0) },
            jurisdictions: ["eu-west-1": "EU", "eu-central-1": "EU", "us-west-2": "EU"])
        let planner = ReplicaPlanner(topology: topology)
        let modes: [ReplicationMode] = [.synchronous, .semiSynchronous(remoteRegions: 1), .asynchronous]
        let localities: [Locality] = [.regionalByRow(column: "r"), .global]
        for mode in modes {
            for locality in localities {
                for goal in mode == .synchronous ? [SurvivalGoal.zone, .region] : [.zone] {
                    let plan = try planner.plan(
                        table(locality, goal: goal, placement: .restricted, mode: mode), home: "eu-west-1",
                        range: RangeID(9))
                    #expect(plan.jurisdiction == "EU")
                    #expect(plan.members.allSatisfy { topology.jurisdiction(of: $0.region) == "EU" })
                }
            }
        }
    }

    @Test func restrictedIsRefusedWhenTheLawIsTooSmallForTheGoal() throws {
        let topology = try Topology.aws(five, jurisdictions: ["eu-west-1": "EU", "eu-central-1": "EU"])
        expectRefusal(
            .placementImpossible, naming: ["jurisdiction EU", "eu-central-1, eu-west-1", "three regions"], topology,
            table(goal: .region, placement: .restricted), home: "eu-west-1")
        expectRefusal(
            .placementImpossible, naming: ["jurisdiction us-east-1", "lift the restriction"], topology,
            table(placement: .restricted, mode: .asynchronous), home: "us-east-1")
        expectRefusal(
            .placementImpossible, naming: ["2 other regions"], topology,
            table(placement: .restricted, mode: .semiSynchronous(remoteRegions: 2)), home: "eu-west-1")
    }

    // MARK: - Global and system

    @Test func globalTablesHaveACopyEverywhereAndACentralHome() throws {
        let topology = try Topology.aws(["ap-northeast-1", "us-east-1", "eu-west-1", "us-west-2", "sa-east-1"])
        let planner = ReplicaPlanner(topology: topology)
        #expect(planner.centralRegion() == "us-east-1")
        let plan = try planner.plan(table(.global), range: RangeID(1))
        #expect(plan.home == "us-east-1")
        #expect(counts(plan.voters) == ["us-east-1": 2, "us-west-2": 2, "eu-west-1": 1])
        #expect(counts(plan.learners) == ["ap-northeast-1": 1, "sa-east-1": 1])

        let primary = try planner.plan(table(.global), home: "eu-west-1", range: RangeID(1))
        #expect(primary.home == "eu-west-1")
        #expect(Set(primary.members.map(\.region)) == Set(topology.regions))
    }

    @Test func globalTablesOfTwoRegionsVoteAtHomeAlone() throws {
        let plan = try ReplicaPlanner(topology: .aws(["us-east-1", "eu-west-1"])).plan(
            table(.global), range: RangeID(1))
        #expect(counts(plan.voters) == ["us-east-1": 3])
        #expect(counts(plan.learners) == ["eu-west-1": 1])
        expectRefusal(
            .placementImpossible, naming: ["three regions"], try .aws(["us-east-1", "eu-west-1"]),
            table(.global, goal: .region), home: nil)
    }

    @Test(arguments: [
        (1, 3, [3]), (2, 3, [2, 1]), (2, 1, [1, 0]), (3, 3, [1, 1, 1]), (4, 2, [1, 1, 1, 0]), (5, 1, [1, 1, 1, 1, 1]),
        (7, 2, [1, 1, 1, 1, 1, 0, 0]),
    ])
    func systemRangeVotesInAsManyRegionsAsItCanAndIsEverywhere(regions: Int, nodes: Int, votes: [Int]) throws {
        let names = LatencyMatrix.aws.regions.prefix(regions)
        let topology = try Topology.aws(Array(names), nodesPerRegion: nodes)
        let plan = try ReplicaPlanner(topology: topology).systemPlan(range: RangeID(1))
        let byDistance = topology.regionsByDistance(from: plan.home)
        #expect(byDistance.map { region in plan.voters.count { $0.region == region } } == votes)
        #expect(plan.members.map(\.node) == topology.nodes.map(\.id))
        #expect(plan.jurisdiction == nil)
    }

    @Test func systemRangeOfTwoRegionsPairsWhereThereAreTwoNodes() throws {
        let topology = try Topology(
            regions: [RegionDescriptor("small", nodes: 1), RegionDescriptor("big", nodes: 4)],
            matrix: .uniform(regions: ["small", "big"], milliseconds: 30))
        let plan = try ReplicaPlanner(topology: topology).systemPlan(home: "small", range: RangeID(1))
        #expect(counts(plan.voters) == ["small": 1, "big": 2])
        #expect(plan.shortfall?.contains("loss of big") == true)
    }

    @Test func unknownHomeIsRefusedWithTheNearestName() throws {
        expectRefusal(
            .unknownRegion, naming: ["Did you mean \"eu-west-1\"?"], try .aws(five), table(), home: "eu-west1")
        expectRefusal(
            .unknownRegion, naming: ["\"ap-south-1\""], try .aws(five), table(.regional(in: "ap-south-1")), home: nil)
    }
}

extension ReplicaPlan {
    fileprivate var membership: Membership { Membership(members: members) }
}
