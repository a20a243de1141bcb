/// What a command does to a transaction of several ranges, in its range.
package struct CommitStep: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// The command's mutations are provisional, and its timestamp is the lowest at which they can commit.
        case prepare(Preparation)
        /// What was prepared becomes visible at the command's timestamp.
        case commit
        /// What was prepared is void, and this attempt can never be prepared here any more.
        case abort
        /// The anchor need not keep its decision any longer.
        case forget
        /// No transaction, but an erasure: of every key but the first, all versions at or below the command's timestamp
        /// are gone once it is applied. The first is the range's lower bound, which no row has; the deletion that it
        /// gets stays, as the mark of when something was erased last.
        case erase
    }

    package struct Preparation: Hashable, Sendable {
        /// The range whose log decides.
        package var anchor: RangeID
        /// All ranges that are written, in the anchor's entry, which is the staging record; none in the others'. Names
        /// of ranges, never keys: rows of one region must not be told of in another.
        package var participants: [RangeID]
        /// The commit timestamp that the coordinator asked for. If every participant has prepared at exactly the
        /// anchor's candidate, the transaction is committed.
        package var candidate: Timestamp
        /// Other ranges were only read, and promised the coordinator alone to stay as they are up to `candidate`.
        package var readsElsewhere: Bool
        package var priority: TransactionPriority
        /// What it has read here.
        package var keys: [Key]
        package var spans: [KeySpan]

        package init(
            anchor: RangeID, participants: [RangeID], candidate: Timestamp, readsElsewhere: Bool,
            priority: TransactionPriority, keys: [Key] = [], spans: [KeySpan] = []
        ) {
            self.anchor = anchor
            self.participants = participants
            self.candidate = candidate
            self.readsElsewhere = readsElsewhere
            self.priority = priority
            self.keys = keys
            self.spans = spans
        }

        /// Whether the entry is the transaction's staging record.
        package var isStaging: Bool { !participants.isEmpty }
    }

    package var attempt: UInt64
    package var kind: Kind

    package init(attempt: UInt64, kind: Kind) {
        self.attempt = attempt
        self.kind = kind
    }

    package var byteCount: Int {
        guard case .prepare(let preparation) = kind else { return 16 }
        let keys = preparation.keys.reduce(64) { $0 + $1.bytes.count + 8 }
        let spans = preparation.spans.reduce(0) { $0 + $1.lower.bytes.count + ($1.upper?.bytes.count ?? 0) + 16 }
        return keys + spans + 8 * preparation.participants.count
    }
}

/// The age of a transaction, which it keeps over its attempts: the lower, the older. Of two that want the same rows the
/// older one goes first (wound-wait: Rosenkrantz, Stearns and Lewis 1978).
package struct TransactionPriority: Hashable, Comparable, Sendable {
    /// When its first attempt began.
    package var begun: Timestamp
    /// Breaks ties.
    package var request: RequestID

    package init(begun: Timestamp, request: RequestID) {
        self.begun = begun
        self.request = request
    }

    package static func < (lhs: TransactionPriority, rhs: TransactionPriority) -> Bool {
        (lhs.begun, lhs.request.high, lhs.request.low) < (rhs.begun, rhs.request.high, rhs.request.low)
    }
}
