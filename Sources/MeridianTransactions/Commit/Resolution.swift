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
    /// Tell how it stands here. If it has not been prepared, forbid it.
    case query
    /// Every participant has it: the anchor's log need not keep it.
    case forget
    /// To any range that an attempt was to write, for a client that does not know what has become of it: tell whether
    /// the request has committed here; if not, forbid the attempt. Where an attempt of the request is open, this one or
    /// another, that is the answer.
    case close

    /// Whether the anchor's log decides by it, if it has not yet.
    var decides: Bool {
        switch self {
        case .commit, .forbid: true
        case .abort, .query, .forget, .close: false
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

    /// When it has committed.
    package var timestamp: Timestamp? { if case .committed(let timestamp) = self { timestamp } else { nil } }
}
