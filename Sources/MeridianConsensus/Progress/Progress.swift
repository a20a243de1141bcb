import MeridianCore

/// What a leader knows about one member of its group, itself included (Raft §5.3, `nextIndex` and `matchIndex`).
///
/// Invariants: `match < next`; `match` never falls within a leadership but when the follower's disk was lost, and
/// `counted` never does; `lease` and `readRound` are answers to
/// messages of this leadership alone.
package struct Progress: Hashable, Sendable {
    /// How appends go to the follower.
    package enum State: Hashable, Sendable {
        /// The leader does not know where the logs agree: one append at a time.
        /// - Can become `replicate` on an accepted append, `snapshot` when the log no longer reaches back.
        case probe
        /// The logs agree up to `match`: appends are pipelined ahead of their acknowledgements.
        /// - Can become `probe` on a rejection or an unreachable follower, `snapshot` as above.
        case replicate
        /// The follower needs what was compacted away; nothing is appended meanwhile.
        /// - Can become `probe` when the snapshot ended, `replicate` when the follower acknowledges enough.
        case snapshot
    }

    package let node: NodeID
    /// Entries go to a witness without their commands.
    package var isWitness: Bool
    package private(set) var state: State = .probe
    /// The durable log of the follower's present life agrees with the leader's up to here.
    package private(set) var match: LogIndex = .zero
    /// The highest acknowledgement of a life that was not recovering: what counts towards a commit.
    package private(set) var counted: LogIndex = .zero
    /// The life of the follower that was heard last; `nil` before any.
    package private(set) var incarnation: Incarnation?
    /// The follower lost its disk. It is served, and it counts for nothing.
    package private(set) var isRecovering = false
    /// The next entry to send.
    package private(set) var next: LogIndex
    /// In `probe`: an append is under way, and the next waits for an answer.
    package var isPaused = false
    package private(set) var inflights: Inflights
    /// The highest commit index that a message told the follower. The message may be lost; heartbeats repeat it.
    package var commitSent: LogIndex = .zero
    /// When this leadership last heard from the follower (check-quorum).
    package var lastContact: Instant
    /// The farthest lease that the follower accepted from this leadership.
    package var lease: Timestamp?
    /// The latest round of ReadIndex confirmation that the follower answered.
    package var readRound: UInt64 = 0
    /// The shell was asked for a snapshot and has not said how it ended.
    package var isSnapshotOutstanding = false
    /// The oldest append that was under way when the last heartbeat went out.
    private var awaited: LogIndex = .zero
    /// That append was under way for a whole heartbeat interval: it may be lost.
    package private(set) var isStalled = false
    /// An empty append is to ask the follower where its log ends, because something may be lost.
    package var needsNudge = false

    package init(node: NodeID, isWitness: Bool, next: LogIndex, contact: Instant, inflights: Inflights) {
        precondition(next > .zero, "the first entry is 1, not \(next)")
        self.node = node
        self.isWitness = isWitness
        self.next = next
        self.lastContact = contact
        self.inflights = inflights
    }

    package mutating func becomeProbe() {
        // A snapshot that ended may have carried the follower beyond what it acknowledged; `next` knows.
        next = state == .snapshot ? max(match.next, next) : match.next
        state = .probe
        isPaused = false
        inflights.reset()
    }

    package mutating func becomeReplicate() {
        state = .replicate
        isPaused = false
        next = match.next
        inflights.reset()
    }

    package mutating func becomeSnapshot() {
        state = .snapshot
        isPaused = false
        inflights.reset()
    }

    /// The shell has delivered a snapshot that ends at `index`: probe there.
    package mutating func snapshotInstalled(_ index: LogIndex) {
        precondition(state == .snapshot, "a snapshot ended for \(node) in state \(state)")
        next = max(next, index.next)
        becomeProbe()
    }

    /// - Returns: whether this was news.
    package mutating func acknowledge(_ index: LogIndex) -> Bool {
        inflights.free(upTo: index)
        guard index > match else { return false }
        match = index
        next = max(next, index.next)
        return true
    }

    /// A copy that counts towards commits.
    /// - Returns: whether this was news.
    package mutating func count(_ index: LogIndex) -> Bool {
        guard index > counted else { return false }
        counted = index
        return true
    }

    /// An answer of the given life came in.
    ///
    /// If another was heard last, then what that one held is gone, as far as can be told, and the log is sent from
    /// where it agrees. Lives have no order that shows, so a late answer of an earlier life does the same; the next
    /// one of the present life puts it right.
    package mutating func heard(_ life: RaftMessage.Life) {
        isRecovering = life.isRecovering
        guard incarnation != life.incarnation else { return }
        defer { incarnation = life.incarnation }
        guard incarnation != nil else { return }
        match = .zero
        commitSent = .zero
        awaited = .zero
        isStalled = false
        state = .probe
        isPaused = false
        inflights.reset()
    }

    /// A heartbeat goes out: what was under way at the last one should have been acknowledged by now.
    package mutating func heartbeat() {
        isStalled = awaited > match
        awaited = inflights.oldest ?? .zero
    }

    /// The leader's own disk holds its log up to here.
    package mutating func persist(_ index: LogIndex) {
        match = max(match, index)
        counted = match
        next = max(next, match.next)
    }

    /// An append after `previous` was refused; `candidate` is the last index at which the logs can agree.
    ///
    /// - Returns: whether the answer was about what was sent last; a late or repeated one changes nothing.
    package mutating func reject(previous: LogIndex, candidate: LogIndex) -> Bool {
        switch state {
        case .replicate:
            guard previous > match else { return false }
            becomeProbe()
            return true
        case .probe:
            guard previous.next == next, previous > match else { return false }
            next = max(match.next, min(previous, candidate.next))
            isPaused = false
            return true
        case .snapshot:
            return false
        }
    }

    /// An append of entries up to `last` went out.
    package mutating func sent(last: LogIndex, byteCount: Int) {
        precondition(last >= next, "sent up to \(last), which is before \(next)")
        switch state {
        case .probe:
            isPaused = true
        case .replicate:
            inflights.add(last: last, byteCount: byteCount)
            next = last.next
        case .snapshot:
            preconditionFailure("appended to \(node), which waits for a snapshot")
        }
    }
}
