import MeridianCore

/// How a replica that lost its disk comes back under its old name.
///
/// Such a replica has forgotten entries that it acknowledged, votes that it gave and leases that it promised. If it
/// counted at once, A and B could commit an entry, B lose its disk, and B and C elect C, which never had the entry. So
/// it begins a new life (`Incarnation`), which is *recovering*: it appends, installs snapshots and applies, but it
/// gives no vote or pre-vote, does not campaign, and promises no lease; and its answers are marked, so that a leader
/// serves it and counts it for nothing: no commit, no lease, no round of ReadIndex, no check-quorum.
///
/// 1. It calls all members until a leader is heard.
/// 2. A leader that hears a life which is recovering proposes a **readmission** of that life, in its own term.
/// 3. The entry commits like any other, by a quorum that does not count the recovering replica.
/// 4. When the replica knows it to be committed, and has it durably and applied, the recovery ends: its vote in the
///    present term counts as given, for as long as a lease can last it votes for nobody, and then it is a voter.
///
/// Why that is enough. Let the life `w'` of node `w` be readmitted by the entry R, committed in term T (by itself or
/// under a later entry of T) by the quorum Q, of which `w` is no member. Everything that `w` had done before happened
/// before R was proposed.
///
/// - *Lemma: no candidate that asked for votes before R was proposed wins a term t above T.* Suppose one does, and take
///   the R that commits first of all such, and for it the lowest such t. Its voters and Q share some Z, not `w`. If Z
///   voted first and acknowledged R after it, then it took an entry of T while in t, so it lost its disk in between and
///   was readmitted, by an entry of a term not above T that was committed before R: then that entry was the first.
///   If Z acknowledged R first, then either it still has R when it votes (or the readmission that let it vote
///   again, which is no older). The candidate's log ends at least as far and lacks R, so it ends in a term above T,
///   whose leader asked for votes before as well: then that term was the lowest.
/// - *Acknowledgements.* An entry c that `w` acknowledged in a term below T, and that was committed with it, is in the
///   log of T's leader (Leader Completeness), one of T stands before R in it; `w'` has the log up to R, so it has c.
///   In a term above T there was none: its leader would contradict the lemma.
/// - *Votes.* `w'` never votes in a term up to T. A vote of `w` in a term above T went to a candidate that loses.
/// - *Leases.* `w` promised at most `maximumPromise` beyond its clock at an earlier time; `w'` begins with as much.
/// - *Late answers* of `w` say what was true when they were sent, before R was proposed, so they are counted as if they
///   had come in time. What another life holds is another matter: `Progress` keeps `match` for the life that was heard
///   last and `counted` for what lives that were not recovering acknowledged; heartbeats name the life they speak to.
///
/// In joint consensus Q is a quorum of both configurations. Commit rules ask for more than Q. Witnesses are readmitted
/// alike, and so are learners: they have no votes to forget, but may become voters, and semi-synchronous rules count
/// them.
/// The incarnation ties R to a life: whoever lost its disk twice finds the first readmission in the log, and it is not
/// its own. The random number must be drawn after the loss; nothing else about it matters.
///
/// What is lost. If so many voters lost their disks that no quorum is left of the others, no readmission commits and
/// they stay recovering for ever: nobody can know what they had acknowledged, and an empty group must not take the
/// place of one that held rows. A group of one voter is such a group. Only a copy from elsewhere brings it back.
///
/// Compare Viewstamped Replication Revisited (Liskov and Cowling 2012, §4.3), where a recovering replica asks a quorum
/// of others under a nonce, among them the primary, and takes its log: here the log itself is the answer and the
/// incarnation the nonce. Protocol-Aware Recovery (Alagappan and others, FAST 2018) shows why treating a damaged log
/// like a crash loses data; it repairs single entries from the others, which is left out here: all is thrown away.
extension Raft {
    /// What answers are marked with.
    var life: RaftMessage.Life { .init(incarnation: incarnation, isRecovering: isRecovering) }

