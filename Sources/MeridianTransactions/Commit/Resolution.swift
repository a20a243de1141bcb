import MeridianCore

/// What a range is told, or asked, about a transaction that it may have prepared.
package enum Resolution: Hashable, Sendable {
    /// It has committed. To the anchor: let it commit, unless it was aborted.
    case commit(at: Timestamp)
    /// It was given up. The answer waits for nothing but what is prepared.
    case abort
    /// Let it never commit here, and say so only when the log does. To the anchor, this decides; what has been decided
    /// otherwise stays.
    case forbid
    /// As `forbid`, because of a loss, and with a record of it: what was lost can have been acknowledged, or so can
    /// another range's part. In a ballot after the first only what has a record is a decision.
    case undo(mayBeAcknowledged: Bool)
    /// Tell how it stands here. If it has not been prepared, forbid it; if it has, promise to follow no lower ballot.
    case query
    /// Every participant has it: nobody need keep it.
    case forget

    /// Whether the anchor's log decides by it, if it has not yet.
    var decides: Bool {
        switch self {
        case .commit, .forbid, .undo: true
        case .abort, .query, .forget: false
        }
    }

    /// Whether it decides in a ballot after the first too.
    package var isCommitOrUndo: Bool {
        switch self {
        case .commit, .undo: true
        case .abort, .forbid, .query, .forget: false
        }
    }
}

/// How a transaction stands in a range, as its log says.
package enum Standing: Hashable, Sendable {
    case prepared(at: Timestamp, CommitStep.Preparation)
    /// In the anchor: decided. In another range: the commit has been taken in.
    case committed(Timestamp)
    /// It will never be prepared here, nor commit.
    case aborted
    /// Nothing is known of it here, and nothing needs to be.
    case over
}
