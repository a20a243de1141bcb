import MeridianCore

/// Consensus for one group: Raft (Ongaro and Ousterhout 2014; Ongaro's thesis 2014) as one value.
///
/// Inputs go in with `receive`, effects come out of `flush`; time and randomness are arguments. The same inputs at
/// the same moments give the same outputs, in any process. docs/internals/consensus.md explains the whole and names
/// each place where it leaves the paper.
///
/// Promises: the five properties of Raft figure 3, and at any true time at most one valid lease.
/// Leaves to others: writing (`PersistJob`), sending, applying, moving snapshots, and which requests a lease serves.
///
/// The stored properties are here; each subject has its extension: `Election/`, `Replication/`, `Reads/`,
/// `Snapshot/`, `Membership/`.
package struct Raft: Sendable {
    /// Any role can become `follower`, on a newer term or on word from a leader.
    package enum Role: Hashable, Sendable {
        /// - Can become `preCandidate` when its timer runs out, `candidate` when its leader hands over.
        case follower
        /// Asks whether it could win, without changing anybody's term (thesis §9.6).
        /// - Can become `candidate` when a quorum says yes.
        case preCandidate
        /// - Can become `leader` when a quorum grants, `preCandidate` when its timer runs out.
        case candidate
        /// - Can become `follower` only: on a newer term, without a quorum, with a dead disk, or removed.
        case leader
    }

    package internal(set) var configuration: RaftConfiguration
    package internal(set) var role: Role = .follower
    package internal(set) var term: Term = .zero
    package internal(set) var leader: NodeID?
    package internal(set) var commitIndex: LogIndex = .zero
    package internal(set) var appliedIndex: LogIndex = .zero
    package internal(set) var isQuiescent = false
    /// The disk was lost, or part of what was written to it: this replica follows, and neither votes nor counts until
    /// it is readmitted.
    package internal(set) var isRecovering = false
    /// Which life this is.
    package internal(set) var incarnation: Incarnation
    /// Whom a replica that recovers calls besides the members that it knows of, which may be others by now.
    package var acquaintances: [NodeID] = []
    /// The host is not ready for the end of the recovery. It must have done all that depends on it when it ends.
    package var isRecoveryHeld = false
    /// The host knows why the disk does not answer: it is full, and nothing is lost. A leader then goes on, so that
    /// reads can be served; the host sees that it takes no proposals.
    package var isDiskFull = false
    /// Whether leases may be asked for and used. Without them reads ask a quorum.
    package var isClockTrusted = true

    /// Where this term's leader was handed over by its predecessor: no timestamp at or below may be assigned.
    package internal(set) var timestampFloor: Timestamp = .zero

    // Persistent state, and what of it is durable.
    var vote: NodeID?
    /// Up to where an earlier log of this replica may have been acknowledged. Nobody who has less gets its vote, and it
    /// does not campaign with less: what it has let go of was part of quorums.
    let floor: LogPosition
    var log: RaftLog
    var history: MembershipHistory
    var isHardStateDirty = false
    var lastToken = PersistToken(rawValue: 0)
    /// The last job that carried a hard state.
    var hardStateToken = PersistToken(rawValue: 0)
    var persistedToken = PersistToken(rawValue: 0)

    /// Committed entries up to here have been handed out.
    var handedOut: LogIndex = .zero

    // Derived from the membership in force; renewed whenever that changes.
    var quorum: JointQuorum
    var commitQuorum: CommitQuorum

    // Elections.
    var promise: LeasePromise
    var random: SplitMix64
    var electionTimeoutNanoseconds: Int64 = 0
    var electionDeadline: Instant = .zero
    var lastLeaderContact: Instant?
    var ballots: [Ballot] = []
    /// Set between a TimeoutNow and the end of the election it asked for.
    var handoverFloor: Timestamp?
    /// The longest time for which a voter that refused the last pre-vote said that it is bound.
    var boundNanoseconds: Int64 = 0
    /// The last entry in the log that readmits this life.
    var readmission: LogIndex?
    /// The highest `latest` that this replica's clock has shown, and timestamp that its host has used.
    var highestTimestamp: Timestamp = .zero

    /// What only a leader has.
    var lead = Leadership()

    // Effects since the last flush.
    var effects = RaftOutput()
    /// Messages that wait for what is in memory to be durable.
    var waiting: [RaftMessage] = []

    struct Ballot: Sendable {
        var node: NodeID
        var isGranted: Bool
    }

    /// - Parameters:
    ///   - stored: the durable log, as loaded.
    ///   - applied: what the state store holds *durably*; its membership is in force at its position. It may be ahead
    ///     of the log: entries are applied as soon as they are committed, which can be before they are durable here.
    ///     The log then starts again after it, and the first flush says so. HAZARD: so a state store that is not
    ///     checkpointed between loading and that write could lose, in a second crash, what the log no longer has.
    ///     A replica that does not know its past is told so by `HardState.recovering`.
    ///   - now: the time of the restart, from which the old promises are kept.
    package init(configuration: RaftConfiguration, stored: StoredLog, applied: AppliedState, at now: Moment) {
        precondition(configuration.electionTimeoutNanoseconds > 0, "an election timeout of 0 ns")
        precondition(
            configuration.heartbeatIntervalNanoseconds > 0
                && configuration.heartbeatIntervalNanoseconds < configuration.electionTimeoutNanoseconds,
            "heartbeats every \(configuration.heartbeatIntervalNanoseconds) ns cannot keep an election timeout of "
                + "\(configuration.electionTimeoutNanoseconds) ns from running out")
        precondition(
            applied.position.index >= stored.base.index,
            "the log was cut at \(stored.base), but only \(applied.position) is applied: rows are lost")
        self.configuration = configuration
        self.promise = LeasePromise(maximumNanoseconds: configuration.maximumPromiseNanoseconds)
        self.random = SplitMix64(
            seed: configuration.seed ^ (UInt64(configuration.node.rawValue) &* 0x9E37_79B9_7F4A_7C15))
        self.log = RaftLog(base: stored.base, entries: stored.entries)
        self.term = max(stored.hardState.term, log.lastPosition.term, applied.position.term)
        self.vote = term == stored.hardState.term ? stored.hardState.vote : nil
        precondition(!stored.hardState.isDeparting, "\(configuration.node) leaves, and takes part")
        self.floor = stored.hardState.floor
        self.incarnation = stored.hardState.incarnation
        self.isRecovering = stored.hardState.isRecovering
        // Whatever is durable of this life, that it is recovering is durable with it.
        self.isHardStateDirty = term != stored.hardState.term || isRecovering
        if !log.matches(applied.position) { log.reset(to: applied.position) }
        self.commitIndex = max(applied.position.index, min(stored.hardState.commit, log.lastIndex))
        self.appliedIndex = applied.position.index
        self.handedOut = applied.position.index
        self.history = MembershipHistory(applied.membership, at: applied.position.index)
        self.quorum = JointQuorum(applied.membership)
        self.commitQuorum = CommitQuorum(rule: configuration.commitRule, membership: applied.membership)
        if log.lastIndex > appliedIndex { adoptMemberships(from: appliedIndex.next) }
        if isRecovering { noteReadmission(from: log.firstIndex) }
        if term > .zero, !Planted.isOn(.promiseForgottenAtRestart) {
            promise.restart(at: now, covering: configuration.restartPromiseNanoseconds)
        }
        observe(now)
        resetElectionTimer(at: now)
        if isRecovering { electionDeadline = now.instant }
    }

    /// The members in force: those of the last membership in the log, committed or not (Raft §6).
    package var membership: Membership { history.current }
    package var lastPosition: LogPosition { log.lastPosition }
    /// The own disk holds the log up to here.
    package var persistedIndex: LogIndex { log.persisted }
    /// The position before the first entry in memory.
    package var basePosition: LogPosition { log.base }
    /// The term of an entry in memory or of the base; `nil` elsewhere.
    package func term(at index: LogIndex) -> Term? { log.term(at: index) }
    /// The entries in memory of a part of the log.
    package func entries(after index: LogIndex, through last: LogIndex) -> [Entry] {
        guard last > index, index >= log.base.index, last <= log.lastIndex else { return [] }
        return log.slice(from: index.next, through: last)
    }
    /// The membership in force for the entry at `index`. Precondition: `index` is not below the applied index.
    package func membership(at index: LogIndex) -> Membership {
        guard let membership = history.membership(at: index) else {
            preconditionFailure("the membership at \(index) is forgotten; applied is \(appliedIndex)")
        }
        return membership
    }

    /// Tells the core a timestamp that this leader assigned or served a read at, so that a handover's floor lies at
    /// or above it. Needed where timestamps can run ahead of the clock's `latest`.
    package mutating func noteTimestamp(_ timestamp: Timestamp) {
        highestTimestamp = max(highestTimestamp, timestamp)
    }
}
