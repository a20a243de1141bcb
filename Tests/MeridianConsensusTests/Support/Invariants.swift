import MeridianConsensus
import MeridianCore

/// The safety rules, checked from outside: on outputs, disks and what a replica shows, never on its own word alone.
///
/// A broken rule is collected, not trapped, so that a test can say which seed broke which rule.
struct Invariants {
    private(set) var violations: [String] = []

    /// Raft figure 3, Election Safety.
    private var leaderOfTerm: [Term: NodeID] = [:]
    /// Every entry that any replica handed out as committed, with the lowest term in which one did.
    private(set) var committed: [Entry] = []
    private var committedInTerm: [Term] = []
    /// The highest index that was reported to a proposer as committed: what a linearizable read must see.
    private var acknowledged: LogIndex = .zero
    private var pending: Set<ProposalID> = []
    private var rejected: Set<UInt64> = []
    private var readFloors: [ReadID: LogIndex] = [:]
    /// The highest timestamp at which a lease read can have been served.
    private var served: Int64 = .min
    private(set) var leaseMoments = 0
    private(set) var confirmedReads = 0

    struct Before {
        var role: Raft.Role
        var term: Term
        var commit: LogIndex
        var last: LogPosition
        var membership: Membership
        init(_ raft: Raft) {
            role = raft.role
            term = raft.term
            commit = raft.commitIndex
            last = raft.lastPosition
            membership = raft.membership
        }
    }

    private mutating func fail(_ rule: String, _ what: String) {
        if violations.count < 5 { violations.append("\(rule): \(what)") }
    }

    mutating func propose(_ id: ProposalID) { pending.insert(id) }
    mutating func read(_ id: ReadID) { readFloors[id] = acknowledged }

    mutating func check(_ node: TestNode, before: Before, output: RaftOutput, among nodes: [TestNode], at time: Int64) {
        let raft = node.raft
        if raft.term < before.term { fail("monotonic", "\(node.id) went from \(before.term) to \(raft.term)") }
        if raft.commitIndex < before.commit { fail("monotonic", "\(node.id) uncommitted \(before.commit)") }
        if raft.appliedIndex > raft.commitIndex || raft.commitIndex > raft.lastPosition.index {
            fail("ordering", "\(node.id): applied \(raft.appliedIndex) commit \(raft.commitIndex) \(raft.lastPosition)")
        }
        if raft.role == .leader { checkLeader(node, before: before, among: nodes, at: time) }
        for entry in output.committed { commit(entry, at: node) }
        for outcome in output.outcomes { settle(outcome) }
        for read in output.reads { settle(read) }
    }

    private mutating func checkLeader(_ node: TestNode, before: Before, among nodes: [TestNode], at time: Int64) {
        let raft = node.raft
        if let other = leaderOfTerm[raft.term], other != node.id {
            fail("electionSafety", "\(other) and \(node.id) lead in \(raft.term)")
        }
        let isNew = leaderOfTerm[raft.term] == nil
        leaderOfTerm[raft.term] = node.id
        if isNew {
            // Leader Completeness: everything committed in an earlier term is in the log of this leader.
            for (entry, term) in zip(committed, committedInTerm)
            where term < raft.term && entry.index > raft.basePosition.index {
                if raft.term(at: entry.index) != entry.term {
                    fail("leaderCompleteness", "\(node.id) leads \(raft.term) without \(entry.position)")
                }
            }
            if max(time, raft.timestampFloor.rawValue) < served {
                fail("floor", "\(node.id) leads \(raft.term) from \(raft.timestampFloor), but \(served) was served")
            }
        } else if before.role == .leader, before.term == raft.term, before.last.index > raft.basePosition.index {
            if raft.term(at: before.last.index) != before.last.term {
                fail("leaderAppendOnly", "\(node.id) overwrote \(before.last)")
            }
        }
        if raft.commitIndex > before.commit, raft.commitIndex > raft.basePosition.index, before.role == .leader,
            let term = raft.term(at: raft.commitIndex)
        {
            if term != raft.term {
                fail("ownTerm", "\(node.id) in \(raft.term) committed \(raft.commitIndex) of \(term)")
            }
            let position = LogPosition(term: term, index: raft.commitIndex)
            // The membership in force when it was counted: the step may have appended another.
            let memberships = [before.membership, raft.membership, raft.membership(at: position.index)]
            if !memberships.contains(where: { isDurable(position, in: $0, among: nodes) }) {
                fail("durability", "\(node.id) committed \(position), which no quorum has on disk")
            }
        }
    }

