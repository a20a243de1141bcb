import DequeModule
import MeridianCore

/// Linearizable reads without a log entry (ReadIndex, thesis §6.4).
///
/// A read takes the commit index of the moment at which it starts and waits until a quorum has confirmed, after that
/// moment, that this leader still leads. Confirmations are rounds: the leader counts them, heartbeats carry the last
/// one, and a round that a quorum answered confirms every read that was waiting when it began. Reads that arrive
/// before the leader has committed an entry of its term wait, because it does not know the commit index yet.
///
/// Left the paper: the round is the leader's own number and not the request's, so a request that is repeated under
/// an old name cannot be confirmed by an old answer (etcd #20418).
extension Raft {
    mutating func readIndex(_ id: ReadID) {
        guard role == .leader, !lead.isResigning, !(lead.transfer?.isSent ?? false) else {
            let known = leader == configuration.node ? nil : leader
            effects.reads.append(ReadOutcome(id: id, result: .rejected(leader: known)))
            return
        }
        lead.newReads.append(id)
    }

    /// One round for all reads that came since the last flush.
    mutating func startReadRound() {
        precondition(role == .leader, "a \(role) confirms no reads")
        guard !lead.newReads.isEmpty, hasCommittedInTerm else { return }
        lead.readRound += 1
        for id in lead.newReads {
            lead.reads.append(.init(id: id, round: lead.readRound, index: commitIndex))
        }
        lead.newReads.removeAll(keepingCapacity: true)
        confirmReads()
        if !lead.reads.isEmpty { lead.isHeartbeatDue = true }
    }

    mutating func confirmReads() {
        guard !lead.reads.isEmpty else { return }
        let confirmed = quorum.highestReached(floor: 0) { node in
            node == configuration.node || Planted.isOn(.readIndexUnconfirmed)
                ? lead.readRound : lead.progress.readRound(node)
        }
        while let first = lead.reads.first, first.round <= confirmed {
            effects.reads.append(ReadOutcome(id: first.id, result: .confirmed(first.index)))
            lead.reads.removeFirst()
        }
    }

    mutating func rejectReads(leader: NodeID?) {
        for read in lead.reads {
            effects.reads.append(ReadOutcome(id: read.id, result: .rejected(leader: leader)))
        }
        for id in lead.newReads { effects.reads.append(ReadOutcome(id: id, result: .rejected(leader: leader))) }
        lead.reads.removeAll()
        lead.newReads.removeAll()
    }
}
