import MeridianCore
import MeridianPlacement
import MeridianTransactions

/// The client's side of a node: finds each range's leaseholder, asks again where that is safe, and gives every call
/// exactly one answer by its deadline.
///
/// Asking again is safe because a commit carries its client's id: the first attempt may be taken for new, every later
/// one is looked up. The gateway keeps account of attempts that nobody answered, so that a call that ends without an
/// answer says whether its commit can have happened.
struct Gateway: Sendable {
    /// Who waits for a call's end.
    enum Owner: Hashable, Sendable {
        case client
        case coordinator(TransactionID)
        case recovery(TransactionID, UInt64)
    }

    struct Call: Sendable {
        var body: RangeRequest.Body
        var range: RangeID
        var owner = Owner.client
        var arrival: Instant
        var deadline: Instant
        var attempts = 0
        var sentTo: NodeID?
        /// When to ask again without having heard.
        var retryAt: Instant
        /// An attempt is out, and its outcome is open.
        var isOutstanding = false
        /// Answers in a row that sent the call elsewhere.
        var redirects = 0
        /// An earlier attempt, of this call or of one before it, may have committed or may still do so.
        var mayHaveCommitted: Bool
        var isFirstAttempt: Bool
        /// The attempt could be taken up in the leadership alone that it was meant for.
        var wasBoundToTerm = false

        /// Something that was asked before the last answer can be taken up after it, or was, by a leadership that is
        /// lost.
        var mayStillHappen: Bool { attempts > 1 || !wasBoundToTerm || mayHaveCommitted }

        /// Any replica may serve it.
        var isLocalRead: Bool { if case .read(let read) = body { read.isLocal } else { false } }
    }

    struct Leaseholder: Sendable {
        var node: NodeID
        var term: Term
    }

    var calls: [GatewayRequestID: Call] = [:]
    /// Transactions over ranges that the catalog does not have yet: they are begun when it does.
    var held: [GatewayCall] = []
    /// Who has led each range when it was last heard of; it need not live any more.
    var leaseholders: [RangeID: Leaseholder] = [:]
    /// When the calls are looked through for retries and deadlines: not after the first of them is due. Most calls end
    /// long before either, so a timer for each would cost more than the look at those that are left.
    private(set) var nextRound: Instant = .distantFuture
    private var lastRound: Instant = .zero

    /// Rounds are at least this far apart.
    private static let roundNanoseconds: Int64 = 10_000_000

    var nextDeadline: Instant? { calls.isEmpty && held.isEmpty ? nil : nextRound }

    /// A call is to be looked at by then.
    mutating func noteAlarm(at instant: Instant) {
        nextRound = min(nextRound, max(instant, lastRound.advanced(byNanoseconds: Self.roundNanoseconds)))
    }

    mutating func hold(_ call: GatewayCall, at now: Instant) {
        held.append(call)
        noteAlarm(at: now.advanced(byNanoseconds: Self.roundNanoseconds))
    }

    /// Begins a round, if one is due.
    /// - Returns: the calls whose time is up or that wait too long, in the order of their ids.
    mutating func callsDue(at now: Instant) -> [(key: GatewayRequestID, value: Call)] {
        guard now >= nextRound else { return [] }
        lastRound = now
        nextRound = .distantFuture
        var due: [(key: GatewayRequestID, value: Call)] = []
        for (id, call) in calls {
            let alarm = min(call.retryAt, call.deadline)
            if alarm <= now { due.append((id, call)) }
            noteAlarm(at: alarm)
        }
        return due.sorted { $0.key < $1.key }
    }

    /// Notes who leads, if the news is not older than what is known.
    mutating func learn(_ node: NodeID, leads range: RangeID, in term: Term) {
        if let known = leaseholders[range], known.term > term { return }
        leaseholders[range] = Leaseholder(node: node, term: term)
    }
}

extension NodeCore {
    mutating func call(_ call: GatewayCall, at now: Moment, _ effects: inout StepEffects) {
        switch call.body {
        case .request(.read(let read)) where read.freshness != nil:
            if let question = read.freshness { answer(question, call.id, at: now, &effects) }
        case .request(let body):
            begin(
                Gateway.Call(
                    body: body, range: call.range, arrival: now.instant, deadline: call.deadline,
                    retryAt: .distantFuture, mayHaveCommitted: call.mayBeRepeated,
                    isFirstAttempt: !call.mayBeRepeated),
                call.id, at: now, &effects)
        case .transaction(let request): coordinate(request, for: call, at: now, &effects)
        }
    }

    mutating func begin(
        _ call: Gateway.Call, _ id: GatewayRequestID, at now: Moment, _ effects: inout StepEffects
    ) {
        precondition(gateway.calls[id] == nil, "gateway call \(id.rawValue) twice")
        gateway.calls[id] = call
        gateway.noteAlarm(at: call.deadline)
        attempt(id, at: now, &effects)
    }