    /// Whoever commits, a majority of the voters has it on disk.
    private func isDurable(_ position: LogPosition, in membership: Membership, among nodes: [TestNode]) -> Bool {
        let result = JointQuorum(membership).voteResult { voter in
            nodes[Int(voter.rawValue) - 1].disk.holds(position)
        }
        return result == .won
    }

    /// State Machine Safety: what one replica applies at an index, every other does.
    private mutating func commit(_ entry: Entry, at node: TestNode) {
        let offset = Int(entry.index.rawValue) - 1
        guard offset < committed.count else {
            if offset > committed.count { return fail("stateMachineSafety", "\(node.id) skipped to \(entry.index)") }
            committed.append(entry)
            committedInTerm.append(node.raft.term)
            if let number = entry.payload.number, rejected.contains(number) {
                fail("outcomes", "\(number) was rejected and then committed")
            }
            return
        }
        let known = committed[offset]
        committedInTerm[offset] = min(committedInTerm[offset], node.raft.term)
        if known.term != entry.term {
            fail("stateMachineSafety", "\(node.id) has \(entry.position), others \(known.position)")
        } else if known.payload != entry.payload {
            // A witness holds no commands; whatever else differs is wrong.
            if case .command = known.payload, entry.payload == .empty { return }
            if case .command = entry.payload, known.payload == .empty {
                committed[offset] = entry
                return
            }
            fail("stateMachineSafety", "\(node.id) has another payload at \(entry.position)")
        }
    }

    private mutating func settle(_ outcome: ProposalOutcome) {
        if case .appended = outcome.result { return }
        if pending.remove(outcome.id) == nil { fail("outcomes", "\(outcome.id.rawValue) has two outcomes") }
        switch outcome.result {
        case .appended, .unknown: break
        case .committed(let position): acknowledged = max(acknowledged, position.index)
        case .rejected: rejected.insert(outcome.id.rawValue)
        }
    }

    private mutating func settle(_ read: ReadOutcome) {
        guard case .confirmed(let index) = read.result else { return }
        confirmedReads += 1
        if let floor = readFloors[read.id], index < floor {
            fail("linearizableReads", "read \(read.id.rawValue) was confirmed at \(index) below \(floor)")
        }
    }

    /// At most one lease at any true time, and whoever has it knows all that was acknowledged.
    mutating func checkLeases(_ nodes: [TestNode], at time: Int64) {
        var holder: NodeID?
        for node in nodes where node.isUp && node.raft.role == .leader {
            guard let expiration = node.raft.leaseExpiration, time < expiration.rawValue else { continue }
            if let holder { fail("leaseExclusivity", "\(holder) and \(node.id) at \(time)") }
            holder = node.id
            leaseMoments += 1
            served = max(served, time)
            if node.raft.commitIndex < acknowledged {
                fail("leaseReads", "\(node.id) serves at \(node.raft.commitIndex), acknowledged \(acknowledged)")
            }
        }
    }

    /// Log Matching: where two logs have an entry of the same index and term, they agree up to it.
    mutating func checkLogMatching(_ nodes: [TestNode]) {
        for (offset, one) in nodes.enumerated() where one.isUp {
            for other in nodes[(offset + 1)...] where other.isUp {
                let lowest = max(one.raft.basePosition.index, other.raft.basePosition.index)
                var index = min(one.raft.lastPosition.index, other.raft.lastPosition.index)
                var mustAgree = false
                while index > lowest {
                    let doAgree = one.raft.term(at: index) == other.raft.term(at: index)
                    if mustAgree, !doAgree { fail("logMatching", "\(one.id) and \(other.id) at \(index)") }
                    mustAgree = mustAgree || doAgree
                    index = index.previous
                }
            }
        }
    }
}
