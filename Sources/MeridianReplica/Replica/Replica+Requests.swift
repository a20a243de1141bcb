import DequeModule
import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianTransactions

/// How a request enters a replica, and how it gets its latches.
extension Replica {
    mutating func receive(_ request: RangeRequest, from gateway: NodeID, at now: Moment, _ effects: inout StepEffects) {
        let address = ReplyAddress(request, from: gateway)
        if case .read(let read) = request.body, read.mayBeLocal(isLeader: raft.role == .leader),
            beginLocal(read, address, at: now, &effects)
        {
            return
        }
        if case .status(let asked) = request.body, asked == node || raft.role == .leader {
            effects.reply(.status(status), to: address, range: descriptor.id)
            return
        }
        guard raft.role == .leader, isAuthorized(at: now) else {
            effects.reply(notLeaseholder, to: address, range: descriptor.id)
            return
        }
        if case .transferLease(let target) = request.body {
            raft.receive(.transferLeadership(to: target), at: now)
            effects.reply(.transferStarted, to: address, range: descriptor.id)
            return
        }
        startServingIfNeeded()
        guard isServing else {
            serving?.early.append(Addressed(request: request, from: gateway))
            raft.receive(.wake, at: now)
            return
        }
        switch request.body {
        case .commit(let commit): begin(commit, request, address, at: now, &effects)
        case .prepare(let prepare): begin(prepare, request, address, at: now, &effects)
        case .resolve(let resolve): begin(resolve, address, at: now, &effects)
        case .lock(let lock): begin(lock, request, address, at: now, &effects)
        case .unlock(let owner):
            unlock(owner, at: now, &effects)
            effects.reply(.unlocked, to: address, range: descriptor.id)
        case .read(let read): begin(read, address, at: now, &effects)
        case .transactions:
            effects.reply(.transactions(openTransactions), to: address, range: descriptor.id)
        case .transferLease, .status: preconditionFailure("handled above")
        }
    }

    private mutating func begin(
        _ commit: CommitRequest, _ request: RangeRequest, _ address: ReplyAddress, at now: Moment,
        _ effects: inout StepEffects
    ) {
        guard commit.mutations.allSatisfy({ descriptor.span.contains($0.key) }) else {
            effects.reply(.failed(elsewhere), to: address, range: descriptor.id)
            return
        }
        // A first attempt that was meant for another leadership is late: whoever still waits for it asks again. It must
        // not be taken up here, where nobody knows what its client has been told since.
        if let term = request.freshIn, term != raft.term, !Planted.isOn(.retryTakenForFirst) {
            effects.reply(notLeaseholder, to: address, range: descriptor.id)
            return
        }
        if serving?.commitsByRequest[commit.id] == nil {
            if let refusal = refusal(of: commit, at: now) ?? otherAttempt(of: commit.id).map({ _ in .unknown }) {
                effects.reply(refusal, to: address, range: descriptor.id)
                return
            }
            let isAdmitted = isAdmitted(
                request, from: address.node, commit.id, commit.priority,
                Self.lockClaim(commit.mutations, commit.preconditions), at: now, &effects)
            guard isAdmitted else { return }
        }
        let isFresh = isFresh(request, commit.id, of: address.node, at: now)
        // The same commit is under way: whoever asks again hears the same answer.
        if serving?.commitsByRequest[commit.id]?.append(address) != nil { return }
        serving?.commitsByRequest[commit.id] = [address]

        let (shared, spans) = Self.claims(of: commit.preconditions)
        guard
            let (ticket, isGranted) = serving?.latches.acquire(
                exclusive: commit.mutations.lazy.map(\.key), shared: shared, spans: spans)
        else { return }
        let lookUp = !isFresh
        serving?.requests[ticket] = .init(
            address: address, arrival: now.instant, body: .commit(commit, lookUp: lookUp))
        if isGranted || Planted.isOn(.latchIgnored) { grant([ticket], at: now, &effects) }
    }

