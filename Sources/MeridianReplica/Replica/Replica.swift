import DequeModule
import MeridianClock
import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianTransactions

/// One replica of one range: its Raft state, and while it leads, the requests that it is serving.
///
/// A commit's way through it:
/// 1. **latch** the keys (`Latches`), so that what is evaluated stays true;
/// 2. **evaluate** the preconditions against applied rows (skipped by a blind write in a known term);
/// 3. **assign** the timestamp and propose, which fixes the commit's place among all others of the range;
/// 4. **wait** until the entry is committed and the timestamp is past everywhere, which overlap; then answer;
/// 5. **release** the latches once the rows are applied too.
///
/// A read's way: latch, evaluate at its timestamp, answer; under a valid lease without asking anybody, else after
/// a round of ReadIndex.
///
/// All of the serving state belongs to one leadership. When that ends, every request is answered (`notLeaseholder`
/// or `unknown`) and the state starts afresh; the gateway asks the next leaseholder with the same request id.
package struct Replica: Sendable {
    package internal(set) var descriptor: RangeDescriptor
    package internal(set) var raft: Raft
    let node: NodeID

    /// Rows are applied up to here, as the state store has confirmed.
    var appliedIndex: LogIndex
    /// What has been handed to the state store.
    var dispatched: AppliedState
    /// Up to when the applied rows are complete (`Replica+Closing.swift`).
    package internal(set) var closed: ClosedTimestamps
    /// The timestamps of commands that were handed to the state store and may not be past everywhere.
    var recent = RecentTimestamps()
    /// When followers are told of the next closed timestamp, where heartbeats do not set the pace.
    var nextClose: Instant?
    /// Reads that any replica may serve (`Replica+LocalReads.swift`).
    var local = LocalReads()
    /// The state store is durable up to here.
    var durableIndex: LogIndex

    /// Something of it was found in the files when the process started.
    var isStored = false
    /// What consensus is to be configured as when the descriptor's members are in force.
    var target: RaftConfiguration
    /// When to look whether the group is what the descriptor says; `nil` when it is.
    var nextReconciliation: Instant?
    /// Since when new voters that have not caught up hold the change up.
    var stragglersSince: Instant?
    /// Up to when a leaseholder here may serve (`Authority`).
    var authority = Timestamp.distantFuture

    /// What only a leaseholder has.
    var serving: Serving?
    var allocator = TimestampAllocator()
    var commitWait = CommitWait()
    /// Commits that are committed and wait only for their timestamp or for the rows to be applied. They outlive the
    /// leadership, since their outcome is settled.
    var settled: [UInt64: SettledCommit] = [:]
    var nextProposal: UInt64 = 1
    /// What stands in `commitWait` for a leader that waits to become ready.
    static let readinessToken: UInt64 = 0

    var snapshots = SnapshotStreams()
    var retainedLogEntries: UInt64 = 4096
    /// Nothing at or below is kept for followers that lag, because it was erased: they get a snapshot.
    var forgottenIndex: LogIndex = .zero
    /// When to look for transactions that nobody finishes, and for locks whose time is up. Only a leaseholder looks.
    var nextTransactionLook: Instant?
    /// When a transaction that is prepared here is looked after (`NodeConfiguration`).
    var abandonedAfterNanoseconds: Int64 = 1_000_000_000
    /// When a leaseholder looks whether old versions may go; `nil` when there is nothing to look for.
    var nextCollection: Instant?
    var collectionIntervalNanoseconds: Int64 = .max
    /// The last command that was handed to the state store, and the last comparison.
    var lastCommand = LogIndex.zero
    var lastComparison = LogIndex.zero
    /// What a leader compares, or has compared last.
    var comparison: Comparison?
    /// The last comparison for which this replica has said what its rows add up to.
    var reported: LogIndex?
    /// Nothing that a read at or above this can see is collected.
    var protectedTimestamp = Timestamp.distantFuture
    /// How long a page of rows is at most.
    var pageLimits = PageLimits.node
    /// How far ahead of the clock timestamps are closed; 0 except for global tables.
    var closeLeadNanoseconds: Int64 = 0
    /// When this node's timer wheel will look at the replica next.
    var scheduledDeadline: Instant = .distantFuture
    var isDirty = false
    /// The node looks at `commitWait` when the clock has moved.
    var isAwaitingClock = false
    /// The leader that the gateway has been told of.
    var announcedLeader: NodeID?
    var nextPreferenceCheck: Instant = .zero

    package init(
        descriptor: RangeDescriptor, configuration: RaftConfiguration, stored: StoredLog, applied: AppliedState,
        at now: Moment
    ) {
        self.descriptor = descriptor
        self.node = configuration.node
        self.target = configuration
        self.raft = Raft(configuration: configuration, stored: stored, applied: applied, at: now)
        self.appliedIndex = applied.position.index
        self.dispatched = applied
        self.closed = ClosedTimestamps(usable: applied.closed)
        self.recent.noteAll(upTo: applied.highestTimestamp)
        self.durableIndex = applied.position.index
        self.nextReconciliation = descriptor.revision > 0 ? now.instant : nil
    }

    /// Stands where a replica has departed. It has no rows, never votes, and nothing reaches it.
    static func placeholder(_ descriptor: RangeDescriptor, node: NodeID, at now: Moment) -> Replica {
        let configuration = RaftConfiguration(
            node: node, commitRule: .majority, electionTimeoutNanoseconds: 2, heartbeatIntervalNanoseconds: 1,
            leaseDurationNanoseconds: 0, seed: 0)
        return Replica(
            descriptor: descriptor, configuration: configuration, stored: StoredLog(),
            applied: AppliedState(position: .zero, membership: Membership(members: []), closed: .zero), at: now)
    }

    /// Whether this replica answers requests now.
    var isServing: Bool { serving?.isReady ?? false }

    /// When the replica wants a tick: consensus, a snapshot that must be sent again, transactions to look after.
    private mutating func nextDeadline() -> Instant? {
        var deadline = raft.nextTick() ?? .distantFuture
        if let retry = snapshots.outgoing.lazy.map(\.stream.retryAt).min() { deadline = min(deadline, retry) }
        if let look = nextTransactionLook { deadline = min(deadline, look) }
        if let patience = local.nextDeadline { deadline = min(deadline, patience) }
        if raft.role == .leader, let nextClose { deadline = min(deadline, nextClose) }
        if raft.role == .leader, let nextCollection { deadline = min(deadline, nextCollection) }
        if raft.role == .leader, let nextReconciliation { deadline = min(deadline, nextReconciliation) }
        return deadline < .distantFuture ? deadline : nil
    }

    /// The next deadline, if the timer wheel has to know: it is earlier than what was scheduled.
    mutating func earlierDeadline() -> Instant? {
        guard let deadline = nextDeadline(), deadline < scheduledDeadline else { return nil }
        scheduledDeadline = deadline
        return deadline
    }

    var notLeaseholder: RangeReply.Body { .notLeaseholder(leader: raft.leader, term: raft.term) }
}

