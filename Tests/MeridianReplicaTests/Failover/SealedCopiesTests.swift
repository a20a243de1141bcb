import MeridianConsensus
import MeridianCore
import MeridianPlacement
import Testing

@testable import MeridianReplica

/// What sealed replicas prove (`SealedCopies`), against every set of nodes that can acknowledge a commit without them.
@Suite struct SealedCopiesTests {
    /// A change from one configuration to another, or none.
    struct Change: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var old: [Member]
        var oldRule: CommitRule
        var new: [Member]
        var newRule: CommitRule

        var range: RangeDescriptor {
            var range = RangeDescriptor(
                id: RangeID(2), span: KeySpan(prefix: [1]), table: TableID(7), home: "a", members: old,
                commitRule: oldRule, preferredLeaders: [])
            range.setMembers(new)
            range.commitRule = newRule
            range.fence = Generation(1)
            if old != new || oldRule != newRule { range.transition = .init(members: old, commitRule: oldRule) }
            return range
        }
    }

    static func members(_ words: String) -> [Member] {
        words.split(separator: " ").map { word in
            let parts = word.split(separator: ":")
            let region = Region(String(parts[0].first!))
            let number = UInt32(parts[0].first!.asciiValue! - 96) * 10 + UInt32(parts[0].dropFirst())!
            return Member(node: NodeID(number), region: region, role: parts.count > 1 ? .learner : .voter)
        }
    }

    static func semi(_ home: Region, _ regions: Int = 1) -> CommitRule {
        .semiSynchronous(home: home, remoteRegions: regions)
    }

    static let changes: [Change] = [
        Change(
            testDescription: "at rest", old: members("a1 a2 a3 b1:l c1:l"), oldRule: semi("a"),
            new: members("a1 a2 a3 b1:l c1:l"), newRule: semi("a")),
        Change(
            testDescription: "two copies a region", old: members("a1 a2 a3 b1:l b2:l c1:l"), oldRule: semi("a"),
            new: members("a1 a2 a3 b1:l b2:l c1:l"), newRule: semi("a")),
        Change(
            testDescription: "the home moves", old: members("a1 a2 a3 b1:l c1:l"), oldRule: semi("a"),
            new: members("a1:l b1 b2 b3 c1:l"), newRule: semi("b")),
        Change(
            testDescription: "two remote regions", old: members("a1 b1:l b2:l c1:l c2:l"), oldRule: semi("a", 2),
            new: members("a1:l b1 b2 b3 c1:l"), newRule: semi("b", 2)),
        Change(
            testDescription: "the mode gets stronger", old: members("a1 a2 a3 b1:l c1:l"),
            oldRule: .asynchronous(home: "a"), new: members("a1 a2 a3 b1:l c1:l"), newRule: semi("a")),
        Change(
            testDescription: "to a quorum over regions", old: members("a1 a2 a3 b1:l c1:l"), oldRule: semi("a"),
            new: members("a1 a2 b1 c1"), newRule: .regionDiverse(minimumRegions: 2)),
    ]

    // MARK: The definition

    private static func isMajority(_ nodes: Set<NodeID>, of members: [Member]) -> Bool {
        let voters = members.filter { $0.role != .learner }
        return voters.count { nodes.contains($0.node) } * 2 > voters.count
    }

    /// Whether a commit that is durable on these nodes may be acknowledged, as `CommitRule` says it.
    private static func mayAcknowledge(_ nodes: Set<NodeID>, _ rule: CommitRule, _ membership: Membership) -> Bool {
        func regions(_ members: [Member]) -> Int {
            Set(members.filter { nodes.contains($0.node) }.map(\.region)).count
        }
        guard isMajority(nodes, of: membership.members),
            !membership.isJoint || isMajority(nodes, of: membership.outgoing)
        else { return false }
        switch rule {
        case .majority, .asynchronous: return true
        case .semiSynchronous(let home, let needed):
            return regions(membership.members.filter { $0.region != home }) >= needed
        case .regionDiverse(let needed):
            return [membership.members, membership.outgoing].allSatisfy { members in
                members.isEmpty || regions(members.filter { $0.role == .voter }) >= needed
            }
        }
    }

    /// Whether a commit can have been acknowledged that no sealed log has, when the longest of them ends in a step of
    /// the change: by its members; by those before, if no sealed replica knows the step to be committed; or by those of
    /// a later step, which a leader may have gone on to.
    private static func canBeMissing(
        _ free: Set<NodeID>, _ change: Change, step: Int, isCommitted: Bool
    ) -> Bool {
        let steps = change.range.steps
        func acknowledges(_ step: Int) -> Bool {
            let isLast = step == steps.count - 1
            let rules = isLast ? [change.oldRule, change.newRule] : [change.oldRule]
            return rules.contains { mayAcknowledge(free, $0, steps[step]) }
        }
        if acknowledges(step) { return true }
        if step > 0, !isCommitted, acknowledges(step - 1) { return true }
        // What follows the next step follows its commit, which takes somebody's copies as any commit does.
        return step + 1 < steps.count && acknowledges(step + 1)
    }

    private static func status(
        _ node: NodeID, _ membership: Membership, hasMembers: Bool = false, at index: UInt64 = 9
    ) -> ReplicaStatus {
        let position = LogPosition(term: Term(1), index: LogIndex(index))
        return ReplicaStatus(
            node: node, term: Generation(1).seal, isLeader: false, isSealed: true, isRecovering: false,
            hasMembers: hasMembers, isSettled: false, revision: 1, last: position, committed: position,
            complete: .zero, membership: membership)
    }

    private static func subsets(of nodes: [NodeID]) -> [Set<NodeID>] {
        (0..<(1 << nodes.count)).map { bits in
            Set(nodes.indices.filter { bits & (1 << $0) != 0 }.map { nodes[$0] })
        }
    }

    // MARK: The rules

    @Test(arguments: changes) func whatIsProvedIsTrue(_ change: Change) {
        let range = change.range
        let nodes = range.hosts.map(\.node)
        var proofs = 0
        for sealed in Self.subsets(of: nodes) where !sealed.isEmpty {
            for (step, membership) in range.steps.enumerated() {
                for isCommitted in [false, true] where !isCommitted || membership == range.membership {
                    let statuses = sealed.sorted().map { Self.status($0, membership, hasMembers: isCommitted) }
                    guard SealedCopies(statuses, of: range).areComplete else { continue }
                    proofs += 1
                    #expect(
                        !Self.canBeMissing(
                            Set(nodes).subtracting(sealed), change, step: step, isCommitted: isCommitted),
                        "\(sealed.sorted()) are said to have all, in step \(step) of \(range.steps.count)")
                }
            }
        }
        #expect(proofs > 0)
    }

    /// Nobody waits without need where nothing changes: what the definition allows is proved.
    @Test(arguments: changes.filter { $0.range.transition == nil }) func whatIsTrueIsProvedAtRest(_ change: Change) {
        let range = change.range
        let nodes = range.hosts.map(\.node)
        for sealed in Self.subsets(of: nodes) where !sealed.isEmpty {
            let statuses = sealed.sorted().map { Self.status($0, range.membership, hasMembers: true) }
            let free = Set(nodes).subtracting(sealed)
            let isSafe = !Self.canBeMissing(free, change, step: 0, isCommitted: true)
            #expect(SealedCopies(statuses, of: range).areComplete == isSafe, "\(sealed.sorted()) of \(nodes)")
        }
    }

    /// The home moves from a to b; who is new there is a learner already. One of b's copies has acknowledged with a,
    /// and the other, which is sealed, has not.
    @Test func oneSealedCopyIsNotItsRegion() {
        let change = Self.changes[2]
        let range = change.range
        let joined = range.steps[1]
        let nodes = Dictionary(grouping: range.hosts, by: \.region).mapValues { $0.map(\.node).sorted() }
        let (b, c) = (nodes["b"]!, nodes["c"]!)
        #expect(joined[b[1]]?.role == .learner)
        let some = [Self.status(b[1], joined), Self.status(c[0], joined)]
        #expect(!SealedCopies(some, of: range).areComplete)
        let all = (b + c).map { Self.status($0, joined) }
        #expect(SealedCopies(all, of: range).areComplete)
    }

    /// The longest sealed log ends before the change began. Others can have begun it without these.
    @Test func copiesThatAreToComeCountAsWell() {
        let range = Self.changes[2].range
        let before = range.steps[0]
        let copies = before.members.filter { $0.role == .learner }.map { Self.status($0.node, before) }
        #expect(!SealedCopies(copies, of: range).areComplete)
    }

    /// A log of an earlier generation says nothing of who are members in this one.
    @Test func whoeverKnowsNothingOfTheGenerationProvesNothing() {
        var range = Self.changes[0].range
        range.generation = Generation(1)
        let statuses = range.members.map { Self.status($0.node, range.membership) }
        #expect(!SealedCopies(statuses, of: range).areComplete)
    }
}
