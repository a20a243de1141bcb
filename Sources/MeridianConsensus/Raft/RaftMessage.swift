import MeridianCore

/// A message between two replicas of one group.
package struct RaftMessage: Hashable, Sendable {
    package var from: NodeID
    package var to: NodeID
    package var term: Term
    package var body: Body

    package init(from: NodeID, to: NodeID, term: Term, body: Body) {
        self.from = from
        self.to = to
        self.term = term
        self.body = body
    }

    package enum Body: Hashable, Sendable {
        case requestVote(RequestVote)
        case vote(Vote)
        case append(Append)
        case appendReply(AppendReply)
        case heartbeat(Heartbeat)
        case heartbeatReply(HeartbeatReply)
        case timeoutNow(TimeoutNow)
        case recoveryCall(Incarnation)
    }

    /// RequestVote, and with `isPreVote` the question that changes no state (Raft thesis §9.6).
    package struct RequestVote: Hashable, Sendable {
        package var isPreVote: Bool
        package var last: LogPosition
        /// The leader itself asked for this election, so promises to it do not forbid the vote.
        package var isTransfer: Bool

        package init(isPreVote: Bool, last: LogPosition, isTransfer: Bool) {
            self.isPreVote = isPreVote
            self.last = last
            self.isTransfer = isTransfer
        }
    }

    package struct Vote: Hashable, Sendable {
        package var isPreVote: Bool
        package var isGranted: Bool
        /// With a refusal: for about how long the voter is bound to a leader. 0 when that is not why it refuses.
        package var boundNanoseconds: Int64 = 0

        package init(isPreVote: Bool, isGranted: Bool, boundNanoseconds: Int64 = 0) {
            self.isPreVote = isPreVote
            self.isGranted = isGranted
            self.boundNanoseconds = boundNanoseconds
        }
    }

    /// AppendEntries (Raft §5.3).
    package struct Append: Hashable, Sendable {
        package var previous: LogPosition
        package var entries: [Entry]
        package var commit: LogIndex
        /// The leader asks its follower to vote for nobody else until this time (DESIGN §5).
        package var lease: Timestamp?

        package init(previous: LogPosition, entries: [Entry], commit: LogIndex, lease: Timestamp?) {
            self.previous = previous
            self.entries = entries
            self.commit = commit
            self.lease = lease
        }
    }

    package struct AppendReply: Hashable, Sendable {
        package enum Result: Hashable, Sendable {
            /// The follower's log agrees with the leader's up to here, durably.
            case accepted(LogIndex)
            /// It does not hold `previous`. `hint` is the last position that can agree.
            case rejected(previous: LogIndex, hint: LogPosition)
        }

        package var result: Result
        /// The lease that the follower has promised to respect.
        package var lease: Timestamp?
        package var life: Life

        package init(result: Result, lease: Timestamp?, life: Life = Life()) {
            self.result = result
            self.lease = lease
            self.life = life
        }
    }

    package struct Heartbeat: Hashable, Sendable {
        /// What the follower's life `incarnation` acknowledged, as far as it is committed.
        package var commit: LogIndex
        package var incarnation: Incarnation
        package var lease: Timestamp?
        /// The latest round of ReadIndex confirmation that the leader waits for; 0 when none.
        package var readRound: UInt64
        /// The leader goes silent after this: the follower may stop its election timer until it is woken.
        package var quiesce: Bool

        package init(
            commit: LogIndex, incarnation: Incarnation = .first, lease: Timestamp?, readRound: UInt64, quiesce: Bool
        ) {
            self.commit = commit
            self.incarnation = incarnation
            self.lease = lease
            self.readRound = readRound
            self.quiesce = quiesce
        }
    }

    package struct HeartbeatReply: Hashable, Sendable {
        package var lease: Timestamp?
        package var readRound: UInt64
        package var life: Life

        package init(lease: Timestamp?, readRound: UInt64, life: Life = Life()) {
            self.lease = lease
            self.readRound = readRound
            self.life = life
        }
    }

    /// Which life of the follower answers. While it is recovering its answers steer the flow of entries and nothing
    /// else: no commit, no lease, no read and no quorum counts them.
    package struct Life: Hashable, Sendable {
        package var incarnation: Incarnation
        package var isRecovering: Bool

        package init(incarnation: Incarnation = .first, isRecovering: Bool = false) {
            self.incarnation = incarnation
            self.isRecovering = isRecovering
        }
    }

    /// "Campaign at once" (Raft thesis §3.10).
    package struct TimeoutNow: Hashable, Sendable {
        /// No read was served, and no timestamp assigned, above this: the new leader starts beyond it.
        package var floor: Timestamp

        package init(floor: Timestamp) { self.floor = floor }
    }
}
