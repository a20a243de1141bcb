import MeridianClock
import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianTransactions

/// A range's part in a transaction of several ranges: holding changes ready.
///
/// A prepare goes the way of a commit (latch, evaluate, propose, answer when the entry is committed and its timestamp
/// is past everywhere), with two differences. Its timestamp is the coordinator's candidate unless the range has served
/// or promised something above it. And its latches, those on what it has read included, stay until the transaction is
/// resolved: they are its locks. A new leaseholder takes them over from the replicated table before it serves anybody.
///
/// Deadlocks: every range may grant its locks in another order. An older transaction that has to wait for a younger one
/// wounds it (wound-wait): one that is not in the log yet is refused at once; of one that is, the coordinator is asked
/// to give it up, which it does unless it has decided. A younger one waits. A circle that leads through a request which
/// is no prepare (a coordinator's question about what was only read, a commit of one range) is not seen here; the
/// recovery of a transaction in it ends it (`Replica+Resolve.swift`).
extension Replica {
    mutating func begin(
        _ prepare: PrepareRequest, _ request: RangeRequest, _ address: ReplyAddress, at now: Moment,
        _ effects: inout StepEffects
    ) {
        guard prepare.mutations.allSatisfy({ descriptor.span.contains($0.key) }) else {
            effects.reply(.failed(elsewhere), to: address, range: descriptor.id)
            return
        }
        // As with commits: a first attempt that was meant for another leadership is late.
        if let term = request.freshIn, term != raft.term {
            effects.reply(notLeaseholder, to: address, range: descriptor.id)
            return
        }
        if let refusal = refusal(of: generation(in: prepare.preparation.participants)) {
            effects.reply(refusal, to: address, range: descriptor.id)
            return
        }
        guard let transactions = serving?.transactions else { return }
        let id = prepare.id
        if let held = transactions.held[id] {
            serving?.transactions.held[id]?.coordinator = address.node
            if held.isCommitted, now.clock.earliest > held.timestamp {
                effects.reply(prepared(held), to: address, range: descriptor.id)
            } else if held.isCommitted {
                // The answer to the first asking is on its way; this one asks again.
                effects.reply(.unknown, to: address, range: descriptor.id)
            } else {
                serving?.transactions.held[id]?.waiting.append(address)
            }
            return
        }
        if transactions.preparing[id] != nil {
            serving?.transactions.preparing[id]?.addresses.append(address)
            return
        }
        if transactions.forbidden.contains(id) || transactions.resolving[id] != nil {
            effects.reply(.failed(Self.givenUp), to: address, range: descriptor.id)
            return
        }
        if let body = otherAttempt(of: id.request) {
            effects.reply(body, to: address, range: descriptor.id)
            return
        }
        if let error = refusalOfCandidate(prepare.preparation.candidate, at: now) {
            effects.reply(.failed(error), to: address, range: descriptor.id)
            return
        }
        let isAdmitted = isAdmitted(
            request, from: address.node, id.request, prepare.preparation.priority,
            Self.lockClaim(prepare.mutations, prepare.preconditions), at: now, &effects)
        guard isAdmitted else { return }
        let (shared, spans) = Self.claims(of: prepare.preconditions)
        guard
            let (ticket, isGranted) = serving?.latches.acquire(
                exclusive: prepare.mutations.lazy.map(\.key), shared: shared, spans: spans)
        else { return }
        serving?.requests[ticket] = .init(address: address, arrival: now.instant, body: .prepare(prepare))
        serving?.transactions.preparing[id] = .init(
            ticket: ticket, request: prepare, coordinator: address.node, addresses: [address])
        if isGranted || Planted.isOn(.latchIgnored) {
            grant([ticket], at: now, &effects)
        } else {
            woundYounger(than: prepare.preparation.priority, [ticket], at: now, &effects)
        }
    }

    private func generation(in participants: [Participant]) -> Generation {
        participants.first { $0.range == descriptor.id }?.generation ?? .first
    }

    /// What to answer to a request about a transaction that means another history of the range than this one.
    func refusal(of generation: Generation) -> RangeReply.Body? {
        let own = raft.term.generation
        if own == generation || Planted.isOn(.historiesMixed) { return nil }
        // One that has been given up itself knows less than who asks.
        return own < generation ? notLeaseholder : .failed(Self.superseded)
    }

    static var superseded: MeridianError {
        MeridianError(
            .conflict, "the rows have failed over since the transaction began; run it again", retry: .immediately)
    }

