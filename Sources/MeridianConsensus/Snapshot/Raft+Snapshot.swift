import MeridianCore

/// Followers that are behind the log's base, and what a snapshot does to a log (Raft §7).
///
/// Snapshots travel outside of the core: it says who needs one, and is told how it ended.
extension Raft {
    /// A snapshot that this leader was asked to send ended.
    mutating func snapshotSent(to follower: NodeID, _ result: SnapshotResult) {
        guard role == .leader, let slot = lead.progress.slot(of: follower) else { return }
        lead.progress[slot].isSnapshotOutstanding = false
        guard lead.progress[slot].state == .snapshot else { return }
        switch result {
        case .installed(let index):
            lead.progress[slot].snapshotInstalled(min(index, log.lastIndex))
        case .failed:
            lead.progress[slot].becomeProbe()
            // Not again before the follower shows that it lives.
            lead.progress[slot].isPaused = true
        }
    }

    /// A snapshot is in the state store. The log starts again after it, unless it holds the snapshot's end already:
    /// then what follows was possibly acknowledged, and stays.
    mutating func snapshotInstalled(_ metadata: SnapshotMetadata, from sender: NodeID, at now: Moment) {
        let position = metadata.position
        precondition(position.index > .zero, "a snapshot of nothing, from \(sender)")
        guard position.index > commitIndex else {
            // Stale. The sender may still wait to hear that this replica is past it.
            acknowledgeSnapshot(commitIndex, to: sender)
            return
        }
        // A leader has every committed entry, though it may not know yet that they are.
        precondition(
            role != .leader || log.matches(position), "leader of \(log.lastPosition) was given \(position) by \(sender)"
        )
        if position.term > term { becomeFollower(term: position.term, leader: nil, at: now) }
        if log.matches(position) {
            commitIndex = position.index
        } else {
            log.reset(to: position)
            readmission = nil
            history = MembershipHistory(metadata.membership, at: position.index)
            commitIndex = position.index
            membershipChanged(at: now)
        }
        handedOut = max(handedOut, position.index)
        appliedIndex = max(appliedIndex, position.index)
        history.forget(before: appliedIndex)
        if role == .leader {
            settleProposals()
            leaveJointIfCommitted()
            return
        }
        acknowledgeSnapshot(position.index, to: sender)
    }

    private mutating func acknowledgeSnapshot(_ index: LogIndex, to sender: NodeID) {
        guard sender != configuration.node else { return }
        sendWhenDurable(.appendReply(.init(result: .accepted(index), lease: nil, life: life)), to: sender)
    }
}
