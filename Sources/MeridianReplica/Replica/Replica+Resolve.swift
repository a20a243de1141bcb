import MeridianClock
import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianTransactions

/// How a transaction that a range has prepared comes to its end here, and how a range notices that nobody ends it.
///
/// One resolution of a transaction is in the log at a time; who asks for another meanwhile hears the outcome of that
/// one. The anchor's first resolution decides, and everybody else follows it (`CommitCoordinator`, `Recovery`).
extension Replica {
    mutating func begin(
        _ request: ResolveRequest, _ address: ReplyAddress, at now: Moment, _ effects: inout StepEffects
    ) {
        guard let transactions = serving?.transactions else { return }
        if request.resolution == .close { return close(request, address, at: now, &effects) }
        let id = request.id
        // Before anything that is under way: that could be the forgetting, which says nothing of the decision.
        if let decided = dispatched.transactions.decided[id], request.resolution != .forget {
            effects.reply(.standing(.committed(decided.timestamp)), to: address, range: descriptor.id)
            return
        }
        if transactions.resolving[id] != nil {
            serving?.transactions.resolving[id]?.addresses.append(address)
            return
        }
        guard let held = transactions.held[id] else {
            return beginUnknown(request, address, at: now, &effects)
        }
        if let timestamp = held.committedAt {
            effects.reply(.standing(.committed(timestamp)), to: address, range: descriptor.id)
            return
        }
        switch request.resolution {
        case .commit(let timestamp): resolve(id, request.resolution, timestamp, address, at: now, &effects)
        case .abort, .forbid: forbid(id, request.resolution, address, at: now, &effects)
        case .query where held.isCommitted:
            effects.reply(
                .standing(.prepared(at: held.timestamp, held.preparation)), to: address, range: descriptor.id)
        case .query: serving?.transactions.held[id]?.asking.append(address)
        case .forget: effects.reply(.standing(.over), to: address, range: descriptor.id)
        case .close: preconditionFailure("handled above")
        }
    }

    /// Whether an attempt was given up here, as far as this leaseholder remembers; the rows' memory tells the rest.
    func isForbidden(_ id: TransactionID) -> Bool {
        guard let transactions = serving?.transactions else { return false }
        return transactions.forbidden.contains(id) || transactions.resolving[id] != nil
    }

    /// Whether an attempt has committed here, or never will: then it is forbidden in the log, so that no copy of it
    /// that comes late is taken up, by no later leaseholder. Of several ranges it then commits in none, since this one
    /// never prepares it.
    private mutating func close(
        _ request: ResolveRequest, _ address: ReplyAddress, at now: Moment, _ effects: inout StepEffects
    ) {
        let id = request.id
        if serving?.transactions.resolving[id] != nil {
            serving?.transactions.resolving[id]?.addresses.append(address)
            return
        }
        if let underWay = serving?.commitsByRequest[id.request] {
            guard underWay.attempt == id.attempt, let served = serving?.requests[underWay.ticket],
                case .commit(let commit, _) = served.body
            else {
                // It is in the log: its outcome is awaited.
                effects.reply(.unknown, to: address, range: descriptor.id)
                return
            }
            fail(commit, underWay.ticket, Self.givenUp, at: now, &effects)
        }
        if let other = otherAttempt(of: id.request) {
            effects.reply(other, to: address, range: descriptor.id)
            return
        }
        let none = EmptyCollection<Key>()
        guard let (ticket, _) = serving?.latches.acquire(exclusive: none, shared: none) else { return }
        serving?.requests[ticket] = .init(address: address, arrival: now.instant, body: .resolve(request))
        grant([ticket], at: now, &effects)
    }

    /// Nothing of the transaction is in the log, or it is over.
    private mutating func beginUnknown(
        _ request: ResolveRequest, _ address: ReplyAddress, at now: Moment, _ effects: inout StepEffects
    ) {
        let id = request.id
        switch request.resolution {
        case .abort:
            serving?.transactions.forbidden.insert(id, at: now.instant)
            giveUp(id, at: now, &effects)
            effects.reply(.standing(.aborted), to: address, range: descriptor.id)
        case .forget:
            effects.reply(.standing(.over), to: address, range: descriptor.id)
            if dispatched.transactions.decided[id] != nil {
                resolve(id, .forget, nil, nil, at: now, &effects)
            }
        case .commit, .forbid, .query:
            // It may have been committed and forgotten, which the rows' memory of requests tells.
            giveUp(id, at: now, &effects)
            let none = EmptyCollection<Key>()
            guard let (ticket, _) = serving?.latches.acquire(exclusive: none, shared: none) else { return }
            serving?.requests[ticket] = .init(address: address, arrival: now.instant, body: .resolve(request))
            grant([ticket], at: now, &effects)
        case .close: preconditionFailure("handled before")
        }
    }