    /// A commit that was sent so long ago that an earlier copy of it could have been applied and forgotten.
    private func refusal(of commit: CommitRequest, at now: Moment) -> RangeReply.Body? {
        guard let sent = commit.sent, now.clock.isKnown,
            sent < now.clock.earliest.advanced(byNanoseconds: -Self.maximumAgeNanoseconds)
        else { return nil }
        return .failed(Self.tooLate)
    }

    private static var tooLate: MeridianError {
        MeridianError(
            .commitStatusUnknown,
            "the commit was under way for more than 30 s, and what an earlier copy of it has come to is not remembered "
                + "for ever: read the rows to see",
            commitOutcome: .unknown)
    }

    /// Whether a commit cannot have been applied before, so that it need not be looked up.
    ///
    /// It must be a client's first attempt, meant for exactly this leadership: an earlier leader cannot have committed
    /// a request that was sent when this one was known to lead. And this leader must not have seen it: neither the
    /// same frame, which a network can deliver twice, nor a later attempt through another gateway, which can overtake
    /// the first.
    private mutating func isFresh(
        _ request: RangeRequest, _ commit: RequestID, of gateway: NodeID, at now: Moment
    ) -> Bool {
        let isNew = serving?.newest[gateway].map { request.id > $0 } ?? true
        if isNew { serving?.newest[gateway] = request.id }
        if Planted.isOn(.retryAppliesTwice) { return true }
        if Planted.isOn(.duplicateAppliesTwice) { return request.freshIn == raft.term }
        guard request.freshIn == raft.term else {
            serving?.repeated.insert(commit, at: now.instant)
            return false
        }
        return isNew && serving?.repeated.contains(commit) == false
    }

    var elsewhere: MeridianError {
        MeridianError(.unavailable, "\(descriptor.id) does not hold a row of the request", retry: .immediately)
    }

    private mutating func begin(
        _ read: ReadRequest, _ address: ReplyAddress, at now: Moment, _ effects: inout StepEffects
    ) {
        guard now.clock.isKnown else {
            effects.reply(
                .failed(MeridianError(.unavailable, "\(node) has no usable clock; retry", retry: .after(.seconds(1)))),
                to: address, range: descriptor.id)
            return
        }
        let timestamp = read.timestamp ?? now.clock.latest
        let farthest = now.clock.latest.advanced(byNanoseconds: Self.maximumReadLeadNanoseconds)
        guard timestamp <= farthest else {
            effects.reply(
                .failed(
                    MeridianError(
                        .unavailable, "the gateway's clock runs far ahead of \(node)'s; check both clocks",
                        retry: .after(.seconds(1)))),
                to: address, range: descriptor.id)
            return
        }
        var (keys, spans) = Self.claims(of: read.preconditions)
        for operation in read.operations {
            switch operation.footprint {
            case .key(let key): keys.append(key)
            case .span(let span): spans.append(span)
            }
        }
        guard
            let (ticket, isGranted) = serving?.latches.acquire(
                exclusive: EmptyCollection<Key>(), shared: keys, spans: spans)
        else { return }
        serving?.requests[ticket] = .init(address: address, arrival: now.instant, body: .read(read, at: timestamp))
        if isGranted {
            grant([ticket], at: now, &effects)
        } else if let priority = read.priority {
            woundYounger(than: priority, [ticket], at: now, &effects)
        }
    }

    /// How far ahead of this clock a gateway's read timestamp may lie. A read pushes later commits beyond itself, so
    /// a gateway with a wild clock must not drag the range into the future.
    private static var maximumReadLeadNanoseconds: Int64 { 1_000_000_000 }

    /// Lets requests go on, in order. One that fails at once frees the next, and a thousand may wait for one key, so
    /// it is a loop and not a recursion.
    mutating func grant(_ tickets: [Latches.Ticket], at now: Moment, _ effects: inout StepEffects) {
        guard !tickets.isEmpty, serving != nil else { return }
        serving?.granted.append(contentsOf: tickets)
        guard serving?.isGranting == false else { return }
        serving?.isGranting = true
        while let ticket = serving?.granted.popFirst() { granted(ticket, at: now, &effects) }
        serving?.isGranting = false
    }