    /// What to answer because another attempt of the same request is open here: there must be only one, or the request
    /// could be done twice.
    func otherAttempt(of request: RequestID) -> RangeReply.Body? {
        guard let serving, !Planted.isOn(.laterAttemptIgnoresFirst) else { return nil }
        if serving.commitsByRequest[request] != nil { return .unknown }
        let transactions = serving.transactions
        if transactions.held.isEmpty, transactions.preparing.isEmpty { return nil }
        if let other = transactions.held.keys.filter({ $0.request == request }).min(),
            let held = transactions.held[other]
        {
            // One that has committed is remembered as soon as its rows are applied.
            return held.committedAt == nil ? .inDoubt(other, held.preparation.participants) : .unknown
        }
        guard let other = transactions.preparing.keys.filter({ $0.request == request }).min(),
            let preparing = transactions.preparing[other]
        else { return nil }
        return .inDoubt(other, preparing.request.preparation.participants)
    }

    /// A coordinator whose clock is far from this one's, or that asked long ago: what is remembered of requests does
    /// not reach back for ever, so what is late must not be taken up.
    private func refusalOfCandidate(_ candidate: Timestamp, at now: Moment) -> MeridianError? {
        guard now.clock.isKnown else {
            return MeridianError(
                .unavailable, "\(node) has no usable clock, so it can give no timestamp; retry",
                retry: .after(.seconds(1)))
        }
        if candidate > now.clock.latest.advanced(byNanoseconds: Self.maximumLeadNanoseconds) {
            return MeridianError(
                .unavailable, "the gateway's clock runs far ahead of \(node)'s; check both clocks",
                retry: .after(.seconds(1)))
        }
        if candidate < now.clock.earliest.advanced(byNanoseconds: -Self.maximumAgeNanoseconds) {
            return MeridianError(
                .conflict, "the transaction was too long on its way; run it again", retry: .immediately)
        }
        return nil
    }

    /// A candidate lies ahead by the time that a message takes to the farthest participant.
    private static var maximumLeadNanoseconds: Int64 { 2_000_000_000 }
    /// Half of the time for which requests are remembered (`RequestMemory`).
    static var maximumAgeNanoseconds: Int64 { 30_000_000_000 }

    private static var givenUp: MeridianError {
        MeridianError(.conflict, "this attempt was given up; run the transaction again", retry: .immediately)
    }

    /// The preconditions hold: the changes go into the log.
    mutating func propose(
        _ prepare: PrepareRequest, _ ticket: Latches.Ticket, arrival: Instant, at now: Moment,
        _ effects: inout StepEffects
    ) {
        guard let preparing = serving?.transactions.preparing.removeValue(forKey: prepare.id) else { return }
        let floor = Planted.isOn(.prepareBelowReads) ? .zero : allocator.bound.next
        let timestamp = max(prepare.preparation.candidate, floor)
        var preparation = prepare.preparation
        (preparation.keys, preparation.spans) = Self.claims(of: prepare.preconditions)
        let proposal = nextProposal
        nextProposal += 1
        serving?.requests[ticket] = nil
        serving?.commits[proposal] = ProposedCommit(
            request: prepare.id.request, ticket: ticket, timestamp: timestamp, arrival: arrival,
            proposed: now.instant, purpose: .prepare(prepare.id))
        serving?.transactions.held[prepare.id] = .init(
            ticket: ticket, timestamp: timestamp, preparation: preparation, coordinator: preparing.coordinator,
            isCommitted: false, promised: Ballot(of: preparation.participants), waiting: preparing.addresses,
            recoverAt: now.instant.advanced(byNanoseconds: abandonedAfterNanoseconds))
        noteTransactionLook(at: now)
        let command = Command(
            request: prepare.id.request, timestamp: timestamp, closed: closableByStep(at: now),
            mutations: prepare.mutations,
            step: CommitStep(attempt: prepare.id.attempt, kind: .prepare(preparation)))
        raft.receive(
            .propose([Proposal(id: ProposalID(rawValue: proposal), payload: .command(command))]), at: now)
        // From here on the latches hold it.
        unlock(prepare.id.request, at: now, &effects)
    }

    /// The prepare entry is committed. Whoever asks how the transaction stands hears it now; the coordinator when the
    /// timestamp is past.
    mutating func prepared(_ id: TransactionID, at now: Moment, _ effects: inout StepEffects) -> [ReplyAddress] {
        guard var held = serving?.transactions.held[id] else { return [] }
        held.isCommitted = true
        let (waiting, asking) = (held.waiting, held.asking)
        held.asking = []
        held.waiting = []
        serving?.transactions.held[id] = held
        for asked in asking { begin(asked.request, asked.address, at: now, &effects) }
        if Planted.isOn(.preparedReadable) { release(held.ticket, at: now, &effects) }
        return waiting
    }

