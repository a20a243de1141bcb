import MeridianConsensus
import MeridianCore
import MeridianPlacement

/// A node that lost its disk and goes on under its old name (`MeridianConsensus/Membership/Raft+Readmission.swift`).
///
/// The node is recovering as long as its replica of the system range is: the system range's hard state says so, from
/// before the node first speaks. Every node has a replica of that range, and it is written in the same transactions as
/// all others, so nothing else needs to be remembered. Of a range without a log here, two things can be true:
///
/// - **The node is recovering.** An earlier life may have had a replica and may have voted in it: it recovers as well.
/// - **It is not, or not any more.** Then the table's record lies behind the node's own readmission in the system
///   range's log: all that lie before it were applied before the recovery ended, and the ranges were made while it
///   lasted, in log jobs before the one that ended it. What an earlier life can have applied was committed before the
///   node was readmitted, so before the readmission in the log. No earlier life knew the range, and it begins anew.
///
/// A snapshot of the system range brings records in a later step than the log position that it stands for. Until they
/// are read the recovery is held, so that none of them can be taken for newer than it is.
extension NodeCore {
    /// What must be durable in an empty log before a node that lost its disk starts for the first time.
    package static func recoveryWrite(_ incarnation: Incarnation) -> LogWrite {
        var write = LogWrite(range: Catalog.systemRange)
        write.hardState = .recovering(incarnation)
        return write
    }

    /// Whether this node's disk was lost and what it did before may bind it still.
    package var isRecovering: Bool { slots[Catalog.systemRange].map { replicas[$0].raft.isRecovering } ?? false }

    /// The log of a range that has none here.
    var unknownPast: StoredLog {
        let system = slots[Catalog.systemRange].map { replicas[$0].raft.hardStateWithoutLog }
        guard let state = system ?? departures[Catalog.systemRange]?.hardState, state.isRecovering else {
            return StoredLog()
        }
        return StoredLog(hardState: .recovering(state.incarnation))
    }

    mutating func holdRecovery(_ isHeld: Bool, at now: Moment) {
        with(Catalog.systemRange, at: now) { $0.raft.isRecoveryHeld = isHeld }
    }

    /// The answer of a range whose only voter lost its disk: nobody has its rows any more.
    func refusalBeyondRecovery(_ slot: Int) -> RangeReply.Body? {
        guard replicas[slot].raft.isRecovering, replicas[slot].raft.isBeyondRecovery else { return nil }
        let error = MeridianError(
            .unavailable,
            "node \(configuration.node) was the only voter of \(replicas[slot].descriptor.id) and its disk was lost: "
                + "nobody can tell what the range held; restore the cluster from a copy")
        return .failed(error)
    }
}