    /// All claims of a request are free.
    mutating func granted(_ ticket: Latches.Ticket, at now: Moment, _ effects: inout StepEffects) {
        // What was granted together with it can have refused it.
        guard let served = serving?.requests[ticket] else { return }
        switch served.body {
        case .commit(let commit, _) where refusal(of: commit, at: now) != nil:
            fail(commit, ticket, Self.tooLate, at: now, &effects)
        case .commit(let commit, let lookUp):
            if !lookUp, commit.preconditions.isEmpty {
                propose(ticket, commit, arrival: served.arrival, at: now, &effects)
            } else {
                effects.evaluate(
                    Evaluation(
                        range: descriptor.id, mark: descriptor.span.lower, ticket: ticket, term: raft.term,
                        body: .commit(commit.preconditions, lookUp: lookUp ? commit.id : nil)))
            }
        case .prepare(let prepare):
            effects.evaluate(
                Evaluation(
                    range: descriptor.id, mark: descriptor.span.lower, ticket: ticket, term: raft.term,
                    body: .prepare(prepare.preconditions, prepare.id)))
        case .resolve(let resolve):
            effects.evaluate(
                Evaluation(
                    range: descriptor.id, mark: descriptor.span.lower, ticket: ticket, term: raft.term,
                    body: .standing(resolve.id)))
        case .read(let read, let timestamp):
            serve(read, at: timestamp, ticket, now: now, &effects)
        }
    }

    /// Frees the latches of a request, and lets those go on that waited for it.
    mutating func release(_ ticket: Latches.Ticket, at now: Moment, _ effects: inout StepEffects) {
        guard let next = serving?.latches.release(ticket) else { return }
        grant(next, at: now, &effects)
    }

    mutating func evaluated(_ result: EvaluationResult, at now: Moment, _ effects: inout StepEffects) {
        if result.isLocal { return evaluatedLocal(result, at: now, &effects) }
        // An answer to an earlier leadership's question concerns nobody any more.
        guard var serving, serving.term == result.term, let served = serving.requests[result.ticket] else { return }
        switch (served.body, result.outcome) {
        case (.commit(let commit, _), .mayCommit):
            propose(result.ticket, commit, arrival: served.arrival, at: now, &effects)
        case (.commit(let commit, _), .alreadyApplied(let applied)):
            alreadyApplied(commit, result.ticket, applied, at: now, &effects)
        case (.commit(let commit, _), .failed(let error)):
            fail(commit, result.ticket, error, at: now, &effects)
        case (.prepare(let prepare), .mayCommit):
            propose(prepare, result.ticket, arrival: served.arrival, at: now, &effects)
        case (.prepare(let prepare), .alreadyApplied(let applied)):
            serving.requests[result.ticket] = nil
            let preparing = serving.transactions.preparing.removeValue(forKey: prepare.id)
            self.serving = serving
            answerAsBefore(applied, served, preparing?.addresses ?? [], result.ticket, at: now, &effects)
        case (.prepare(let prepare), .failed(let error)):
            fail(prepare, result.ticket, .failed(error), at: now, &effects)
        case (.resolve(let resolve), let outcome):
            self.serving?.requests[result.ticket] = nil
            release(result.ticket, at: now, &effects)
            lookedUp(resolve, outcome, served.address, at: now, &effects)
        case (.read(let read, let timestamp), .pages(let pages)):
            let answer = ReadResult(timestamp: timestamp, term: raft.term, pages: pages)
            finishRead(.read(answer), served, ticket: result.ticket, at: now, &effects)
            if let owner = read.unlocks { unlock(owner, at: now, &effects) }
        case (.read, .failed(let error)):
            finishRead(.failed(error), served, ticket: result.ticket, at: now, &effects)
        default:
            preconditionFailure("an evaluation of \(descriptor.id) answered another question")
        }
    }
}
