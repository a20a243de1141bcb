import MeridianConsensus
import MeridianCore
import MeridianTransactions

/// The transactions of several ranges that a leaseholder has to do with at present. It belongs to one leadership; what
/// is prepared is taken over from the replicated `TransactionTable`.
struct TransactionsHeld: Sendable {
    /// Transactions that wait for their latches, or to be evaluated.
    var preparing: [TransactionID: Preparing] = [:]
    /// Transactions that have a prepare entry in the log, committed or not.
    var held: [TransactionID: Held] = [:]
    /// What is in the log to resolve a transaction, and who waits for it.
    var resolving: [TransactionID: Resolving] = [:]
    /// Attempts that were given up and that may still be on their way here.
    var forbidden = RecentSet<TransactionID>()
    /// Since when this leaseholder has known of commits of which some participant may not know.
    var decidedSince: [TransactionID: Instant] = [:]
    /// What every participant knows: the log need not keep it, and says so for many at once.
    var forgettable: Set<TransactionID> = []

    struct Preparing: Sendable {
        var ticket: Latches.Ticket
        var request: PrepareRequest
        var coordinator: NodeID
        var addresses: [ReplyAddress]
    }

    struct Held: Sendable {
        var ticket: Latches.Ticket
        var timestamp: Timestamp
        var preparation: CommitStep.Preparation
        /// The gateway that coordinates it, if this leaseholder has heard from it.
        var coordinator: NodeID?
        /// Whether the prepare entry is committed.
        var isCommitted: Bool
        /// The lowest ballot whose decision it follows.
        var promised: Ballot
        /// When it has committed, once the log says so; its rows, or its time, are still awaited.
        var committedAt: Timestamp?
        /// Who waits to hear that it is prepared.
        var waiting: [ReplyAddress] = []
        /// Who wants to know how it stands, once that is known.
        var asking: [Asked] = []
        /// When to find out what has become of it.
        var recoverAt: Instant
    }

    struct Resolving: Sendable {
        /// What is in the log.
        var request: ResolveRequest
        /// It is a promise: the transaction stays prepared.
        var isPromise: Bool
        var waiting: [Asked]
    }

    struct Asked: Sendable {
        var request: ResolveRequest
        var address: ReplyAddress
    }

    /// Nothing can be closed at or above this: it may yet commit.
    var lowestTimestamp: Timestamp? { held.values.lazy.map(\.timestamp).min() }
}

/// A transaction that somebody must bring to its end.
struct Abandoned: Sendable {
    enum Kind: Sendable {
        /// It is prepared here, and its coordinator is silent.
        case prepared([Participant])
        /// It has committed here, and not all participants are known to know.
        case decided(DecidedTransaction)
    }

    var id: TransactionID
    /// Where, and in which history of the range.
    var origin: Participant
    var kind: Kind
}
