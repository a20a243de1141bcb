import MeridianConsensus
import MeridianCore
import MeridianPlacement

/// Replicas watch each other (etcd's corruption checks; CockroachDB's consistency checker).
///
/// 1. The leader proposes a **comparison**, an entry that changes nothing, where something was written since the last
///    one, at the pace of the threshold and before that rises (`Replica+Collection.swift`): what lay below the old one
///    has had the time to be collected by then.
/// 2. Each replica that applies it reports to the leader what its rows add up to at exactly that index (`RangeDigest`).
///    A store keeps that up as it applies. It also looks through its rows, paced, for what is not as it was applied;
///    one that has found damage says so in every report, and asks for a comparison.
/// 3. If a quorum of the voters agrees, every replica that says something else, or knows of damage, is told. It is
///    taken out of service at once, forgets its log and its rows, and begins a new life which is recovering
///    (`Departure`), as after the loss of its disk: it neither votes nor counts until it is readmitted with the rows of
///    its peers, also across restarts (docs/decisions/0010). The quorum that agrees does not contain it, so all that is
///    committed up to there is elsewhere. The leader tells itself too.
/// 4. If no quorum agrees, nobody knows who is right: it is reported only (`Divergence`).
///
/// A report counts for nothing while its replica has not collected all that lies below the threshold: others may have.
///
/// What it does not see: what all replicas do wrong alike, and damage to what nobody has looked through yet.
struct Comparison: Sendable {
    let index: LogIndex
    let term: Term
    var reports: [NodeID: DigestReport] = [:]
    /// Of whom it is known that they differ.
    var told: Set<NodeID> = []
}

/// A replica was found to hold other rows than the others.
package struct Divergence: Hashable, Sendable {
    package var range: RangeID
    /// The node whose replica differs.
    package var node: NodeID
    /// At which index of the log.
    package var index: LogIndex
    /// Who agrees without it; nobody if there is no quorum that does.
    package var agreeing: [NodeID]

    /// It leaves service and gets its rows from a peer. Otherwise nobody knows who is right.
    package var isRebuilt: Bool { !agreeing.isEmpty }
}

extension Replica {
    /// Proposes a comparison if there is something new to compare.
    mutating func compareIfChanged(at now: Moment) {
        guard lastCommand > lastComparison else { return }
        raft.receive(.upkeep(.compare), at: now)
    }

    /// The entry is committed: whoever leads takes the reports in.
    mutating func beginComparison(at index: LogIndex) {
        lastComparison = index
        comparison = raft.role == .leader ? Comparison(index: index, term: raft.term) : nil
    }

    /// This replica's rows add up to this.
    mutating func digested(_ report: DigestReport, at now: Moment, _ effects: inout StepEffects) {
        reported = report.index
        tell(report, at: now, &effects)
    }

    private mutating func tell(_ report: DigestReport, at now: Moment, _ effects: inout StepEffects) {
        if raft.role == .leader {
            receive(report, from: node, at: now, &effects)
        } else if let leader = raft.leader {
            effects.send(.digest(report, raft.term), to: leader)
        }
    }

    /// The store has found that its rows are not as they were applied.
    mutating func foundDamage(at now: Moment, _ effects: inout StepEffects) {
        tell(
            DigestReport(
                range: descriptor.id, index: .zero, digest: RangeDigest(), isComplete: false, isSound: false),
            at: now, &effects)
    }

    mutating func receive(
        _ report: DigestReport, from sender: NodeID, at now: Moment, _ effects: inout StepEffects
    ) {
        guard raft.role == .leader else { return }
        guard var comparison, comparison.index == report.index, comparison.term == raft.term else {
            // Somebody knows of damage: it is compared now, unless it is anyway.
            if !report.isSound, lastComparison <= appliedIndex { raft.receive(.upkeep(.compare), at: now) }
            return
        }
        guard let member = raft.membership[sender], member.role != .witness else { return }
        comparison.reports[sender] = report
        let found = comparison.judge(JointQuorum(raft.membership), in: descriptor.id)
        self.comparison = comparison
        for divergence in found {
            effects.node.divergences.append(divergence)
            guard divergence.isRebuilt else { continue }
            if divergence.node == node {
                effects.damaged.append(descriptor.id)
            } else {
                effects.send(.diverged(descriptor.id, at: comparison.index, comparison.term), to: divergence.node)
            }
        }
    }

    /// Whether the leader's finding concerns what this replica has reported, in this life.
    func hasDiverged(at index: LogIndex, _ term: Term, from sender: NodeID) -> Bool {
        raft.leader == sender && raft.term == term && reported == index && !raft.isRecovering && !raft.isSealed
    }
}

extension Comparison {
    /// Who is known to differ by now, and was not before.
    fileprivate mutating func judge(_ quorum: JointQuorum, in range: RangeID) -> [Divergence] {
        var groups: [RangeDigest: [NodeID]] = [:]
        for (node, report) in reports where report.isComplete && report.isSound {
            groups[report.digest, default: []].append(node)
        }
        // Two quorums share a voter, so at most one group is one.
        let agreed = groups.first { _, group in quorum.voteResult { group.contains($0) } == .won }
        if let agreed {
            return differing(range, agreeing: agreed.value.sorted()) { report in
                !report.isSound || (report.isComplete && report.digest != agreed.key)
            }
        }
        // Those who have not reported yet may make one of these a quorum, or one of their own.
        let isOpen = (groups.values + [[]]).contains { group in
            quorum.voteResult { group.contains($0) ? true : reports[$0] == nil ? nil : false } != .lost
        }
        guard !isOpen else { return [] }
        return differing(range, agreeing: []) { !$0.isSound || ($0.isComplete && groups.count > 1) }
    }

    private mutating func differing(
        _ range: RangeID, agreeing: [NodeID], _ differs: (DigestReport) -> Bool
    ) -> [Divergence] {
        let found = reports.keys.sorted().filter { !told.contains($0) && differs(reports[$0]!) }
        told.formUnion(found)
        return found.map { Divergence(range: range, node: $0, index: index, agreeing: agreeing) }
    }
}
