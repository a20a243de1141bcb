import DequeModule
import MeridianCore

/// Becoming and ceasing to be a leader (Raft §5.2, thesis §9.6 pre-vote).
///
/// Left the paper: the candidate's own vote counts when it is durable and not before, since a candidate that forgets
/// it could vote twice; timers are deadlines drawn once per role and term.
extension Raft {
    /// Whether this replica is one that campaigns: a voter in the membership in force, or in the one that is known to
    /// be committed. A voter that is being removed may hold the only log that can be elected (thesis §4.2.2).
    var isEligible: Bool {
        membership.canCampaign(configuration.node)
            || history.membership(at: commitIndex)?.canCampaign(configuration.node) ?? false
    }

    /// Whether this replica may ask for votes at all, promises aside.
    func canCampaign(at now: Moment) -> Bool {
        isEligible && !isRecovering && log.lastPosition >= floor && knowsGeneration && !isDiskStuck(at: now)
    }

    /// `RaftInput.campaign`: as if the timer had run out. A live leader's followers still refuse the pre-vote.
    mutating func campaign(at now: Moment) {
        guard role != .leader, canCampaign(at: now), !promise.isActive(at: now) else { return }
        startPreVote(at: now)
    }

    mutating func electionTimedOut(at now: Moment) {
        precondition(role != .leader, "a leader has no election timer")
        drawElectionTimeout()
        resetElectionTimer(at: now)
        if isRecovering { callForReadmission() }
        guard canCampaign(at: now) else { return }
        if promise.isActive(at: now) {
            becomeFollower(term: term, leader: nil, at: now)
            // Try again when the promise has lapsed, not a whole timeout later: it bounds the time without a leader.
            // But look again in time: while the clock is unsure the promise seems longer than it is.
            let remaining = promise.remainingNanoseconds(at: now)
            retryElection(afterNanoseconds: min(remaining, configuration.electionTimeoutNanoseconds), at: now)
            return
        }
        startPreVote(at: now)
    }

    private mutating func retryElection(afterNanoseconds delay: Int64, at now: Moment) {
        let jitter = Int64(random.below(UInt64(configuration.electionTimeoutNanoseconds / 4 + 1)))
        electionDeadline = now.instant
            .advanced(byNanoseconds: delay)
            .advanced(byNanoseconds: configuration.electionDelayNanoseconds + jitter)
    }

    private mutating func startPreVote(at now: Moment) {
        drawElectionTimeout()
        resetElectionTimer(at: now)
        role = .preCandidate
        boundNanoseconds = 0
        setLeader(nil)
        ballots.removeAll(keepingCapacity: true)
        let request = RaftMessage.RequestVote(isPreVote: true, last: log.lastPosition, isTransfer: false)
        for voter in quorum.voters where voter != configuration.node {
            send(.requestVote(request), to: voter, term: term.next)
        }
        record(configuration.node, isGranted: true, at: now)
    }

    /// - Parameter isTransfer: the leader asked for it, so neither pre-vote nor promises stand in the way.
    mutating func becomeCandidate(isTransfer: Bool, at now: Moment) {
        precondition(role != .leader, "a leader cannot campaign")
        precondition(isEligible, "\(configuration.node) cannot campaign")
        if !isTransfer { handoverFloor = nil }
        drawElectionTimeout()
        resetElectionTimer(at: now)
        enter(term.next, vote: configuration.node)
        role = .candidate
        setLeader(nil)
        ballots.removeAll(keepingCapacity: true)
        let request = RaftMessage.RequestVote(isPreVote: false, last: log.lastPosition, isTransfer: isTransfer)
        for voter in quorum.voters where voter != configuration.node {
            sendWhenDurable(.requestVote(request), to: voter)
        }
    }

