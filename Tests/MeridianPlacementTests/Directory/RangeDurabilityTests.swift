import MeridianCore
import MeridianPlacement
import Testing

/// What of a range outlives its home region, by where its copies stand.
@Suite struct RangeDurabilityTests {
    private static let home: Region = "eu-west-1"

    private func members(_ voters: [Region], learners: [Region] = []) -> [Member] {
        let all = voters.map { ($0, ReplicaRole.voter) } + learners.map { ($0, ReplicaRole.learner) }
        return all.enumerated().map { Member(node: NodeID(UInt32($0 + 1)), region: $1.0, role: $1.1) }
    }

    private func range(_ members: [Member], _ rule: CommitRule = .majority) -> RangeDescriptor {
        RangeDescriptor(
            id: RangeID(2), span: KeySpan(prefix: [1]), table: TableID(1), home: Self.home, members: members,
            commitRule: rule)
    }

    @Test func threeVotersAtHomeSurviveAZone() {
        #expect(range(members([Self.home, Self.home, Self.home], learners: ["us-east-1"])).durability == .zone)
    }

    @Test func votersOfWhichEveryRegionLeavesAMajoritySurviveARegion() {
        let two: [Region] = [Self.home, Self.home, "eu-central-1", "eu-central-1", "us-east-1"]
        #expect(range(members(two)).durability == .region)
        #expect(range(members([Self.home, "eu-central-1", "us-east-1"])).durability == .region)
        #expect(range(members([Self.home, Self.home, "eu-central-1"])).durability == .zone)
    }

    @Test func theWeakerModesSayWhatTheyKeep() {
        let home = members([Self.home, Self.home, Self.home], learners: ["us-east-1", "eu-central-1"])
        #expect(
            range(home, .semiSynchronous(home: Self.home, remoteRegions: 1)).durability
                == .semiSynchronous(remoteRegions: 1))
        #expect(range(home, .asynchronous(home: Self.home)).durability == .asynchronous)
    }

    @Test func theOrderIsThatOfWhatALossTakes() {
        let order: [RangeDurability] = [
            .copy, .asynchronous, .zone, .semiSynchronous(remoteRegions: 1), .semiSynchronous(remoteRegions: 2),
            .region,
        ]
        #expect(order.sorted() == order)
        #expect(Set(order).count == order.count)
    }

    /// A table that is to survive a region does so when its members have changed, and not before.
    @Test func amidAChangeTheWeakerSideHolds() {
        var range = range(members([Self.home, "eu-central-1", "us-east-1"]))
        let home = members([Self.home, Self.home, Self.home])
        range.transition = .init(members: home, commitRule: nil)
        #expect(range.durability == .zone)
        range.transition = .init(members: home, commitRule: .asynchronous(home: Self.home))
        #expect(range.durability == .asynchronous)
        range.transition = nil
        #expect(range.durability == .region)
    }
}
