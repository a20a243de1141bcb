import MeridianCore

/// What of a range outlives the loss of its home region, disks and all: the order in which the ranges of a transaction
/// are asked to decide (docs/CONSISTENCY.md, "The commit").
///
/// It is read off where the copies stand and when a commit counts, not off what the table declares: amid a change of
/// mode, goal or home, and after a failover until the new home has its voters, the weaker of both sides holds.
package enum RangeDurability: Hashable, Comparable, Sendable {
    // From the weakest to the strongest, which is what `Comparable` goes by.
    /// A copy of an active-active table: what no other copy has pulled is gone. The others go on, each by itself.
    case copy
    /// What had not been shipped is gone, and the range goes on without it: the end of its log was never written.
    case asynchronous
    /// Everything is gone, or, when the disks come back, nothing. Never a part.
    case zone
    /// Nothing is gone while copies in this many other regions live.
    case semiSynchronous(remoteRegions: Int)
    /// Nothing is gone: consensus goes on with the voters elsewhere.
    case region

    package init(of members: [Member], under rule: CommitRule) {
        switch rule {
        case .asynchronous: self = .asynchronous
        case .semiSynchronous(_, let regions): self = .semiSynchronous(remoteRegions: regions)
        case .majority, .regionDiverse: self = Self.survivesAnyRegion(members) ? .region : .zone
        }
    }

    private static func survivesAnyRegion(_ members: [Member]) -> Bool {
        let voters = members.filter { $0.role != .learner }
        return Set(voters.map(\.region)).allSatisfy { lost in
            voters.count { $0.region != lost } > voters.count / 2
        }
    }
}

extension RangeDescriptor {
    /// Of a range that is no copy of an active-active table, which the descriptor does not tell.
    package var durability: RangeDurability {
        let own = RangeDurability(of: members, under: commitRule)
        guard let transition else { return own }
        return min(own, RangeDurability(of: transition.members, under: transition.commitRule ?? commitRule))
    }
}