    /// The rows' memory has been asked whether the transaction was committed here.
    mutating func lookedUp(
        _ request: ResolveRequest, _ outcome: EvaluationResult.Outcome, _ address: ReplyAddress, at now: Moment,
        _ effects: inout StepEffects
    ) {
        let transactions = serving?.transactions
        switch outcome {
        case .alreadyApplied(let applied) where request.resolution == .close && now.clock.earliest <= applied.timestamp:
            // The client is told when it is past everywhere: the gateway asks again.
            effects.reply(.unknown, to: address, range: descriptor.id)
        case .alreadyApplied(let applied):
            effects.reply(.standing(.committed(applied.timestamp)), to: address, range: descriptor.id)
        case .failed(let error): effects.reply(.failed(error), to: address, range: descriptor.id)
        case .wasAborted:
            // Once is enough: which of two aborts is remembered could differ from replica to replica.
            effects.reply(.standing(.aborted), to: address, range: descriptor.id)
        case .mayCommit, .pages:
            if request.resolution == .close {
                let isOpen = serving?.commitsByRequest[request.id.request] != nil || isForbidden(request.id)
                // It has come in the meantime.
                if isOpen || otherAttempt(of: request.id.request) != nil {
                    return close(request, address, at: now, &effects)
                }
                return forbid(request.id, .close, address, at: now, &effects)
            }
            if transactions?.held[request.id] != nil || transactions?.resolving[request.id] != nil {
                // It has come in the meantime.
                return begin(request, address, at: now, &effects)
            }
            if case .commit = request.resolution {
                // It has been taken in already, or aborted.
                effects.reply(.standing(.over), to: address, range: descriptor.id)
            } else {
                giveUp(request.id, at: now, &effects)
                forbid(request.id, request.resolution, address, at: now, &effects)
            }
        }
    }

    /// An attempt that waits here is refused.
    private mutating func giveUp(_ id: TransactionID, at now: Moment, _ effects: inout StepEffects) {
        guard let preparing = serving?.transactions.preparing[id] else { return }
        let error = MeridianError(.conflict, "the transaction was given up; run it again", retry: .immediately)
        fail(preparing.request, preparing.ticket, .failed(error), at: now, &effects)
    }

    private mutating func forbid(
        _ id: TransactionID, _ resolution: Resolution, _ address: ReplyAddress, at now: Moment,
        _ effects: inout StepEffects
    ) {
        // Its time says how long it is remembered.
        guard let timestamp = allocator.assign(at: now.clock) else {
            let error = MeridianError(
                .unavailable, "\(node) has no usable clock, so it can give no timestamp; retry",
                retry: .after(.seconds(1)))
            effects.reply(.failed(error), to: address, range: descriptor.id)
            return
        }
        resolve(id, resolution, timestamp, address, at: now, &effects)
    }

    private mutating func resolve(
        _ id: TransactionID, _ resolution: Resolution, _ timestamp: Timestamp?, _ address: ReplyAddress?,
        at now: Moment, _ effects: inout StepEffects
    ) {
        let kind: CommitStep.Kind
        switch resolution {
        case .commit: kind = .commit
        case .forget: kind = .forget
        case .abort, .forbid, .query, .close: kind = .abort
        }
        let timestamp = timestamp ?? allocator.bound.next
        if resolution != .forget {
            // What comes later on these keys lies above it.
            allocator.raiseFloor(timestamp)
            raft.noteTimestamp(timestamp)
        }
        let proposal = nextProposal
        nextProposal += 1
        serving?.transactions.resolving[id] = .init(resolution: resolution, addresses: address.map { [$0] } ?? [])
        serving?.commits[proposal] = ProposedCommit(
            request: id.request, ticket: nil, timestamp: timestamp, arrival: now.instant, proposed: now.instant,
            purpose: .resolve(id))
        let command = Command(
            request: id.request, timestamp: timestamp, closed: closableByStep(at: now), mutations: [],
            step: CommitStep(attempt: id.attempt, kind: kind))
        raft.receive(
            .propose([Proposal(id: ProposalID(rawValue: proposal), payload: .command(command))]), at: now)
    }

