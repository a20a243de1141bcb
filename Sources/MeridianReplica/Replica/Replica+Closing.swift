import MeridianClock
import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianTransactions

/// Closed timestamps: how a leaseholder lets every other replica serve reads (DESIGN §9).
///
/// To close `T` is to promise that no command from here on has a timestamp at or below `T`. The promise names the end
/// of the log at that moment, since commands with lower timestamps may still be on their way: a replica uses it when it
/// has applied that much. Commands close their own timestamps in the log; between commands the leaseholder closes the
/// present with each heartbeat, in the same frame.
///
/// Why it holds. Let `L` lead in term `t`, with a lease until `P`, and close `T <= P` with its log ending at `i`; and
/// let `c` be any command in the log that is finally committed, with a timestamp at or below `T`.
///
/// - `c` is of a later term than `t`: whoever led then was elected after the lease had ended, so when the true time was
///   past `P`, and assigned at or above its `latest`, which is above `P >= T`. Or the leadership was handed over: then
///   the order to campaign carried a floor that lies at or above `T` (`Raft.noteTimestamp`), and whoever follows
///   without an order still waits for the promises that were made to `L`. Either way `c` is above `T`: a contradiction.
/// - `c` is of `t`: `L` assigned it, before it closed `T`, since afterwards its allocator gives nothing at or below
///   `T`. What it assigns it appends at once, so `c` lies at or below `i`.
/// - `c` is of an earlier term: `L` has an entry of its own term committed, so what lies before that is settled and in
///   its log, at or below `i`, and nothing of an earlier term can lie behind it.
/// - `c` commits a transaction of several ranges: nobody here assigns its timestamp, nor is it appended at once. But it
///   lies at or above the prepared one. What `L` holds prepared when it closes keeps `T` below that (`closable`); what
///   is prepared later lies above `T`, by the allocator's bound or a successor's floor.
///
/// So whoever has applied the committed log up to `i`, whatever it holds there by then, has `c`. Nothing in this needs
/// the follower's clock or a lease of its own, and the promise stays true when `L` is gone: a range that has lost its
/// quorum goes on serving reads of what was closed before.
///
/// Global tables close ahead of the clock, as far as `closeLeadNanoseconds` says, so that the promise is still of the
/// future when it arrives in the farthest region; there a read at the present is served with no message. Writers get
/// timestamps above what is closed and wait until these are past. The argument is the same one, and needs `T <= P` as
/// before: such ranges ask for leases that are longer by the lead (`NodeConfiguration`), and where the lease does not
/// reach as far, less is closed and readers ask the leaseholder. A successor need not hear of what was closed: it
/// cannot be elected before that time is past.
///
/// HAZARD: all of it stands on the true time lying inside the clocks' intervals, at the leaseholder that closes and at
/// the voters that keep their promises, exactly as lease reads do. A voter whose clock runs ahead of its bound elects a
/// successor early, which can then write below what was closed: a reader elsewhere has already seen the rows without
/// it.
extension Replica {
    /// The highest timestamp at or below the wanted one that may be closed now. Every closed timestamp goes through
    /// here, whether a command or a heartbeat carries it: what may still commit below must hold it back. What is
    /// prepared may yet commit, at its own timestamp or above (Spanner §4.2.4). When the authority over the range ends,
    /// another region may commit from there on (`Authority`).
    func closable(_ wanted: Timestamp) -> Timestamp {
        let wanted = min(wanted, authority)
        guard let lowest = serving?.transactions.lowestTimestamp, !Planted.isOn(.closedOverPrepared) else {
            return wanted
        }
        return min(wanted, lowest.advanced(byNanoseconds: -1))
    }

    /// What a step of a transaction closes, so that a range without other commits forgets old requests too: what is
    /// past.
    func closableByStep(at now: Moment) -> Timestamp {
        now.clock.isKnown ? max(.zero, closable(min(allocator.bound, now.clock.earliest))) : .zero
    }

    /// Closes as much as the clock and the lease allow.
    /// - Returns: the promise, or `nil` when nothing more can be closed.
    mutating func close(at now: Moment) -> ClosedTimestamp? {
        guard isServing, now.clock.isKnown, let expiration = raft.leaseExpiration else { return nil }
        let isAhead = closeLeadNanoseconds > 0
        // A reader's timestamp is its clock's `latest`, so what is closed ahead must outlast the uncertainty as well.
        let wanted =
            isAhead
            ? now.clock.latest.advanced(byNanoseconds: closeLeadNanoseconds + now.clock.widthNanoseconds)
            : now.clock.latest
        let isUnbounded = isAhead && Planted.isOn(.closedBeyondLease)
        let timestamp = closable(isUnbounded ? wanted.advanced(byNanoseconds: 1_000_000_000) : min(wanted, expiration))
        guard timestamp > closed.newest else { return nil }
        allocator.close(timestamp)
        raft.noteTimestamp(timestamp)
        let promise = ClosedTimestamp(timestamp: timestamp, position: raft.lastPosition)
        closed.note(promise, applied: appliedIndex)
        return promise
    }

    /// Closes one timestamp for many ranges, if this range's lease reaches as far.
    mutating func close(exactly timestamp: Timestamp) -> Bool {
        guard let expiration = raft.leaseExpiration, timestamp <= expiration, closable(timestamp) == timestamp else {
            return false
        }
        guard timestamp > closed.newest else { return true }
        allocator.close(timestamp)
        raft.noteTimestamp(timestamp)
        closed.note(ClosedTimestamp(timestamp: timestamp, position: raft.lastPosition), applied: appliedIndex)
        return true
    }

    /// Tells the followers with each heartbeat, and of a global table more often.
    mutating func sendClosed(withHeartbeats isWithHeartbeats: Bool, at now: Moment, _ effects: inout StepEffects) {
        if closeLeadNanoseconds > 0 {
            let due = nextClose ?? now.instant
            guard due <= now.instant.advanced(byNanoseconds: ClusterTiming.closeEarlyNanoseconds) else { return }
            nextClose = now.instant.advanced(byNanoseconds: ClusterTiming.closeIntervalNanoseconds)
        } else {
            guard isWithHeartbeats else { return }
        }
        guard let promise = close(at: now) else { return }
        for member in raft.membership.members where member.node != node && member.role != .witness {
            effects.send(.closed(descriptor.id, promise), to: member.node)
        }
    }

    /// What a leaseholder has closed. A promise holds whoever leads by now, so its sender and term do not matter.
    mutating func noteClosed(_ promise: ClosedTimestamp, at now: Moment, _ effects: inout StepEffects) {
        var promise = promise
        if Planted.isOn(.closedWithoutIndex) { promise.position.index = .zero }
        closed.note(promise, applied: appliedIndex)
        retryLocalReads(at: now, &effects)
    }
}

extension RaftMessage {
    var isHeartbeat: Bool {
        if case .heartbeat = body { true } else { false }
    }
}