    /// Sends a call to the replica that most likely leads.
    private mutating func attempt(_ id: GatewayRequestID, at now: Moment, _ effects: inout StepEffects) {
        guard var call = gateway.calls[id] else { return }
        guard let range = catalog.directory[call.range] else {
            // The client knows of a table whose record has not been applied here yet.
            retry(id, afterNanoseconds: Self.backOffNanoseconds, at: now)
            return
        }
        let known = gateway.leaseholders[call.range]
        if range.isGivenUp {
            let error = MeridianError(
                .unavailable, "\(place(of: call.range)): they were given up with their home region, for good")
            return finish(id, .failed(error), .failed(error), at: now, &effects)
        }
        var target = chooseTarget(range, known: known, call: call, at: now)
        if case .read(var read) = call.body, read.isLocal {
            let replica = nearestReplica(range, known: known)
            read.patienceNanoseconds = replica?.patience
            call.body = .read(read)
            if let replica { target = replica.node }
        }
        // Only a first attempt, sent to a leader whose term is known, can be taken for new.
        let isFirst = call.isFirstAttempt && call.attempts == 0 || Planted.isOn(.retryTakenForFirst)
        let freshIn = isFirst && known?.node == target ? known?.term : nil
        call.attempts += 1
        call.sentTo = target
        call.isOutstanding = true
        call.wasBoundToTerm = freshIn != nil
        let roundTrip = roundTripNanoseconds(to: target)
        call.retryAt = now.instant.advanced(byNanoseconds: configuration.electionTimeoutNanoseconds + 2 * roundTrip)
        gateway.calls[id] = call
        gateway.noteAlarm(at: call.retryAt)
        let request = RangeRequest(
            id: id, range: call.range, body: call.body, freshIn: freshIn, attempt: call.attempts)
        if target == configuration.node {
            receive(request, from: target, at: now, &effects)
        } else {
            effects.send(.request(request), to: target)
        }
    }

    /// The known leaseholder first, then those who should lead, the live before the silent. Where all are silent, who
    /// has led the range before they were is asked first: the link that comes back finds the call on its way there.
    private func chooseTarget(
        _ range: RangeDescriptor, known: Gateway.Leaseholder?, call: Gateway.Call, at now: Moment
    ) -> NodeID {
        if case .status(of: let node?) = call.body { return node }
        if let known, call.redirects <= 2, known.node != call.sentTo || call.redirects > 0,
            mayAnswer(known.node, at: now)
        {
            return known.node
        }
        let alive = range.preferredLeaders.filter { isAlive($0) }
        if alive.isEmpty, call.attempts == 0, let known { return known.node }
        let candidates = alive.isEmpty ? range.preferredLeaders : alive
        return candidates[call.attempts % candidates.count]
    }

    private func mayAnswer(_ node: NodeID, at now: Moment) -> Bool {
        isAlive(node) || peers.isReturning(node, at: now.instant)
    }

    mutating func receive(_ reply: RangeReply, from sender: NodeID, at now: Moment, _ effects: inout StepEffects) {
        guard var call = gateway.calls[reply.id] else { return }
        switch reply.body {
        case .committed(let result):
            gateway.learn(sender, leads: reply.range, in: result.term)
            let total = now.instant.nanoseconds(since: call.arrival)
            let route = max(0, total - result.leaseholderNanoseconds)
            finish(reply.id, reply.body, .committed(result, routeNanoseconds: route), at: now, &effects)
        case .read(let result):
            if result.term > .zero { gateway.learn(sender, leads: reply.range, in: result.term) }
            finish(reply.id, reply.body, .read(result), at: now, &effects)
        case .prepared(let result, _):
            gateway.learn(sender, leads: reply.range, in: result.term)
            finish(reply.id, reply.body, nil, at: now, &effects)
        case .inDoubt:
            finish(reply.id, reply.body, nil, at: now, &effects)
        case .transactions(let transactions):
            finish(reply.id, reply.body, .transactions(transactions), at: now, &effects)
        case .status(let status):
            finish(reply.id, reply.body, .status(status), at: now, &effects)
        case .transferStarted, .locked, .unlocked, .standing:
            finish(reply.id, reply.body, .done, at: now, &effects)
        case .failed(let error):
            if call.mayHaveCommitted, case .commit = call.body {
                var uncertain = error
                uncertain.commitOutcome = .unknown
                finish(reply.id, reply.body, .failed(uncertain), at: now, &effects)
            } else {
                finish(reply.id, reply.body, .failed(error), at: now, &effects)
            }
        case .unknown:
            call.mayHaveCommitted = true
            call.isOutstanding = false
            gateway.calls[reply.id] = call
            retry(reply.id, afterNanoseconds: Self.backOffNanoseconds, at: now)
        case .notLeaseholder(let leader, let term):
            guard call.sentTo == sender, reply.attempt == call.attempts else { return }
            if call.isLocalRead {
                if let leader { gateway.learn(leader, leads: reply.range, in: term) }
                askLeaseholder(reply.id)
                attempt(reply.id, at: now, &effects)
                return
            }
            call.isOutstanding = false
            call.redirects += 1
            if let known = gateway.leaseholders[reply.range], known.node == sender, known.term <= term {
                gateway.leaseholders[reply.range] = nil
            }
            if let leader { gateway.learn(leader, leads: reply.range, in: term) }
            gateway.calls[reply.id] = call
            if let leader, leader != sender, call.redirects <= 2, mayAnswer(leader, at: now) {
                attempt(reply.id, at: now, &effects)
            } else {
                gateway.calls[reply.id]?.redirects = 0
                retry(reply.id, afterNanoseconds: Self.backOffNanoseconds, at: now)
            }
        }
    }

