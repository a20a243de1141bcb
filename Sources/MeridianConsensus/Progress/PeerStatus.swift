import MeridianCore

/// What a leader shows of a member, for routing, placement and metrics. It decides nothing.
package struct PeerStatus: Hashable, Sendable {
    package var node: NodeID
    package var state: Progress.State
    package var match: LogIndex
    package var next: LogIndex
    package var inflightMessages: Int
    package var inflightByteCount: Int
    package var isPaused: Bool
    package var lastContact: Instant
    package var lease: Timestamp?
    package var isRecovering: Bool
}

extension Raft {
    /// All members in node order, this replica included; empty for whoever does not lead.
    package var peers: [PeerStatus] {
        guard role == .leader else { return [] }
        return lead.progress.members.map { member in
            PeerStatus(
                node: member.node, state: member.state, match: member.match, next: member.next,
                inflightMessages: member.inflights.count, inflightByteCount: member.inflights.byteCount,
                isPaused: member.isPaused, lastContact: member.lastContact, lease: member.lease,
                isRecovering: member.isRecovering)
        }
    }

    /// Bytes of entries in this log that are not committed.
    package var uncommittedByteCount: Int { log.byteCount(after: commitIndex, through: log.lastIndex) }
    /// Until when this replica has promised to elect nobody, if it has.
    package var promisedUntil: Timestamp? { promise.until }
    package var isTransferring: Bool { lead.transfer != nil }
}
