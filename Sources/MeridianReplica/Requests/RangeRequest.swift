import MeridianCore
import MeridianTransactions

/// What a gateway asks of a range's leaseholder.
package struct RangeRequest: Hashable, Sendable {
    /// The gateway's name for the request, to which the reply refers.
    package var id: GatewayRequestID
    package var range: RangeID
    package var body: Body
    /// How often the gateway has asked by then. The reply names it: of an answer that a network delivers twice, or
    /// late, the second must not send the call elsewhere again.
    package var attempt: Int
    /// The term in which the gateway believes the leaseholder to lead, on a first attempt. A leaseholder of exactly
    /// this term knows that the commit cannot have been applied before (see `Replica+Commit`); otherwise it looks.
    package var freshIn: Term?

    package enum Body: Hashable, Sendable {
        case commit(CommitRequest)
        case read(ReadRequest)
        /// Hold a transaction's changes of this range ready.
        case prepare(PrepareRequest)
        case resolve(ResolveRequest)
        case lock(LockRequest)
        /// The owner needs its locks no longer.
        case unlock(RequestID)
        /// Hand the leadership, and with it the lease, to another replica.
        case transferLease(to: NodeID)

        /// Which transactions of several ranges are not over here?
        case transactions
        /// What a node's replica knows, or without a node the leader's.
        case status(of: NodeID?)

        /// Whether a node with a replica of the range can answer it alone.
        package var isForReplicas: Bool {
            if case .read(let read) = self { read.isLocal || read.freshness != nil } else { false }
        }
    }

    package init(id: GatewayRequestID, range: RangeID, body: Body, freshIn: Term?, attempt: Int = 1) {
        self.id = id
        self.attempt = attempt
        self.range = range
        self.body = body
        self.freshIn = freshIn
    }
}

package struct GatewayRequestID: RawRepresentable, Hashable, Comparable, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.rawValue < rhs.rawValue }
}

/// Change these rows of one range together, if the preconditions hold.
package struct CommitRequest: Hashable, Sendable {
    package var id: RequestID
    /// Its transaction's age, if it has one.
    package var priority: TransactionPriority?
    /// When the client has sent it first, by its region's clock: what is remembered of requests does not reach back for
    /// ever.
    package var sent: Timestamp?
    package var preconditions: [Precondition]
    package var mutations: [Mutation]
    /// All versions of the rows go, not only the newest: each mutation is a deletion, and there is no precondition.
    package var erases = false

    package init(
        id: RequestID, priority: TransactionPriority? = nil, sent: Timestamp? = nil, preconditions: [Precondition],
        mutations: [Mutation]
    ) {
        self.id = id
        self.priority = priority
        self.sent = sent
        self.preconditions = preconditions
        self.mutations = mutations
    }

    package var byteCount: Int { mutations.reduce(64) { $0 + $1.byteCount } }
}

/// What must be true of the rows, at the commit timestamp, for a commit to happen.
package enum Precondition: Hashable, Sendable {
    /// No such row: an insertion.
    case absent(Key)
    /// Such a row: an update or a deletion.
    case present(Key)
    /// Nobody has written the key after this time: the transaction has read it then.
    case unchanged(Key, since: Timestamp)
    /// Nobody has written any key of the span after this time: the transaction has scanned it then.
    case unchangedSpan(KeySpan, since: Timestamp)

    /// The one that it is about.
    var key: Key? {
        switch self {
        case .absent(let key), .present(let key), .unchanged(let key, _): key
        case .unchangedSpan: nil
        }
    }
}

