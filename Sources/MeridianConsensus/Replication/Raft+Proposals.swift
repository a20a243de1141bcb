import DequeModule
import MeridianCore

/// Taking proposals in, and telling how each ended.
///
/// Every proposal gets exactly one final outcome: `committed`, `rejected` (it is in no log of ours and never takes
/// effect) or `unknown` (this leader appended it and lost the leadership; whether it survives is for the log to
/// tell, and for the layer above to find out by its request id). An `appended` may come before.
extension Raft {
    mutating func propose(_ proposals: [Proposal]) {
        guard let reason = reasonToReject() else {
            for proposal in proposals { append(proposal) }
            return
        }
        for proposal in proposals {
            effects.outcomes.append(ProposalOutcome(id: proposal.id, result: .rejected(reason)))
        }
    }

    func reasonToReject() -> RejectionReason? {
        guard role == .leader, !lead.isResigning else {
            return .notLeader(leader: leader == configuration.node ? nil : leader)
        }
        return lead.transfer.map { .transferring(to: $0.target) }
    }

    private mutating func append(_ proposal: Proposal) {
        switch proposal.payload {
        case .empty, .command, .collect, .compare:
            break
        case .membership, .readmission:
            let reason = RejectionReason.membership("members change by changeMembership, not by a proposal")
            effects.outcomes.append(ProposalOutcome(id: proposal.id, result: .rejected(reason)))
            return
        }
        let size = Entry.overheadByteCount + proposal.payload.byteCount
        let uncommitted = log.byteCount(after: commitIndex, through: log.lastIndex)
        // A proposal larger than the limit may go when it is alone, or it never could.
        guard uncommitted == 0 || uncommitted + size <= configuration.maximumUncommittedBytes else {
            effects.outcomes.append(ProposalOutcome(id: proposal.id, result: .rejected(.tooManyUncommittedBytes)))
            return
        }
        let position = append(proposal.payload, byteCount: size - Entry.overheadByteCount)
        lead.proposals.append(.init(index: position.index, id: proposal.id))
        effects.outcomes.append(ProposalOutcome(id: proposal.id, result: .appended(position)))
    }

    /// Appends to the leader's own log; the next flush writes and sends.
    @discardableResult
    mutating func append(_ payload: EntryPayload, byteCount: Int) -> LogPosition {
        precondition(role == .leader, "a \(role) appends nothing of its own")
        let entry = Entry(term: term, index: log.lastIndex.next, payload: payload)
        log.append(entry, byteCount: Entry.overheadByteCount + byteCount)
        return entry.position
    }

    /// The entries up to `commitIndex` are committed, and with them the proposals.
    mutating func settleProposals() {
        while let first = lead.proposals.first, first.index <= commitIndex {
            let position = LogPosition(term: term, index: first.index)
            effects.outcomes.append(ProposalOutcome(id: first.id, result: .committed(position)))
            lead.proposals.removeFirst()
        }
    }
}

extension Entry {
    static let overheadByteCount = 24
}
