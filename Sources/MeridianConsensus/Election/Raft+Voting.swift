import MeridianCore

/// Answering and counting votes (Raft §5.2, §5.4.1; thesis §4.2.3 and §9.6).
///
/// Pre-vote, check-quorum and leases are one design: who has heard from a leader within an election timeout, or has
/// promised a lease, refuses, so that a flaky or removed node deposes nobody; and because a leader without a quorum
/// steps down and asks for no more leases, those refusals end (openraft #2080 shows what happens otherwise).
///
/// Left the paper: of two that ask for pre-votes at once, one gives way. Each would grant the other's, then vote for
/// itself, and where these two are all that is left of three the term ends without a leader, after a whole timeout. In
/// one region that is rare. But two oceans apart, a message takes 100 ms and first timeouts differ by 500 ms at most:
/// it is more than one election in three, and the next round as often. Who gives way is a follower again, with a timer
/// of its own. A pre-vote changes nothing that a vote stands on (durable terms and votes, the logs that are compared,
/// promises), so who gives way, wrongly too, costs time at most: that of one timeout when the other one's request came
/// through and the answers do not. It does so only in the moment in which it asks itself, so it will not lose its own
/// turn again and again.
extension Raft {
    /// Whether a living leader or a promise to one forbids electing another.
    private func isBound(at now: Moment) -> Bool {
        if Planted.isOn(.promiseNotKept) { return role == .leader }
        if role == .leader || isQuiescent || promise.isActive(at: now) { return true }
        guard leader != nil, let contact = lastLeaderContact else { return false }
        return now.instant.nanoseconds(since: contact) < configuration.electionTimeoutNanoseconds
    }

    mutating func receive(_ request: RaftMessage.RequestVote, _ message: RaftMessage, at now: Moment) {
        guard message.term >= term else {
            // Tells the sender the newer term, without which it could never win.
            send(.vote(.init(isPreVote: request.isPreVote, isGranted: false)), to: message.from)
            return
        }
        if isBound(at: now), !request.isTransfer {
            // A refusal of a pre-vote is worth sending. To a candidate of a newer term it would say nothing, since
            // our term is older; and adopting its term is what we refuse.
            if request.isPreVote || message.term == term {
                refuse(request, message, boundNanoseconds: boundNanoseconds(at: now))
            }
            return
        }
        if message.term > term, !request.isPreVote {
            becomeFollower(term: message.term, leader: nil, at: now)
        }
        let isFree = vote == message.from || (vote == nil && leader == nil) || message.term > term
        let isUpToDate = request.last >= max(log.lastPosition, floor) || Planted.isOn(.voteForShorterLog)
        guard isFree || Planted.isOn(.voteTwice), isUpToDate, !isRecovering, knowsGeneration
        else {
            refuse(request, message)
            return
        }
        if request.isPreVote {
            yieldIfNeeded(to: request, of: message.from, at: now)
            // Changes nothing else here; the answer bears the term that was asked about.
            send(.vote(.init(isPreVote: true, isGranted: true)), to: message.from, term: message.term)
            return
        }
        precondition(message.term == term, "voting in \(message.term) while in \(term)")
        precondition(vote == nil || vote == message.from || Planted.isOn(.voteTwice), "voted for \(vote!) in \(term)")
        if vote == nil || Planted.isOn(.voteTwice) {
            vote = message.from
            isHardStateDirty = true
        }
        resetElectionTimer(at: now)
        let ballot = RaftMessage.Body.vote(.init(isPreVote: false, isGranted: true))
        if isHardStateDurable || Planted.isOn(.voteBeforeSync) {
            send(ballot, to: message.from)
        } else {
            sendWhenDurable(ballot, to: message.from)
        }
    }

    /// Gives way to another that asks for pre-votes too: whose log is shorter, or, of equals, whose number is higher.
    private mutating func yieldIfNeeded(to request: RaftMessage.RequestVote, of other: NodeID, at now: Moment) {
        guard role == .preCandidate else { return }
        guard request.last > log.lastPosition || other < configuration.node else { return }
        becomeFollower(term: term, leader: nil, at: now)
    }

    /// For about how long this replica is bound by time alone; 0 when something else must end it.
    private func boundNanoseconds(at now: Moment) -> Int64 {
        guard role != .leader, !isQuiescent, !isRecovering else { return 0 }
        var bound = promise.remainingNanoseconds(at: now)
        if leader != nil, let contact = lastLeaderContact {
            let silence = now.instant.nanoseconds(since: contact)
            bound = max(bound, configuration.electionTimeoutNanoseconds - silence)
        }
        return bound
    }

    private mutating func refuse(
        _ request: RaftMessage.RequestVote, _ message: RaftMessage, boundNanoseconds: Int64 = 0
    ) {
        let answer = RaftMessage.Vote(
            isPreVote: request.isPreVote, isGranted: false, boundNanoseconds: boundNanoseconds)
        send(.vote(answer), to: message.from)
    }

    /// A granted pre-vote bears the term that we asked about; a refused one the voter's own, at most ours.
    mutating func receivePreVote(_ answer: RaftMessage.Vote, _ message: RaftMessage, at now: Moment) {
        precondition(answer.isPreVote, "not a pre-vote")
        guard role == .preCandidate else { return }
        guard !answer.isGranted || message.term == term.next else { return }
        if !answer.isGranted { boundNanoseconds = max(boundNanoseconds, answer.boundNanoseconds) }
        record(message.from, isGranted: answer.isGranted, at: now)
    }

    mutating func receiveVote(_ answer: RaftMessage.Vote, _ message: RaftMessage, at now: Moment) {
        precondition(message.term == term, "a vote of \(message.term) counted in \(term)")
        guard role == .candidate, !answer.isPreVote else { return }
        record(message.from, isGranted: answer.isGranted, at: now)
    }
}