    /// Whether this replica alone votes and has lost its disk: nobody can readmit it.
    package var isBeyondRecovery: Bool { isRecovering && quorum.voters == [configuration.node] }

    /// Begins a new life although the disk seems whole: it lacks what this replica has acknowledged (etcd #10166 is the
    /// story of those who did not notice). What it has is the beginning of a log like any other, and stays.
    ///
    /// The next number names the life. If a crash takes it back, then also everything that came of it, and the same
    /// life begins again.
    mutating func beginRecovery(at now: Moment) {
        guard !isRecovering else { return }
        precondition(role != .leader, "\(configuration.node) leads, and lacks what it has acknowledged")
        becomeFollower(term: term, leader: leader, at: now)
        incarnation = incarnation.next
        isRecovering = true
        isHardStateDirty = true
        noteReadmission(from: log.firstIndex)
        electionDeadline = now.instant
    }

    /// Tells everybody that this replica recovers: whoever leads will answer, even if its group is quiescent.
    mutating func callForReadmission() {
        precondition(isRecovering, "\(configuration.node) has nothing to recover")
        var nodes = membership.members.map(\.node)
        for old in membership.outgoing where membership[old.node] == nil { nodes.append(old.node) }
        for node in acquaintances where !nodes.contains(node) { nodes.append(node) }
        for node in nodes where node != configuration.node { send(.recoveryCall(incarnation), to: node) }
    }

    /// The call bears no term that matters: the caller has forgotten it.
    mutating func receiveRecoveryCall(_ incarnation: Incarnation, _ message: RaftMessage, at now: Moment) {
        guard role == .leader else { return }
        let life = RaftMessage.Life(incarnation: incarnation, isRecovering: true)
        _ = heard(from: message.from, life, lease: nil, at: now)
    }

    /// A member's life is recovering: proposes its readmission, once, and again when it did not help.
    mutating func readmitIfNeeded(_ node: NodeID, _ incarnation: Incarnation, at now: Moment) {
        guard reasonToReject() == nil else { return }
        let position = lead.readmissions.firstIndex { $0.node == node && $0.incarnation == incarnation }
        if let position {
            // The replica may have got the entry inside of a snapshot, where it does not see it.
            let last = lead.readmissions[position]
            let patience = 2 * configuration.electionTimeoutNanoseconds
            guard last.index <= commitIndex, last.index <= lead.progress.match(node),
                now.instant.nanoseconds(since: last.proposed) >= patience
            else { return }
            lead.readmissions.remove(at: position)
        }
        let payload = EntryPayload.readmission(node, incarnation)
        let index = append(payload, byteCount: payload.byteCount).index
        lead.readmissions.append(
            .init(node: node, incarnation: incarnation, index: index, proposed: now.instant))
    }

    /// The log changed: which entry readmits this life?
    mutating func followReadmission(truncatedFrom truncated: LogIndex?, appendedFrom appended: LogIndex?) {
        if let truncated, let known = readmission, known >= truncated {
            readmission = nil
            noteReadmission(from: log.firstIndex)
        } else if let appended {
            noteReadmission(from: appended)
        }
    }

    /// Finds the first entry from `first` on that readmits this life, unless one is known.
    mutating func noteReadmission(from first: LogIndex) {
        var index = first
        while readmission == nil, index <= log.lastIndex {
            if log[index].payload == .readmission(configuration.node, incarnation) { readmission = index }
            index = index.next
        }
    }

    /// Ends the recovery when the readmission is committed, durable and applied.
    ///
    /// Applied, because the host decides by it what it creates (`NodeCore.addReplica`).
    mutating func endRecoveryIfReadmitted(at now: Moment) {
        guard isRecovering, !isRecoveryHeld, let readmission, commitIndex >= readmission,
            appliedIndex >= readmission, log.persisted >= readmission
        else { return }
        precondition(role == .follower, "a \(role) recovers")
        isRecovering = false
        self.readmission = nil
        // In this term and in all before it an earlier life may have voted.
        vote = leader ?? configuration.node
        isHardStateDirty = true
        promise.restart(at: now)
        resetElectionTimer(at: now)
    }
}
