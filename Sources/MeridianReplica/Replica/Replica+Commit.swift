import MeridianClock
import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianTransactions

/// From a permitted commit to its answer.
extension Replica {
    /// Fixes a commit's timestamp and its place in the log.
    mutating func propose(
        _ ticket: Latches.Ticket, _ commit: CommitRequest, arrival: Instant, at now: Moment,
        _ effects: inout StepEffects
    ) {
        guard let timestamp = allocator.assign(at: now.clock) else {
            let error = MeridianError(
                .unavailable, "\(node) has no usable clock, so it can give no timestamp; retry",
                retry: .after(.seconds(1)))
            fail(commit, ticket, error, at: now, &effects)
            return
        }
        let proposal = nextProposal
        nextProposal += 1
        serving?.requests[ticket] = nil
        serving?.commits[proposal] = ProposedCommit(
            request: commit.id, ticket: ticket, timestamp: timestamp, arrival: arrival, proposed: now.instant)
        raft.noteTimestamp(timestamp)
        // The allocator gives no lower timestamp any more, so each command closes everything up to its own.
        let closed = closable(timestamp)
        let command = Command(
            request: commit.id, timestamp: timestamp,
            closed: Planted.isOn(.closedTooFar) ? closed.advanced(byNanoseconds: 1_000_000_000) : closed,
            mutations: commit.erases ? [erasureMark] + commit.mutations : commit.mutations,
            step: commit.erases ? CommitStep(attempt: 0, kind: .erase) : nil)
        raft.receive(
            .propose([Proposal(id: ProposalID(rawValue: proposal), payload: .command(command))]), at: now)
        // From here on the latches hold it.
        unlock(commit.id, at: now, &effects)
        // Whoever waits for a row that this commit only checked need not wait for the quorum: its timestamp, and so
        // its place, will be behind this one's.
        guard let next = serving?.latches.releaseShared(ticket) else { return }
        grant(next, at: now, &effects)
    }

    /// The deletion of no row, which says when something of the range was erased last: whoever has read before, and
    /// finds no version any more, cannot know what it has missed (`Evaluation`).
    private var erasureMark: Mutation { Mutation(key: descriptor.span.lower, value: nil) }

    mutating func fail(
        _ commit: CommitRequest, _ ticket: Latches.Ticket, _ error: MeridianError, at now: Moment,
        _ effects: inout StepEffects
    ) {
        serving?.requests[ticket] = nil
        for address in serving?.commitsByRequest.removeValue(forKey: commit.id) ?? [] {
            effects.reply(.failed(error), to: address, range: descriptor.id)
        }
        release(ticket, at: now, &effects)
    }

    /// The commit has happened before. It is answered as it was then, when its timestamp is past.
    mutating func alreadyApplied(
        _ commit: CommitRequest, _ ticket: Latches.Ticket, _ applied: AppliedRequest, at now: Moment,
        _ effects: inout StepEffects
    ) {
        guard let served = serving?.requests.removeValue(forKey: ticket) else { return }
        let addresses = serving?.commitsByRequest.removeValue(forKey: commit.id) ?? []
        answerAsBefore(applied, served, addresses, ticket, at: now, &effects)
    }

    mutating func answerAsBefore(
        _ applied: AppliedRequest, _ served: Serving.Served, _ addresses: [ReplyAddress], _ ticket: Latches.Ticket,
        at now: Moment, _ effects: inout StepEffects
    ) {
        let result = CommitResult(
            timestamp: applied.timestamp, term: raft.term, index: applied.index,
            locksNanoseconds: now.instant.nanoseconds(since: served.arrival))
        let proposal = nextProposal
        nextProposal += 1
        settle(
            proposal,
            SettledCommit(
                index: applied.index, addresses: addresses, result: result, committed: now.instant, isApplied: true,
                ticket: ticket, term: raft.term),
            at: now, &effects)
    }

    mutating func concluded(_ outcome: ProposalOutcome, at now: Moment, _ effects: inout StepEffects) {
        let id = outcome.id.rawValue
        switch outcome.result {
        case .appended(let position):
            serving?.commits[id]?.index = position.index
        case .committed(let position):
            guard let commit = serving?.commits.removeValue(forKey: id) else { return }
            let addresses: [ReplyAddress]
            var ticket = commit.ticket
            switch commit.purpose {
            case .commit: addresses = serving?.commitsByRequest.removeValue(forKey: commit.request) ?? []
            case .prepare(let id): addresses = prepared(id, at: now, &effects)
            case .resolve(let id):
                addresses = []
                ticket = resolved(id, commit, at: now, &effects)
                if ticket == nil { return }
            }
            let quorum = now.instant.nanoseconds(since: commit.proposed)
            let result = CommitResult(
                timestamp: commit.timestamp, term: position.term, index: position.index,
                locksNanoseconds: commit.proposed.nanoseconds(since: commit.arrival),
                logNanoseconds: commit.durable?.nanoseconds(since: commit.proposed) ?? quorum,
                quorumNanoseconds: quorum)
            settle(
                id,
                SettledCommit(
                    index: position.index, addresses: addresses, result: result, committed: now.instant,
                    isApplied: appliedIndex >= position.index, purpose: commit.purpose, ticket: ticket,
                    term: position.term),
                at: now, &effects)
        case .rejected:
            guard let commit = serving?.commits.removeValue(forKey: id) else { return }
            let body: RangeReply.Body
            if case .rejected(.tooManyUncommittedBytes) = outcome.result {
                body = .failed(
                    MeridianError(
                        .overloaded, "\(descriptor.id) has too much uncommitted; slow down and retry",
                        retry: .after(.milliseconds(100))))
            } else if case .rejected(.transferring(let target)) = outcome.result {
                body = .notLeaseholder(leader: target, term: raft.term)
            } else {
                body = notLeaseholder
            }
            switch commit.purpose {
            case .commit:
                for address in serving?.commitsByRequest.removeValue(forKey: commit.request) ?? [] {
                    effects.reply(body, to: address, range: descriptor.id)
                }
                if let ticket = commit.ticket { release(ticket, at: now, &effects) }
            case .prepare(let id): notPrepared(id, body, at: now, &effects)
            case .resolve(let id): notResolved(id, body, &effects)
            }
        case .unknown:
            guard let commit = serving?.commits.removeValue(forKey: id) else { return }
            guard case .commit = commit.purpose else { return unknown(commit.purpose, &effects) }
            for address in serving?.commitsByRequest.removeValue(forKey: commit.request) ?? [] {
                let result = CommitResult(timestamp: commit.timestamp, term: raft.term)
                effects.reply(
                    Planted.isOn(.unknownReportedCommitted) ? .committed(result) : .unknown, to: address,
                    range: descriptor.id)
            }
        }
    }