/// Read rows of one range.
package struct ReadRequest: Hashable, Sendable {
    /// The timestamp to read at, or `nil` for now. All reads of one transaction use one.
    package var timestamp: Timestamp?
    package var operations: [ReadOperation]
    /// Any replica may serve the read at its timestamp, waiting so long in nanoseconds for its closed timestamp to
    /// pass it before it sends the gateway to the leaseholder. `nil`: the leaseholder serves it.
    package var patienceNanoseconds: Int64?
    /// The gateway itself answers, with a timestamp (`NodeCore+Freshness.swift`).
    package var freshness: FreshnessQuestion?
    /// What a transaction has read here before and needs to be still so. No later commit lies at or below `timestamp`.
    package var preconditions: [Precondition] = []
    /// Whose locks are needed no longer once the preconditions have been looked at.
    package var unlocks: RequestID?
    /// The age of the transaction that asks.
    package var priority: TransactionPriority?

    package init(
        timestamp: Timestamp?, operations: [ReadOperation], patienceNanoseconds: Int64? = nil,
        freshness: FreshnessQuestion? = nil
    ) {
        precondition(patienceNanoseconds == nil || timestamp != nil, "any replica may serve, but at no timestamp")
        self.timestamp = timestamp
        self.operations = operations
        self.patienceNanoseconds = patienceNanoseconds
        self.freshness = freshness
    }

    /// A coordinator's question: is this still so, and will it be up to a timestamp?
    package init(
        confirming preconditions: [Precondition], upTo timestamp: Timestamp, priority: TransactionPriority
    ) {
        self.init(timestamp: timestamp, operations: [])
        self.preconditions = preconditions
        self.priority = priority
        unlocks = priority.request
    }

    /// Whether this replica may serve it without latches, from what is closed. A coordinator's question is of the
    /// present, not of its timestamp: it needs the latches.
    func mayBeLocal(isLeader: Bool) -> Bool {
        let isQuestion = !preconditions.isEmpty && !Planted.isOn(.confirmedFromThePast)
        return !isQuestion && (isLocal || isLeader && timestamp != nil)
    }

    /// Whether any replica may serve it.
    package var isLocal: Bool { patienceNanoseconds != nil }
}

/// As of when can these ranges be read near by? The answer is not before a certain time.
package struct FreshnessQuestion: Hashable, Sendable {
    package var notBefore: Timestamp
    package var ranges: [RangeID]

    package init(notBefore: Timestamp, ranges: [RangeID]) {
        self.notBefore = notBefore
        self.ranges = ranges
    }
}

/// One question to a range's rows. It is answered with a page, which can be shorter than was asked for: a node has
/// limits of its own. `rest(after:)` says what to ask next.
package enum ReadOperation: Hashable, Sendable {
    case get(Key)
    case scan(KeySpan, limit: Int, byteLimit: Int)
    /// The rows whose newest version at the read's timestamp lies above `since`, in the order of their timestamps,
    /// deletions left out. A page holds whole commits.
    case changes(KeySpan, since: Timestamp, limit: Int, byteLimit: Int)
    /// One row, under the span's lower bound, whose value is the encoded `RowDigests` of the live rows. Keys count from
    /// their byte `prefix` on. It reads the whole span.
    case digests(KeySpan, prefix: Int)
    /// The live rows that `digests` put into these buckets, in key order.
    case bucketRows(KeySpan, prefix: Int, buckets: Set<UInt8>, limit: Int, byteLimit: Int)

    /// The keys that the answer depends on.
    package var footprint: Footprint {
        switch self {
        case .get(let key): .key(key)
        case .scan(let span, _, _), .changes(let span, _, _, _), .digests(let span, _),
            .bucketRows(let span, _, _, _, _):
            .span(span)
        }
    }

    package enum Footprint: Hashable, Sendable {
        case key(Key)
        case span(KeySpan)
    }

    /// What is left to ask after a page of the answer; `nil`: nothing.
    package func rest(after page: Page) -> ReadOperation? {
        if Planted.isOn(.shortPageTakenForLast), page.rows.count < limits?.rows ?? 0 { return nil }
        switch (self, page.resume) {
        case (_, nil): return nil
        case (.scan(let span, let limit, let byteLimit), .key(let key)?):
            return .scan(span.from(key), limit: limit, byteLimit: byteLimit)
        case (.bucketRows(let span, let prefix, let buckets, let limit, let byteLimit), .key(let key)?):
            return .bucketRows(span.from(key), prefix: prefix, buckets: buckets, limit: limit, byteLimit: byteLimit)
        case (.changes(let span, _, let limit, let byteLimit), .after(let timestamp)?):
            return .changes(span, since: timestamp, limit: limit, byteLimit: byteLimit)
        case (.get, _?), (.digests, _?), (.scan, .after?), (.bucketRows, .after?), (.changes, .key?):
            preconditionFailure("a read was answered with the page of another")
        }
    }

    /// How long a page may be.
    private var limits: PageLimits? {
        switch self {
        case .get, .digests: nil
        case .scan(_, let limit, let byteLimit), .changes(_, _, let limit, let byteLimit),
            .bucketRows(_, _, _, let limit, let byteLimit):
            PageLimits(rows: limit, bytes: byteLimit)
        }
    }

    /// The same in pages that are no longer than the node allows.
    func limited(to node: PageLimits) -> ReadOperation {
        guard let page = limits?.limited(to: node) else { return self }
        switch self {
        case .get, .digests: return self
        case .scan(let span, _, _): return .scan(span, limit: page.rows, byteLimit: page.bytes)
        case .changes(let span, let since, _, _):
            return .changes(span, since: since, limit: page.rows, byteLimit: page.bytes)
        case .bucketRows(let span, let prefix, let buckets, _, _):
            return .bucketRows(span, prefix: prefix, buckets: buckets, limit: page.rows, byteLimit: page.bytes)
        }
    }
}

