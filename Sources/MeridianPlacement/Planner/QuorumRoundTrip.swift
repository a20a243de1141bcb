import MeridianCore

/// The physical floor of a commit: the round trip after which the last copy that the rule asks for can have answered.
///
/// The leader's own copy is free, a replica on another node of its region costs the matrix's diagonal, one elsewhere
/// the distance. Disks, queues and the commit wait come on top. It counts as the commit rule does in consensus:
/// voters and witnesses make the majority; a copy in a region that a rule asks for is a voter's, or for the
/// semi-synchronous rule also a learner's, never a witness's, which keeps no data.
///
/// - Returns: nanoseconds, or `nil` when the members cannot meet the rule even if all of them answer.
///
/// Preconditions: the leader is a voter of `members`; the matrix knows every region.
package func quorumRoundTripNanoseconds(
    leader: NodeID, members: [Member], rule: CommitRule, matrix: LatencyMatrix
) -> Int64? {
    guard let origin = members.first(where: { $0.node == leader }) else {
        preconditionFailure("leader \(leader) is not among \(members.map(\.node))")
    }
    precondition(origin.role == .voter, "\(leader) is a \(origin.role) and cannot lead")

    func distance(_ member: Member) -> Int64 {
        member.node == leader ? 0 : matrix.roundTripNanoseconds(from: origin.region, to: member.region)
    }
    /// When the nearest copies in `count` of the members' regions have answered.
    func spread(over count: Int, copies: [Member]) -> Int64? {
        guard count > 0 else { return 0 }
        let regions = Set(copies.map(\.region)).sorted()
        let nearest = regions.map { region in copies.lazy.filter { $0.region == region }.map(distance).min() ?? 0 }
        return count <= nearest.count ? nearest.sorted()[count - 1] : nil
    }

    let voters = members.filter { $0.role != .learner }
    let majority = voters.map(distance).sorted()[voters.count / 2]
    switch rule {
    case .majority, .asynchronous:
        return majority
    case .regionDiverse(let minimumRegions):
        let copies = members.filter { $0.role == .voter }
        return spread(over: minimumRegions, copies: copies).map { max(majority, $0) }
    case .semiSynchronous(let home, let remoteRegions):
        let copies = members.filter { $0.role != .witness && $0.region != home }
        return spread(over: remoteRegions, copies: copies).map { max(majority, $0) }
    }
}