    /// Counts a ballot; the first of each voter stands.
    mutating func record(_ voter: NodeID, isGranted: Bool, at now: Moment) {
        precondition(role == .preCandidate || role == .candidate, "a \(role) counts no votes")
        if !ballots.contains(where: { $0.node == voter }) {
            ballots.append(Ballot(node: voter, isGranted: isGranted))
        }
        switch quorum.voteResult({ node in ballots.first { $0.node == node }?.isGranted }) {
        case .pending:
            break
        case .lost:
            let bound = role == .preCandidate ? boundNanoseconds : 0
            becomeFollower(term: term, leader: nil, at: now)
            // Voters that are bound are free again at a known time: asking then spares the group the rest of a timeout.
            if bound > 0, now.instant.advanced(byNanoseconds: bound) < electionDeadline {
                retryElection(afterNanoseconds: bound, at: now)
            }
        case .won:
            if role == .preCandidate {
                becomeCandidate(isTransfer: false, at: now)
            } else {
                becomeLeader(at: now)
            }
        }
    }

    private mutating func becomeLeader(at now: Moment) {
        precondition(role == .candidate, "a \(role) cannot become leader")
        precondition(vote == configuration.node && isHardStateDurable, "leader in \(term) without a durable vote")
        role = .leader
        setLeader(configuration.node)
        timestampFloor = handoverFloor ?? .zero
        handoverFloor = nil
        lead = Leadership()
        lead.lastActivity = now.instant
        // The first append tells the group, so the first heartbeat can wait its turn.
        lead.heartbeatDeadline = now.instant.advanced(byNanoseconds: configuration.heartbeatIntervalNanoseconds)
        // Alone there is no append, and only a heartbeat renews the lease.
        lead.isHeartbeatDue = quorum.voters == [configuration.node]
        updateProgress(at: now)
        // An empty entry of the new term: once it is committed, everything before it is (Raft §5.4.2 and §8).
        lead.termStart = append(.empty, byteCount: 0).index
        if Planted.isOn(.commitLogOnElection) { commit(through: log.lastIndex) }
    }

    /// Follows: a newer term, a leader of this one, or nobody.
    mutating func becomeFollower(term newTerm: Term, leader newLeader: NodeID?, at now: Moment) {
        precondition(newTerm >= term, "terms do not fall: \(term) to \(newTerm)")
        if role == .leader { relinquish() }
        if role != .follower {
            role = .follower
            drawElectionTimeout()
            resetElectionTimer(at: now)
        }
        handoverFloor = nil
        ballots.removeAll(keepingCapacity: true)
        isQuiescent = false
        if newTerm > term { enter(newTerm, vote: nil) }
        setLeader(newLeader)
    }

    /// Every proposal and read that this leader cannot answer any more gets the answer that it can still give.
    private mutating func relinquish() {
        for proposal in lead.proposals {
            effects.outcomes.append(ProposalOutcome(id: proposal.id, result: .unknown))
        }
        if let change = lead.jointChange { effects.outcomes.append(ProposalOutcome(id: change, result: .unknown)) }
        rejectReads(leader: nil)
        timestampFloor = .zero
        lead = Leadership()
    }

    private mutating func enter(_ newTerm: Term, vote newVote: NodeID?) {
        precondition(newTerm > term, "entering \(newTerm) from \(term)")
        term = newTerm
        vote = newVote
        isHardStateDirty = true
        effects.leadershipChanged = true
    }

    mutating func setLeader(_ newLeader: NodeID?) {
        guard newLeader != leader else { return }
        leader = newLeader
        effects.leadershipChanged = true
    }

    mutating func drawElectionTimeout() {
        let base = configuration.electionTimeoutNanoseconds
        electionTimeoutNanoseconds =
            base + Int64(random.below(UInt64(base))) + configuration.electionDelayNanoseconds
    }

    mutating func resetElectionTimer(at now: Moment) {
        if electionTimeoutNanoseconds == 0 { drawElectionTimeout() }
        electionDeadline = now.instant.advanced(byNanoseconds: electionTimeoutNanoseconds)
    }
}