/// The serving state of one leadership.
struct Serving: Sendable {
    let term: Term
    /// The replica serves once everything up to here is applied: all that earlier leaders can have committed.
    let readyIndex: LogIndex
    /// Everything up to `readyIndex` is applied, and its timestamps are past everywhere.
    var isReady = false
    /// `commitWait` holds `readinessToken` for this leadership.
    var isReadinessAwaited = false
    /// Requests that came before that.
    var early: [Addressed] = []
    var latches = Latches()
    var requests: [Latches.Ticket: Served] = [:]
    var commits: [UInt64: ProposedCommit] = [:]
    /// The commits under way by request id, so that asking again joins instead of committing twice.
    var commitsByRequest: [RequestID: CommitUnderWay] = [:]
    /// Reads without a lease whose timestamps are not past yet, by their tokens in `commitWait`.
    var future: [UInt64: Latches.Ticket] = [:]
    /// Reads that wait for a round of ReadIndex.
    var unconfirmed: [ReadID: Latches.Ticket] = [:]
    /// Reads that are confirmed at an index which is not applied yet.
    var awaitingApply: [(index: LogIndex, ticket: Latches.Ticket)] = []
    var nextReadID: UInt64 = 1
    /// Requests whose latches were granted and that have not gone on yet.
    var granted: Deque<Latches.Ticket> = []
    var isGranting = false
    /// Transactions of several ranges.
    var transactions = TransactionsHeld()
    var locks = LockTable()
    /// Requests that wait for locks, in the order in which they came.
    var blocked: [Blocked] = []
    /// The highest request of each gateway: what comes at or below it can be one that was delivered twice.
    var newest: [NodeID: GatewayRequestID] = [:]
    /// Commits that were asked for again here, of which the first attempt may still be under way from elsewhere.
    var repeated = RecentSet<RequestID>()

    struct Served: Sendable {
        var address: ReplyAddress
        var arrival: Instant
        var body: Body

        enum Body: Sendable {
            case commit(CommitRequest, lookUp: Bool)
            case prepare(PrepareRequest)
            case resolve(ResolveRequest)
            case read(ReadRequest, at: Timestamp)
        }
    }
}

/// A commit of one range that has claimed its latches and has no outcome yet.
struct CommitUnderWay: Sendable {
    var attempt: UInt64
    var ticket: Latches.Ticket
    /// Who waits for the outcome.
    var addresses: [ReplyAddress]
}

/// A request and who asked.
struct Addressed: Sendable {
    var request: RangeRequest
    var from: NodeID
}

/// Where an answer goes. All attempts of a call have one address.
package struct ReplyAddress: Hashable, Sendable {
    package var node: NodeID
    package var id: GatewayRequestID
    /// Which attempt is answered.
    package var attempt: Int

    init(_ request: RangeRequest, from node: NodeID) {
        self.node = node
        id = request.id
        attempt = request.attempt
    }

    package static func == (lhs: ReplyAddress, rhs: ReplyAddress) -> Bool { (lhs.node, lhs.id) == (rhs.node, rhs.id) }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(node)
        hasher.combine(id)
    }
}

/// What a proposal of this leader is for.
enum ProposalPurpose: Hashable, Sendable {
    /// A commit in this range alone.
    case commit
    case prepare(TransactionID)
    case resolve(TransactionID)
}

/// A commit in the log of this leader, or a part of one.
struct ProposedCommit: Sendable {
    var request: RequestID
    /// The latches that go with it. The resolution of a transaction has none of its own.
    var ticket: Latches.Ticket?
    var timestamp: Timestamp
    var arrival: Instant
    var proposed: Instant
    var durable: Instant?
    var index: LogIndex?
    var purpose = ProposalPurpose.commit
}

/// A commit whose outcome is settled.
struct SettledCommit: Sendable {
    var index: LogIndex
    /// Who is answered when the timestamp is past.
    var addresses: [ReplyAddress]
    var result: CommitResult
    var committed: Instant
    var isPast = false
    var isApplied = false
    var purpose = ProposalPurpose.commit
    /// The latches that go when it is past and applied.
    var ticket: Latches.Ticket?
    /// The leadership whose latches it holds.
    var term: Term
}
