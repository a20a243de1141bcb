import MeridianConsensus
import MeridianCore
import MeridianPlacement

/// What a node does that cannot write: it takes no commits, and gives what it leads to somebody who can.
///
/// - A **full disk** loses nothing and may pass. Where another voter can write, it gets the leadership. Where none
///   can, the leader goes on serving reads and refuses commits with `.diskFull`, until there is space.
/// - After any **other failure** nobody knows what the disk holds, so nothing is written again until the node is
///   started anew. If nobody takes the leadership over, consensus gives it up, because the disk no longer answers.
extension NodeCore {
    /// Why this node cannot write; `nil` when it can.
    package var failure: MeridianError? { logFailure ?? stateFailure }
    mutating func noteFailures() { cannotWrite = failure != nil }

    mutating func logFailed(_ error: MeridianError?, at now: Moment) {
        logFailure = error
        for slot in replicas.indices { replicas[slot].raft.isDiskFull = error?.code == .diskFull }
        handOverAll(at: now)
    }

    mutating func stateFailed(_ error: MeridianError?, at now: Moment) {
        stateFailure = error
        handOverAll(at: now)
    }

    private mutating func handOverAll(at now: Moment) {
        for slot in replicas.indices {
            if failure != nil { handOver(slot, at: now) }
            markDirty(slot)
        }
    }

    /// Gives a leadership to a voter that can write, if there is one.
    mutating func handOver(_ slot: Int, at now: Moment) {
        guard replicas[slot].raft.role == .leader, let successor = successor(slot) else { return }
        replicas[slot].raft.receive(.transferLeadership(to: successor), at: now)
    }

    /// The answer to a commit, or a transaction's part, that this node cannot take; `nil` when another node is known to
    /// lead, or when it is under way already and whoever asks again can wait with those who asked before. What resolves
    /// a transaction waits for space.
    mutating func refusal(of body: RangeRequest.Body, _ slot: Int, at now: Moment) -> RangeReply.Body? {
        guard let failure else { return nil }
        let serving = replicas[slot].serving
        switch body {
        case .commit(let commit): if serving?.commitsByRequest[commit.id] != nil { return nil }
        case .prepare(let prepare):
            let transactions = serving?.transactions
            if transactions?.held[prepare.id] != nil || transactions?.preparing[prepare.id] != nil { return nil }
        case .read, .resolve, .lock, .unlock, .transferLease, .transactions, .status: return nil
        }
        let raft = replicas[slot].raft
        if raft.role == .leader, let successor = successor(slot) {
            handOver(slot, at: now)
            markDirty(slot)
            return .notLeaseholder(leader: successor, term: raft.term)
        }
        guard raft.role == .leader || (raft.leader == nil && successor(slot) == nil) else { return nil }
        return .failed(MeridianError(failure.code, failure.message, retry: .after(.seconds(1))))
    }

    private func successor(_ slot: Int) -> NodeID? {
        let replica = replicas[slot]
        return replica.descriptor.preferredLeaders.first { candidate in
            candidate != configuration.node && peers.canLead(candidate)
                && replica.raft.membership[candidate]?.role == .voter
        }
    }
}
