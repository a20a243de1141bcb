/// What a command does to a transaction of several ranges, in its range.
package struct CommitStep: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// The command's mutations are provisional, and its timestamp is the lowest at which they can commit.
        case prepare(Preparation)
        /// What was prepared becomes visible at the command's timestamp.
        case commit
        /// What was prepared is void, and this attempt can never be prepared here any more.
        case abort
        /// What was prepared follows no decision of a lower ballot any more.
        case promise(Ballot)
        /// The transaction has committed, as a participant knows, and the range that decides has lost what told so:
        /// as `commit`, also where nothing is prepared.
        case adopt([Participant])
        /// As `abort`, because ranges were given up, or have lost what they had prepared. It is kept until somebody has
        /// reported it.
        case undo(UndoneTransaction.Cause)
        /// Every participant knows how these have ended, or somebody has reported it.
        case forget([TransactionID])
        /// No transaction, but an erasure: of every key but the first, all versions at or below the command's timestamp
        /// are gone once it is applied. The first is the range's lower bound, which no row has; the deletion that it
        /// gets stays, as the mark of when something was erased last.
        case erase
    }

    package struct Preparation: Hashable, Sendable {
        /// All ranges that are written, in the order in which they would have to decide: the first, whose log decides,
        /// is the anchor, and its entry the staging record. Names of ranges, never keys: rows of one region must not be
        /// told of in another.
        package var participants: [Participant]
        /// The commit timestamp that the coordinator asked for. If every participant has prepared at exactly the
        /// anchor's candidate, the transaction is committed.
        package var candidate: Timestamp
        /// Other ranges were only read, and promised the coordinator alone to stay as they are up to `candidate`.
        package var readsElsewhere: Bool
        /// The client is told of a commit that a log says, and of no other.
        package var acknowledgesDecided: Bool
        package var priority: TransactionPriority
        /// What it has read here.
        package var keys: [Key]
        package var spans: [KeySpan]

        package init(
            participants: [Participant], candidate: Timestamp, readsElsewhere: Bool, acknowledgesDecided: Bool = false,
            priority: TransactionPriority, keys: [Key] = [], spans: [KeySpan] = []
        ) {
            precondition(!participants.isEmpty, "a transaction that nobody decides")
            self.participants = participants
            self.candidate = candidate
            self.readsElsewhere = readsElsewhere
            self.acknowledgesDecided = acknowledgesDecided
            self.priority = priority
            self.keys = keys
            self.spans = spans
        }

        package var anchor: RangeID { participants[0].range }

        /// What other ranges' leaseholders may know of it: no keys.
        package var withoutKeys: Preparation {
            var preparation = self
            (preparation.keys, preparation.spans) = ([], [])
            return preparation
        }
    }

    package var attempt: UInt64
    package var kind: Kind

    package init(attempt: UInt64, kind: Kind) {
        self.attempt = attempt
        self.kind = kind
    }

    package var isAbortion: Bool {
        switch kind {
        case .abort, .undo: true
        case .prepare, .commit, .promise, .adopt, .forget, .erase: false
        }
    }

    package var byteCount: Int {
        let preparation: Preparation
        switch kind {
        case .prepare(let prepared): preparation = prepared
        case .adopt(let participants): return 16 + 12 * participants.count
        case .undo(let cause): return 32 + 12 * cause.participants.count
        case .forget(let ids): return 16 + 24 * ids.count
        case .commit, .abort, .promise, .erase: return 16
        }
        let keys = preparation.keys.reduce(64) { $0 + $1.bytes.count + 8 }
        let spans = preparation.spans.reduce(0) { $0 + $1.lower.bytes.count + ($1.upper?.bytes.count ?? 0) + 16 }
        return keys + spans + 12 * preparation.participants.count
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
