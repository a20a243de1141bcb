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
        if let refusal = refusal(of: request.generation) {
            effects.reply(refusal, to: address, range: descriptor.id)
            return
        }
        guard let transactions = serving?.transactions else { return }
        let id = request.id
        if request.resolution == .forget { return forget(id, address, at: now, &effects) }
        if let decided = dispatched.transactions.decided[id] {
            effects.reply(.standing(.committed(decided.timestamp)), to: address, range: descriptor.id)
            return
        }
        if dispatched.transactions.undone[id] != nil {
            effects.reply(.standing(.aborted), to: address, range: descriptor.id)
            return
        }
        if transactions.resolving[id] != nil {
            serving?.transactions.resolving[id]?.waiting.append(.init(request: request, address: address))
            return
        }
        guard let held = transactions.held[id] else {
            return beginUnknown(request, address, at: now, &effects)
        }
        if let timestamp = held.committedAt {
            effects.reply(.standing(.committed(timestamp)), to: address, range: descriptor.id)
            return
        }
        guard request.ballot >= held.promised || Planted.isOn(.promiseIgnored) else {
            effects.reply(.failed(Self.superseded), to: address, range: descriptor.id)
            return
        }
        switch request.resolution {
        case .commit(let timestamp): resolve(request, at: timestamp, address, now, &effects)
        case .abort, .forbid, .undo: forbid(request, address, at: now, &effects)
        case .query where !held.isCommitted:
            serving?.transactions.held[id]?.asking.append(.init(request: request, address: address))
        case .query where request.ballot > held.promised:
            resolve(request, at: nil, address, now, &effects)
        case .query:
            let standing = Standing.prepared(at: held.timestamp, held.preparation.withoutKeys)
            effects.reply(.standing(standing), to: address, range: descriptor.id)
        case .forget: preconditionFailure("handled above")
        }
    }

    /// Notes that the log need not keep a transaction any more. It says so with the next look (`lookForAbandoned`), for
    /// all at once; if this leadership ends before, the next one finds out again.
    private mutating func forget(
        _ id: TransactionID, _ address: ReplyAddress, at now: Moment, _ effects: inout StepEffects
    ) {
        effects.reply(.standing(.over), to: address, range: descriptor.id)
        let table = dispatched.transactions
        guard table.decided[id] != nil || table.undone[id] != nil else { return }
        serving?.transactions.forgettable.insert(id)
        noteTransactionLook(at: now)
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
        case .forget: preconditionFailure("handled before")
        case .commit, .forbid, .undo, .query:
            // It may have been committed and forgotten, which the rows' memory of requests tells.
            giveUp(id, at: now, &effects)
            let none = EmptyCollection<Key>()
            guard let (ticket, _) = serving?.latches.acquire(exclusive: none, shared: none) else { return }
            serving?.requests[ticket] = .init(address: address, arrival: now.instant, body: .resolve(request))
            grant([ticket], at: now, &effects)
        }
    }

    /// The rows' memory has been asked whether the transaction was committed here.
    mutating func lookedUp(
        _ request: ResolveRequest, _ outcome: EvaluationResult.Outcome, _ address: ReplyAddress, at now: Moment,
        _ effects: inout StepEffects
    ) {
        let transactions = serving?.transactions
        switch outcome {
        case .alreadyApplied(let applied):
            effects.reply(.standing(.committed(applied.timestamp)), to: address, range: descriptor.id)
        case .failed(let error): effects.reply(.failed(error), to: address, range: descriptor.id)
        case .wasAborted where !request.decidesAnew(in: descriptor.id) || request.resolution == .query:
            // Once is enough: which of two aborts is remembered could differ from replica to replica.
            effects.reply(.standing(.aborted), to: address, range: descriptor.id)
        case .wasAborted, .mayCommit, .pages:
            if transactions?.held[request.id] != nil || transactions?.resolving[request.id] != nil {
                // It has come in the meantime.
                return begin(request, address, at: now, &effects)
            }
            switch request.resolution {
            case .commit(let timestamp) where request.decidesAnew(in: descriptor.id):
                resolve(request, at: timestamp, address, now, &effects)
            case .commit:
                // It has been taken in already, or aborted.
                effects.reply(.standing(.over), to: address, range: descriptor.id)
            case .abort, .forbid, .undo, .query, .forget:
                giveUp(request.id, at: now, &effects)
                forbid(request, address, at: now, &effects)
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
        _ request: ResolveRequest, _ address: ReplyAddress, at now: Moment, _ effects: inout StepEffects
    ) {
        // Its time says how long it is remembered.
        guard let timestamp = allocator.assign(at: now.clock) else {
            let error = MeridianError(
                .unavailable, "\(node) has no usable clock, so it can give no timestamp; retry",
                retry: .after(.seconds(1)))
            effects.reply(.failed(error), to: address, range: descriptor.id)
            return
        }
        resolve(request, at: timestamp, address, now, &effects)
    }

    /// Puts into the log what a transaction has come to here, or what it promises.
    private mutating func resolve(
        _ request: ResolveRequest, at timestamp: Timestamp?, _ address: ReplyAddress, _ now: Moment,
        _ effects: inout StepEffects
    ) {
        let id = request.id
        let held = serving?.transactions.held[id]
        let kind: CommitStep.Kind
        switch request.resolution {
        case .commit: kind = held == nil ? .adopt(request.participants) : .commit
        case .query where held != nil: kind = .promise(request.ballot)
        case .undo(let mayBeAcknowledged):
            let candidate = held?.preparation.candidate ?? timestamp ?? .zero
            kind = .undo(
                .init(
                    participants: request.participants, candidate: candidate, mayBeAcknowledged: mayBeAcknowledged))
        case .abort, .forbid, .query: kind = .abort
        case .forget: preconditionFailure("it is said for many at once")
        }
        if let timestamp {
            // What comes later on these keys lies above it.
            allocator.raiseFloor(timestamp)
            raft.noteTimestamp(timestamp)
        }
        let timestamp = timestamp ?? allocator.bound.next
        let proposal = nextProposal
        nextProposal += 1
        var isPromise = false
        if case .promise = kind { isPromise = true }
        serving?.transactions.resolving[id] = .init(
            request: request, isPromise: isPromise, waiting: [.init(request: request, address: address)])
        serving?.commits[proposal] = ProposedCommit(
            request: id.request, ticket: nil, timestamp: timestamp, arrival: now.instant, proposed: now.instant,
            purpose: .resolve(id))
        propose(CommitStep(attempt: id.attempt, kind: kind), id.request, proposal, at: timestamp, now)
    }

    private mutating func propose(
        _ step: CommitStep, _ request: RequestID, _ proposal: UInt64, at timestamp: Timestamp, _ now: Moment
    ) {
        let command = Command(
            request: request, timestamp: timestamp, closed: closableByStep(at: now), mutations: [], step: step)
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
        if resolving.isPromise {
            serving?.transactions.held[id]?.promised = resolving.request.ballot
            for asked in resolving.waiting { begin(asked.request, asked.address, at: now, &effects) }
            return nil
        }
        var isCommit = false
        if case .commit = resolving.request.resolution { isCommit = true }
        let standing: Standing = isCommit ? .committed(commit.timestamp) : .aborted
        // That nothing was prepared here is no decision in a ballot after the first.
        let isRecorded = if case .undo = resolving.request.resolution { true } else { isCommit }
        var again: [TransactionsHeld.Asked] = []
        for asked in resolving.waiting {
            if !isRecorded, asked.request.resolution.isCommitOrUndo, asked.request.decidesAnew(in: descriptor.id) {
                again.append(asked)
            } else {
                effects.reply(.standing(standing), to: asked.address, range: descriptor.id)
            }
        }
        noteTransactionLook(at: now)
        // The rows' memory will know it too, but only when the entry is applied.
        if standing == .aborted { serving?.transactions.forbidden.insert(id, at: now.instant) }
        let held = serving?.transactions.held[id]
        if isCommit {
            serving?.transactions.held[id]?.committedAt = commit.timestamp
            return held?.ticket
        }
        if let held { letGo(id, held.ticket, at: now, &effects) }
        for asked in again { begin(asked.request, asked.address, at: now, &effects) }
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
        for asked in resolving.waiting { effects.reply(body, to: asked.address, range: descriptor.id) }
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
        forgetWhatAllKnow(&transactions, at: now)
        let origin = Participant(descriptor.id, in: raft.term.generation)
        let isIdle = transactions.held.isEmpty && decided.isEmpty && serving?.locks.isEmpty == true
        nextTransactionLook = isIdle ? nil : now.instant.advanced(byNanoseconds: Self.lookIntervalNanoseconds)
        for id in transactions.held.keys.sorted() {
            guard let held = transactions.held[id], held.isCommitted, held.committedAt == nil,
                now.instant >= held.recoverAt
            else { continue }
            transactions.held[id]?.recoverAt = now.instant.advanced(byNanoseconds: abandonedAfterNanoseconds)
            effects.abandoned.append(
                Abandoned(id: id, origin: origin, kind: .prepared(held.preparation.participants)))
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
            effects.abandoned.append(Abandoned(id: id, origin: origin, kind: .decided(transaction)))
        }
        serving?.transactions = transactions
        expireLocks(at: now, &effects)
    }

    private mutating func forgetWhatAllKnow(_ transactions: inout TransactionsHeld, at now: Moment) {
        let table = dispatched.transactions
        let ids = transactions.forgettable.filter { table.decided[$0] != nil || table.undone[$0] != nil }.sorted()
        transactions.forgettable = []
        guard let first = ids.first else { return }
        let proposal = nextProposal
        nextProposal += 1
        propose(
            CommitStep(attempt: first.attempt, kind: .forget(ids)), first.request, proposal,
            at: allocator.bound.next, now)
    }

    /// What is not over here, for people.
    var openTransactions: [TransactionStatus] {
        let table = dispatched.transactions
        let prepared = table.prepared.values.map {
            TransactionStatus(
                id: $0.id, state: .prepared, timestamp: $0.timestamp, participants: $0.preparation.participants)
        }
        let decided = table.decided.values.map {
            TransactionStatus(id: $0.id, state: .committed, timestamp: $0.timestamp, participants: $0.participants)
        }
        let undone = table.undone.values.map {
            TransactionStatus(
                id: $0.id, state: .undone(mayBeAcknowledged: $0.cause.mayBeAcknowledged),
                timestamp: $0.cause.candidate, participants: $0.cause.participants)
        }
        return (prepared + decided + undone).sorted { $0.id < $1.id }
    }
}