/// The answer to one `RangeRequest`.
package struct RangeReply: Hashable, Sendable {
    package var id: GatewayRequestID
    package var range: RangeID
    package var attempt: Int
    package var body: Body

    package enum Body: Hashable, Sendable {
        case committed(CommitResult)
        case read(ReadResult)
        /// The changes are held ready, at the result's timestamp or above, which is past.
        /// - Parameter candidate: for which timestamp the coordinator had asked.
        case prepared(CommitResult, candidate: Timestamp)
        /// An earlier attempt of the same request is open here.
        case inDoubt(TransactionID, [Participant])
        case standing(Standing)
        case transactions([TransactionStatus])
        case locked
        case unlocked
        case transferStarted
        case status(ReplicaStatus)
        /// Ask another replica, if it is known which.
        case notLeaseholder(leader: NodeID?, term: Term)
        /// It did not happen, and will not.
        case failed(MeridianError)
        /// The leadership was lost while the commit was under way. The next leaseholder can tell.
        case unknown
    }

    package init(id: GatewayRequestID, range: RangeID, body: Body, attempt: Int = 1) {
        self.id = id
        self.range = range
        self.attempt = attempt
        self.body = body
    }
}

package struct CommitResult: Hashable, Sendable {
    package var timestamp: Timestamp
    package var term: Term
    /// Where in the range's log it stands.
    package var index: LogIndex
    /// The leaseholder's share of the latency, in nanoseconds.
    package var locksNanoseconds: Int64
    package var logNanoseconds: Int64
    package var quorumNanoseconds: Int64
    package var commitWaitNanoseconds: Int64

    package var leaseholderNanoseconds: Int64 {
        locksNanoseconds + max(quorumNanoseconds, 0) + commitWaitNanoseconds
    }

    package init(
        timestamp: Timestamp, term: Term, index: LogIndex = .zero, locksNanoseconds: Int64 = 0,
        logNanoseconds: Int64 = 0,
        quorumNanoseconds: Int64 = 0, commitWaitNanoseconds: Int64 = 0
    ) {
        self.timestamp = timestamp
        self.term = term
        self.index = index
        self.locksNanoseconds = locksNanoseconds
        self.logNanoseconds = logNanoseconds
        self.quorumNanoseconds = quorumNanoseconds
        self.commitWaitNanoseconds = commitWaitNanoseconds
    }
}

package struct ReadResult: Hashable, Sendable {
    /// The timestamp at which the rows were read.
    package var timestamp: Timestamp
    /// The leaseholder's term; zero when another replica served the read.
    package var term: Term
    /// One element an operation.
    package var pages: [Page]

    package init(timestamp: Timestamp, term: Term, pages: [Page]) {
        self.timestamp = timestamp
        self.term = term
        self.pages = pages
    }

    /// What a `get`, or `digests`, has found.
    package func row(_ position: Int) -> KeyedVersion? { pages[position].rows.first }
}