    private mutating func retry(_ id: GatewayRequestID, afterNanoseconds delay: Int64, at now: Moment) {
        let alarm = now.instant.advanced(byNanoseconds: delay)
        gateway.calls[id]?.retryAt = alarm
        gateway.noteAlarm(at: alarm)
    }

    private static var backOffNanoseconds: Int64 { 10_000_000 }

    /// Ends calls whose time is up and asks again for those that wait too long.
    mutating func ringAlarms(at now: Moment, _ effects: inout StepEffects) {
        if now.instant >= gateway.nextRound { beginHeld(at: now, &effects) }
        for (id, call) in gateway.callsDue(at: now.instant) {
            if now.instant >= call.deadline {
                expire(id, call, at: now, &effects)
            } else {
                retryNow(id, at: now, &effects)
            }
        }
    }

    private mutating func beginHeld(at now: Moment, _ effects: inout StepEffects) {
        let held = gateway.held
        gateway.held = []
        for call in held {
            guard now.instant >= call.deadline else { self.call(call, at: now, &effects); continue }
            let error = MeridianError(
                .deadlineExceeded,
                "\(configuration.node) has not heard of a range of the transaction; nothing was committed, try again",
                retry: .after(.seconds(1)), commitOutcome: call.mayBeRepeated ? .unknown : .notCommitted)
            effects.node.answers.append(GatewayAnswer(id: call.id, body: .failed(error)))
        }
    }

    private mutating func retryNow(_ id: GatewayRequestID, at now: Moment, _ effects: inout StepEffects) {
        guard let call = gateway.calls[id] else { return }
        if call.isOutstanding {
            gateway.calls[id]?.mayHaveCommitted = true
            if call.isLocalRead { askLeaseholder(id) }
        }
        attempt(id, at: now, &effects)
    }

    /// Calls that wait for a node that has fallen silent ask elsewhere at once.
    mutating func abandon(_ peer: NodeID, at now: Moment, _ effects: inout StepEffects) {
        let waiting = gateway.calls.filter { $0.value.isOutstanding && $0.value.sentTo == peer }.keys.sorted()
        for id in waiting { retryNow(id, at: now, &effects) }
    }

    private func place(of range: RangeID) -> String {
        let name = catalog.directory[range].flatMap { catalog[$0.table]?.descriptor.name } ?? "system"
        return "table \(name), rows of \(catalog.directory[range]?.home.rawValue ?? "?")"
    }

    private mutating func expire(
        _ id: GatewayRequestID, _ call: Gateway.Call, at now: Moment, _ effects: inout StepEffects
    ) {
        let message = "\(place(of: call.range)): no quorum answered before the deadline"
        let isOpen = (call.isOutstanding || call.mayHaveCommitted) && !Planted.isOn(.unknownReportedFailed)
        guard case .commit = call.body, isOpen else {
            let error = MeridianError(
                .deadlineExceeded, message + "; nothing was committed, try again", retry: .after(.seconds(1)))
            // Of a transaction, what was asked can still be on its way, or in a log: a frame that comes twice can be
            // taken up the first time, and refused the second time by those who have lost the leadership meanwhile.
            gateway.calls[id]?.wasBoundToTerm = false
            finish(id, .failed(error), .failed(error), at: now, &effects)
            return
        }
        let error = MeridianError(
            .commitStatusUnknown,
            message + "; the commit can have happened: ask again with the same request id, which tells",
            retry: .after(.seconds(1)), commitOutcome: .unknown)
        finish(id, .failed(error), .failed(error), at: now, &effects)
    }

    /// - Parameters:
    ///   - reply: how the range has answered.
    ///   - answer: what a client is told.
    private mutating func finish(
        _ id: GatewayRequestID, _ reply: RangeReply.Body, _ answer: GatewayAnswer.Body?, at now: Moment,
        _ effects: inout StepEffects
    ) {
        guard let call = gateway.calls.removeValue(forKey: id) else { return }
        guard call.owner == .client else { return ended(call, reply, at: now, &effects) }
        guard let answer else { preconditionFailure("\(call.range) answered a client with what only gateways ask") }
        effects.node.answers.append(GatewayAnswer(id: id, body: answer))
    }
}