    /// This leadership was lost while a part of a transaction was on its way into the log. Whoever waits asks the next
    /// leaseholder.
    mutating func unknown(_ purpose: ProposalPurpose, _ effects: inout StepEffects) {
        switch purpose {
        case .commit: break
        case .prepare(let id):
            guard let held = serving?.transactions.held.removeValue(forKey: id) else { return }
            for address in held.waiting + held.asking.map(\.address) {
                effects.reply(.unknown, to: address, range: descriptor.id)
            }
        case .resolve(let id): notResolved(id, .unknown, &effects)
        }
    }

    private mutating func settle(
        _ id: UInt64, _ commit: SettledCommit, at now: Moment, _ effects: inout StepEffects
    ) {
        let timestamp = commit.result.timestamp
        settled[id] = commit
        if now.clock.earliest > timestamp || Planted.isOn(.commitWaitSkipped) {
            past(id, at: now, &effects)
        } else {
            commitWait.insert(timestamp, id)
        }
    }

    /// Answers the commits whose timestamps are past everywhere (commit wait, Spanner §4.1.2).
    mutating func endCommitWaits(at now: Moment, _ effects: inout StepEffects) {
        for id in commitWait.ready(at: now.clock) {
            if id == Self.localReadsToken {
                retryLocalReads(at: now, &effects)
            } else if id == Self.readinessToken {
                serving?.isReadinessAwaited = false
                becomeReadyIfPossible(at: now, &effects)
            } else if let ticket = serving?.future.removeValue(forKey: id) {
                granted(ticket, at: now, &effects)
            } else {
                past(id, at: now, &effects)
            }
        }
    }

    private mutating func past(_ id: UInt64, at now: Moment, _ effects: inout StepEffects) {
        guard let index = settled.index(forKey: id) else { return }
        settled.values[index].isPast = true
        var commit = settled.values[index]
        commit.result.commitWaitNanoseconds = now.instant.nanoseconds(since: commit.committed)
        var body = RangeReply.Body.committed(commit.result)
        if case .prepare(let id) = commit.purpose {
            let candidate = serving?.transactions.held[id]?.preparation.candidate
            // A later leaseholder answers whoever asks again.
            body = candidate.map { .prepared(commit.result, candidate: $0) } ?? .unknown
        }
        // Another region may have begun to serve, without it.
        if !isAuthorized(at: now) { body = .unknown }
        for address in commit.addresses { effects.reply(body, to: address, range: descriptor.id) }
        if commit.isApplied { retire(id, at: now, &effects) }
    }

    /// The commit is answered and its rows can be read: its latches go.
    private mutating func retire(_ id: UInt64, at now: Moment, _ effects: inout StepEffects) {
        guard let commit = settled.removeValue(forKey: id) else { return }
        guard serving?.term == commit.term, let ticket = commit.ticket else { return }
        switch commit.purpose {
        case .commit: release(ticket, at: now, &effects)
        case .prepare: break
        case .resolve(let transaction): letGo(transaction, ticket, at: now, &effects)
        }
    }

    /// Rows are applied up to an index.
    mutating func applied(through index: LogIndex, at now: Moment, _ effects: inout StepEffects) {
        guard index > appliedIndex else { return }
        appliedIndex = index
        closed.advance(to: index)
        raft.receive(.applied(index), at: now)
        var retired: [UInt64] = []
        for (id, commit) in settled where !commit.isApplied && commit.index <= index {
            retired.append(id)
        }
        // In the order of the proposals, since a dictionary has none.
        for id in retired.sorted() {
            settled[id]?.isApplied = true
            if settled[id]?.isPast == true { retire(id, at: now, &effects) }
        }
        becomeReadyIfPossible(at: now, &effects)
        serveAppliedReads(at: now, &effects)
        retryLocalReads(at: now, &effects)
    }

    /// Notes when this leader's own disk had the commits, for their receipts.
    mutating func durable(through index: LogIndex, at now: Moment) {
        guard var commits = serving?.commits, !commits.isEmpty else { return }
        serving?.commits = [:]
        for id in commits.keys {
            if let position = commits[id]?.index, position <= index, commits[id]?.durable == nil {
                commits[id]?.durable = now.instant
            }
        }
        serving?.commits = commits
    }
}