    func prepared(_ held: TransactionsHeld.Held) -> RangeReply.Body {
        .prepared(
            CommitResult(timestamp: held.timestamp, term: raft.term), candidate: held.preparation.candidate)
    }

    /// The prepare entry is in no log, and will not be.
    mutating func notPrepared(
        _ id: TransactionID, _ body: RangeReply.Body, at now: Moment, _ effects: inout StepEffects
    ) {
        guard let held = serving?.transactions.held.removeValue(forKey: id) else { return }
        for address in held.waiting { effects.reply(body, to: address, range: descriptor.id) }
        release(held.ticket, at: now, &effects)
        for asked in held.asking { begin(asked.request, asked.address, at: now, &effects) }
    }

    /// The transaction cannot be prepared here.
    mutating func fail(
        _ prepare: PrepareRequest, _ ticket: Latches.Ticket, _ body: RangeReply.Body, at now: Moment,
        _ effects: inout StepEffects
    ) {
        // It can have been refused already, by what its release of a lock has led to.
        guard let preparing = serving?.transactions.preparing.removeValue(forKey: prepare.id) else { return }
        serving?.requests[ticket] = nil
        for address in preparing.addresses { effects.reply(body, to: address, range: descriptor.id) }
        release(ticket, at: now, &effects)
    }

    // MARK: Wound-wait

    /// Wounds the younger ones among the transactions that an older one would have to wait for.
    mutating func woundYounger(
        than priority: TransactionPriority, _ tickets: Set<Latches.Ticket>, at now: Moment,
        _ effects: inout StepEffects
    ) {
        guard let serving, !tickets.isEmpty else { return }
        // Also those that it waits for through others, which are of no transaction and wait for nobody elsewhere.
        let tickets = serving.latches.withPredecessors(tickets)
        let held = serving.transactions.held.filter { tickets.contains($0.value.ticket) }
        for (id, transaction) in held.sorted(by: { $0.key < $1.key })
        where priority < transaction.preparation.priority {
            if let coordinator = transaction.coordinator { effects.wound(id, coordinator: coordinator) }
        }
        let preparing = serving.transactions.preparing.filter { tickets.contains($0.value.ticket) }
        for (_, transaction) in preparing.sorted(by: { $0.key < $1.key })
        where priority < transaction.request.preparation.priority {
            fail(transaction.request, transaction.ticket, .failed(Self.wounded), at: now, &effects)
        }
    }

    private static var wounded: MeridianError {
        MeridianError(.conflict, "an older transaction wants the same rows; run it again", retry: .immediately)
    }

    // MARK: A new leadership

    /// Takes over what earlier leaseholders have prepared. Everything up to here is applied.
    mutating func takeOverPrepared(at now: Moment) {
        guard !dispatched.transactions.isEmpty, !Planted.isOn(.preparedForgottenByLeader) else { return }
        for id in dispatched.transactions.prepared.keys.sorted() {
            guard let transaction = dispatched.transactions.prepared[id] else { continue }
            let acquired = serving?.latches.acquire(
                exclusive: transaction.mutations.lazy.map(\.key), shared: transaction.preparation.keys,
                spans: transaction.preparation.spans)
            guard let (ticket, isGranted) = acquired else { return }
            precondition(isGranted, "\(descriptor.id) has prepared two transactions on one key")
            serving?.transactions.held[id] = .init(
                ticket: ticket, timestamp: transaction.timestamp, preparation: transaction.preparation,
                isCommitted: true, promised: transaction.promised,
                recoverAt: now.instant.advanced(byNanoseconds: abandonedAfterNanoseconds))
        }
        noteTransactionLook(at: now)
    }

    static func lockClaim(_ mutations: [Mutation], _ preconditions: [Precondition]) -> LockTable.Claim {
        let (keys, spans) = claims(of: preconditions)
        return LockTable.Claim(exclusive: mutations.map(\.key), shared: keys, spans: spans)
    }

    /// Keys and spans that stay as they are until the request is over.
    static func claims(of preconditions: [Precondition]) -> (keys: [Key], spans: [KeySpan]) {
        var keys: [Key] = []
        var spans: [KeySpan] = []
        for precondition in preconditions {
            switch precondition {
            case .absent(let key), .present(let key), .unchanged(let key, _): keys.append(key)
            case .unchangedSpan(let span, _): spans.append(span)
            }
        }
        return (keys, spans)
    }
}