    /// The resolution is in the log for good.
    /// - Returns: what waits for the rows, and for the timestamp to be past: the transaction's latches.
    mutating func resolved(
        _ id: TransactionID, _ commit: ProposedCommit, at now: Moment, _ effects: inout StepEffects
    ) -> Latches.Ticket? {
        guard let resolving = serving?.transactions.resolving.removeValue(forKey: id) else { return nil }
        serving?.transactions.decidedSince[id] = nil
        let standing: Standing
        switch resolving.resolution {
        case .commit: standing = .committed(commit.timestamp)
        case .forget: standing = .over
        case .abort, .forbid, .query, .close: standing = .aborted
        }
        for address in resolving.addresses {
            effects.reply(.standing(standing), to: address, range: descriptor.id)
        }
        // The rows' memory will know it too, but only when the entry is applied.
        if standing == .aborted { serving?.transactions.forbidden.insert(id, at: now.instant) }
        guard let held = serving?.transactions.held[id] else { return nil }
        if case .commit = resolving.resolution {
            noteTransactionLook(at: now)
            serving?.transactions.held[id]?.committedAt = commit.timestamp
            return held.ticket
        }
        if resolving.resolution != .forget { letGo(id, held.ticket, at: now, &effects) }
        return nil
    }

    /// A transaction's rows can be read, or it is void.
    mutating func letGo(
        _ id: TransactionID, _ ticket: Latches.Ticket, at now: Moment, _ effects: inout StepEffects
    ) {
        serving?.transactions.held[id] = nil
        if Planted.isOn(.preparedReadable) { return }
        release(ticket, at: now, &effects)
    }

    /// The resolution is in no log.
    mutating func notResolved(_ id: TransactionID, _ body: RangeReply.Body, _ effects: inout StepEffects) {
        guard let resolving = serving?.transactions.resolving.removeValue(forKey: id) else { return }
        for address in resolving.addresses { effects.reply(body, to: address, range: descriptor.id) }
    }

    // MARK: Transactions that nobody ends

    private static var lookIntervalNanoseconds: Int64 { 100_000_000 }

    mutating func noteTransactionLook(at now: Moment) {
        guard nextTransactionLook == nil else { return }
        nextTransactionLook = now.instant.advanced(byNanoseconds: Self.lookIntervalNanoseconds)
    }

    /// Finds transactions that nobody has ended in time.
    mutating func lookForAbandoned(at now: Moment, _ effects: inout StepEffects) {
        guard let look = nextTransactionLook, now.instant >= look else { return }
        nextTransactionLook = nil
        guard var transactions = serving?.transactions else { return }
        let decided = dispatched.transactions.decided
        let isIdle = transactions.held.isEmpty && decided.isEmpty && serving?.locks.isEmpty == true
        nextTransactionLook = isIdle ? nil : now.instant.advanced(byNanoseconds: Self.lookIntervalNanoseconds)
        for id in transactions.held.keys.sorted() {
            guard let held = transactions.held[id], held.isCommitted, held.committedAt == nil,
                now.instant >= held.recoverAt
            else { continue }
            transactions.held[id]?.recoverAt = now.instant.advanced(byNanoseconds: abandonedAfterNanoseconds)
            effects.abandoned.append(
                Abandoned(id: id, range: descriptor.id, kind: .prepared(anchor: held.preparation.anchor)))
        }
        transactions.decidedSince = transactions.decidedSince.filter { decided[$0.key] != nil }
        for id in decided.keys.sorted() {
            guard let transaction = decided[id] else { continue }
            guard let since = transactions.decidedSince[id] else {
                transactions.decidedSince[id] = now.instant
                continue
            }
            guard now.instant.nanoseconds(since: since) >= abandonedAfterNanoseconds else { continue }
            transactions.decidedSince[id] = now.instant
            effects.abandoned.append(Abandoned(id: id, range: descriptor.id, kind: .decided(transaction)))
        }
        serving?.transactions = transactions
        expireLocks(at: now, &effects)
    }
}
