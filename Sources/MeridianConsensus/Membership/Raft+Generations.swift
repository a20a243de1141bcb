import MeridianCore

/// How a group whose quorum is gone goes on from one surviving replica, in the next generation (`Generation`).
///
/// Raft cannot do this by itself, and must not: whoever elects without a quorum can lose what the quorum committed. The
/// host decides it, by a commit elsewhere that all replicas will hear of, and says where the old history ends.
///
/// 1. **Seal.** The replica enters the lowest term of the next generation, in which nobody leads. From then on it takes
///    nothing from a leader of an earlier generation, and its log stands still. When the seal is durable, with all that
///    was in the log before it, what the replica reports of its log stays true.
/// 2. **Reseed.** The replica that was chosen cuts its log at the fork and appends a membership with itself as the only
///    voter, in the generation's first term. The next election is its own; what lies before the fork is committed with
///    the entry that opens its term, as a new leader commits what earlier ones left (Raft §5.4.2).
/// 3. **Join.** Replicas that hold nothing behind the fork go on in the new generation as its followers. Until they
///    have an entry of it they know only who voted in the old one, so they neither vote nor campaign. All others forget
///    what they have and come back as new members.
///
/// Two generations never mix: their terms differ, so no position of one log occurs in the other, and the host keeps
/// messages of other generations away from a replica (`Replica.accepts`).
///
/// What is lost is decided by the fork, which is the host's business: `NodeCore` and `FailoverProcedure` have the
/// argument for each commit rule.
extension Raft {
    /// Whether this replica has left its generation and is not part of the next one yet.
    package var isSealed: Bool { term.isSeal && lastPosition.index > .zero }

    /// The seal, and everything in the log before it, is on the disk.
    package var isSealDurable: Bool { isSealed && isHardStateDurable && log.isFullyPersisted }

    /// Whether this leader knows that the rule in force holds of everything that is committed, also of what was
    /// committed under another rule.
    package var isCommitCovered: Bool {
        role == .leader && commitQuorum.index { lead.progress.counted($0) } >= commitIndex
    }

    /// Whether the members in force are those that are committed, and no change is under way.
    package var isMembershipSettled: Bool { !membership.isJoint && history.currentIndex <= commitIndex }

    /// Leaves every generation before this one. What this replica led ends as `unknown`.
    package mutating func seal(for generation: Generation, at now: Moment) {
        guard term < generation.seal else { return }
        becomeFollower(term: generation.seal, leader: nil, at: now)
    }

    /// Ceases to lead, if it does: this replica leaves the group.
    package mutating func abdicate(at now: Moment) {
        if role != .follower { becomeFollower(term: term, leader: nil, at: now) }
    }

    /// What must be remembered of this replica when its log is let go of.
    package var hardStateWithoutLog: HardState {
        HardState(
            term: term, vote: vote, commit: .zero, incarnation: incarnation, isRecovering: isRecovering,
            floor: max(floor, log.lastPosition))
    }

    /// Goes on in a generation as a follower. Precondition: this replica holds nothing behind the generation's fork.
    package mutating func join(_ generation: Generation, at now: Moment) {
        precondition(term <= generation.seal, "\(configuration.node) is in \(term), beyond the seal of \(generation)")
        becomeFollower(term: generation.seal.next, leader: nil, at: now)
    }

    /// Whether this replica has heard of the members of the generation that it is in.
    var knowsGeneration: Bool { log.lastPosition.term.generation == term.generation }

    /// Begins a generation with this replica's log up to a fork.
    ///
    /// Preconditions: the replica is not behind the fork, has nothing committed beyond it, and the membership has this
    /// node as its only voter.
    package mutating func reseed(
        _ generation: Generation, fork: LogPosition, membership: Membership, at now: Moment
    ) {
        precondition(term <= generation.seal, "\(configuration.node) is in \(term), beyond the seal of \(generation)")
        precondition(log.matches(fork), "the log of \(configuration.node), to \(log.lastPosition), lacks \(fork)")
        precondition(commitIndex <= fork.index, "\(commitIndex) is committed beyond the fork \(fork)")
        precondition(membership.votingNodes == [configuration.node], "\(membership.votingNodes) begin a generation")
        if log.lastIndex > fork.index {
            log.truncate(from: fork.index.next)
            _ = history.truncate(from: fork.index.next)
        }
        becomeFollower(term: generation.seal.next, leader: nil, at: now)
        vote = configuration.node
        let entry = Entry(term: term, index: log.lastIndex.next, payload: .membership(membership))
        log.append(entry)
        history.append(membership, at: entry.index)
        membershipChanged(at: now)
        resetElectionTimer(at: now)
    }

    /// Follows a change of what the host configures. Promises that were made under the old configuration are kept:
    /// what a member may promise is not lowered while it runs.
    package mutating func reconfigure(_ new: RaftConfiguration) {
        precondition(new.node == configuration.node, "\(configuration.node) is not \(new.node)")
        guard new != configuration else { return }
        let changesRule = new.commitRule != configuration.commitRule
        configuration = new
        promise.raiseMaximum(to: new.maximumPromiseNanoseconds)
        guard changesRule else { return }
        commitQuorum = CommitQuorum(rule: new.commitRule, membership: membership)
        if role == .leader { advanceCommit() }
    }
}
