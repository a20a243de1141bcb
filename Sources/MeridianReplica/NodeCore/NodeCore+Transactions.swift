import MeridianClock
import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianTransactions

/// The transactions of several ranges that a node has to do with as a gateway: those that it coordinates for its
/// clients, and those that it brings to an end because nobody else does.
///
/// The decisions are `CommitCoordinator`'s and `Recovery`'s, which know nothing of leaseholders, terms and lost frames.
/// Whatever they want to say to a range goes by the gateway, which finds the leaseholder, asks again and gives up in
/// time. All of it is gone when the node stops; then others recover the transactions (`Replica+Resolve.swift`).
struct Transactions: Sendable {
    struct Coordinated: Sendable {
        var machine: CommitCoordinator
        var request: TransactionRequest
        var anchor: RangeID
        var candidate: Timestamp
        /// The calls that wait for the outcome.
        var clients: [GatewayRequestID]
        var mayBeRepeated: Bool
        var arrival: Instant
        var deadline: Instant
        /// The slowest participant's share of the time.
        var slowest: CommitResult?
        /// Names the calls to ranges.
        var names: SplitMix64
    }

    struct Recovered: Sendable {
        var machine: Recovery
        /// Tells the answers to it from those to an earlier recovery of the same transaction.
        var number: UInt64
        /// Coordinators that met the transaction in a range and wait for its end.
        var waiting: [(coordinator: TransactionID, range: RangeID)] = []
        var names: SplitMix64
    }

    var coordinated: [TransactionID: Coordinated] = [:]
    /// Answers whose timestamps are not past everywhere, by their tokens in `commitWait`.
    var unanswered: [UInt64: [GatewayAnswer]] = [:]
    var commitWait = CommitWait()
    var nextToken: UInt64 = 1
    var recovered: [TransactionID: Recovered] = [:]
    /// Attempts that clients want to have settled, by their calls.
    var settling: [GatewayRequestID: Settling] = [:]

    struct Settling: Sendable {
        var machine: Recovery
        var deadline: Instant
        var names: SplitMix64
        /// The client has been told.
        var isAnswered = false
    }
}

extension NodeCore {
    // MARK: Coordination

    mutating func coordinate(
        _ request: TransactionRequest, for call: GatewayCall, at now: Moment, _ effects: inout StepEffects
    ) {
        if transactions.coordinated[request.id] != nil {
            transactions.coordinated[request.id]?.clients.append(call.id)
            return
        }
        guard now.clock.isKnown else {
            let error = MeridianError(
                .unavailable, "\(configuration.node) has no usable clock, so it can give no timestamp; retry",
                retry: .after(.seconds(1)))
            effects.node.answers.append(GatewayAnswer(id: call.id, body: .failed(error)))
            return
        }
        guard let anchor = anchor(of: request) else { return gateway.hold(call, at: now.instant) }
        let candidate = now.clock.latest.advanced(byNanoseconds: leadNanoseconds(request.parts.map(\.range)))
        let machine = CommitCoordinator(
            id: request.id, anchor: anchor.range, writers: request.writers, readers: request.readers,
            candidate: candidate, mayBeRepeated: call.mayBeRepeated,
            acknowledgesDecided: request.acknowledgesDecided || !anchor.isAmongEqual)
        // A client that asks until its deadline leaves some of the time to find out what has become of it.
        transactions.coordinated[request.id] = Transactions.Coordinated(
            machine: machine, request: request, anchor: anchor.range, candidate: candidate,
            clients: [call.id], mayBeRepeated: call.mayBeRepeated, arrival: now.instant,
            deadline: min(call.deadline, now.instant.advanced(byNanoseconds: Self.coordinationNanoseconds)),
            names: SplitMix64(seed: call.id.rawValue ^ request.id.attempt))
        drive(request.id, at: now, &effects) { $0.begin() }
    }

    /// The range that decides: of those that are written the one that outlives most, and of equal ones the first
    /// written. Where all are equal, and none is a copy that commits by itself, what they have prepared together is as
    /// durable as what any of them could say.
    /// - Returns: `nil` when the catalog does not have all ranges yet: the client has seen a newer one.
    private func anchor(of request: TransactionRequest) -> (range: RangeID, isAmongEqual: Bool)? {
        var strengths: [RangeDurability] = []
        let writers = [request.first] + request.writers.filter { $0 != request.first }
        for range in writers {
            guard let strength = catalog.durability(of: range) else { return nil }
            strengths.append(strength)
        }
        guard let strongest = strengths.max(), let position = strengths.firstIndex(of: strongest) else { return nil }
        let isAmongEqual = strengths.count == 1 || strongest > .copy && strengths.allSatisfy { $0 == strongest }
        if Planted.isOn(.firstWrittenAnchors) { return (request.first, isAmongEqual) }
        return (writers[position], isAmongEqual || Planted.isOn(.unequalInOneRound))
    }

    /// What is remembered of requests and attempts must still be remembered when a coordinator asks for the last time.
    private static var coordinationNanoseconds: Int64 { 30_000_000_000 }

    /// How far ahead of the clock a candidate lies, in nanoseconds: as long as the farthest participant's prepare is on
    /// its way. It would have to be pushed there if anything was closed or read meanwhile, and the wait for it to pass
    /// is hidden behind the way back.
    private func leadNanoseconds(_ ranges: [RangeID]) -> Int64 {
        ranges.map { range in
            let leader = gateway.leaseholders[range]?.node ?? catalog.directory[range]?.preferredLeaders.first
            return leader.map { $0 == configuration.node ? 0 : roundTripNanoseconds(to: $0) / 2 } ?? 0
        }.max() ?? 0
    }

    /// Lets a coordinator take a step and does what it wants.
    private mutating func drive(
        _ id: TransactionID, at now: Moment, _ effects: inout StepEffects,
        _ step: (inout CommitCoordinator) -> [CommitCoordinator.Action]
    ) {
        guard var transaction = transactions.coordinated[id] else { return }
        let actions = step(&transaction.machine)
        transactions.coordinated[id] = transaction
        for action in actions { perform(action, of: id, at: now, &effects) }
        if transactions.coordinated[id]?.machine.isOver == true { transactions.coordinated[id] = nil }
    }

    private mutating func perform(
        _ action: CommitCoordinator.Action, of id: TransactionID, at now: Moment, _ effects: inout StepEffects
    ) {
        guard var transaction = transactions.coordinated[id] else { return }
        let name = GatewayRequestID(rawValue: transaction.names.next())
        transactions.coordinated[id] = transaction
        let left = transaction.deadline.nanoseconds(since: now.instant)
        switch action {
        case .prepare(let range):
            guard let part = transaction.request.parts.first(where: { $0.range == range }) else { return }
            let isStaging = range == transaction.anchor
            let preparation = CommitStep.Preparation(
                anchor: transaction.anchor, participants: isStaging ? transaction.request.writers : [],
                candidate: transaction.candidate, readsElsewhere: !transaction.request.readers.isEmpty,
                priority: transaction.request.priority)
            let prepare = PrepareRequest(
                id: id, preparation: preparation, preconditions: part.preconditions, mutations: part.mutations)
            ask(
                range, .prepare(prepare), name, for: .coordinator(id),
                until: now.instant.advanced(byNanoseconds: left - min(left / 4, 1_000_000_000)), at: now, &effects)
        case .confirm(let range, let timestamp):
            guard let part = transaction.request.parts.first(where: { $0.range == range }) else { return }
            let read = ReadRequest(
                confirming: part.preconditions, upTo: timestamp, priority: transaction.request.priority,
                mayBeRepeated: transaction.mayBeRepeated)
            ask(
                range, .read(read), name, for: .coordinator(id),
                until: now.instant.advanced(byNanoseconds: left - min(left / 4, 1_000_000_000)), at: now, &effects)
        case .resolve(let range, let resolution):
            // Off the client's path there is time; what is not done by then, the leaseholders see to.
            let end =
                transaction.clients.isEmpty
                ? now.instant.advanced(byNanoseconds: Self.resolutionNanoseconds) : transaction.deadline
            ask(
                range, .resolve(ResolveRequest(id: id, resolution: resolution)), name, for: .coordinator(id),
                until: end, at: now, &effects)
        case .finish(let outcome):
            transactions.coordinated[id]?.clients = []
            let total = now.instant.nanoseconds(since: transaction.arrival)
            let body = Self.answer(outcome, transaction.slowest, total)
            answer(transaction.clients.map { GatewayAnswer(id: $0, body: body) }, at: now, &effects)
        case .recover(let other, let anchor, let range):
            recover(other, anchor: anchor, metIn: range, at: now, &effects)
            if other != id { transactions.recovered[other]?.waiting.append((id, range)) }
        }
    }

    /// Answers clients, when the timestamp that they are told of is past everywhere. Mostly it is: every range has
    /// waited for its own. But what somebody else has committed the anchor tells at once.
    private mutating func answer(_ answers: [GatewayAnswer], at now: Moment, _ effects: inout StepEffects) {
        let timestamp: Timestamp? =
            switch answers.first?.body {
            case .committed(let result, _): result.timestamp
            case .settled(let timestamp): timestamp
            default: nil
            }
        guard let timestamp, now.clock.earliest <= timestamp else {
            effects.node.answers += answers
            return
        }
        let token = transactions.nextToken
        transactions.nextToken += 1
        transactions.unanswered[token] = answers
        transactions.commitWait.insert(timestamp, token)
    }

    mutating func endTransactionWaits(at now: Moment, _ effects: inout StepEffects) {
        for token in transactions.commitWait.ready(at: now.clock) {
            effects.node.answers += transactions.unanswered.removeValue(forKey: token) ?? []
        }
    }

    private static var resolutionNanoseconds: Int64 { 5_000_000_000 }

    private static func answer(
        _ outcome: CommitCoordinator.Outcome, _ slowest: CommitResult?, _ totalNanoseconds: Int64
    ) -> GatewayAnswer.Body {
        switch outcome {
        case .committed(let timestamp), .committedBefore(let timestamp):
            var result = slowest ?? CommitResult(timestamp: timestamp, term: .zero)
            result.timestamp = timestamp
            if case .committedBefore = outcome { result.wasApplied = true }
            return .committed(
                result, routeNanoseconds: max(0, totalNanoseconds - result.leaseholderNanoseconds))
        case .failed(let error): return .failed(error)
        }
    }

    /// An older transaction waits for one that this node coordinates.
    mutating func wound(_ id: TransactionID, at now: Moment, _ effects: inout StepEffects) {
        drive(id, at: now, &effects) { $0.wound() }
    }

    // MARK: Settling

    /// A client wants to know what has become of an attempt of its own. It is recovered as any other that was met, and
    /// the client is told what the anchor's log has decided.
    mutating func settle(
        _ id: TransactionID, for call: GatewayCall, at now: Moment, _ effects: inout StepEffects
    ) {
        transactions.settling[call.id] = Transactions.Settling(
            machine: Recovery(id: id, anchor: call.range, metIn: call.range), deadline: call.deadline,
            names: SplitMix64(seed: call.id.rawValue ^ id.attempt))
        driveSettling(call.id, at: now, &effects) { $0.begin() }
    }

    private mutating func driveSettling(
        _ call: GatewayRequestID, at now: Moment, _ effects: inout StepEffects,
        _ step: (inout Recovery) -> [Recovery.Action]
    ) {
        guard var settling = transactions.settling[call] else { return }
        let actions = step(&settling.machine)
        // What follows the decision is not what the client waits for.
        let end =
            settling.isAnswered ? now.instant.advanced(byNanoseconds: Self.recoveryNanoseconds) : settling.deadline
        let asked = actions.compactMap { action -> (RangeID, Resolution, GatewayRequestID)? in
            guard case .resolve(let range, let resolution) = action else { return nil }
            return (range, resolution, GatewayRequestID(rawValue: settling.names.next()))
        }
        var body: GatewayAnswer.Body?
        switch settling.machine.decision {
        case _ where settling.isAnswered: break
        case .commit(let timestamp)?: body = .settled(timestamp)
        case .some: body = .settled(nil)
        case nil where settling.machine.isOver:
            body = .failed(
                MeridianError(
                    .unavailable, "the range that decides did not say what has become of the commit",
                    retry: .immediately, commitOutcome: .unknown))
        case nil: break
        }
        settling.isAnswered = settling.isAnswered || body != nil
        transactions.settling[call] = settling.machine.isOver ? nil : settling
        if let body { answer([GatewayAnswer(id: call, body: body)], at: now, &effects) }
        for (range, resolution, name) in asked {
            let request = ResolveRequest(id: settling.machine.id, resolution: resolution)
            ask(range, .resolve(request), name, for: .settling(call), until: end, at: now, &effects)
        }
    }

    // MARK: Recovery

    mutating func takeCare(of abandoned: Abandoned, at now: Moment, _ effects: inout StepEffects) {
        switch abandoned.kind {
        case .prepared(let anchor):
            recover(abandoned.id, anchor: anchor, metIn: abandoned.range, at: now, &effects)
        case .decided(let decided):
            start(Recovery(of: decided, anchor: abandoned.range), at: now, &effects)
        }
    }

    private mutating func recover(
        _ id: TransactionID, anchor: RangeID, metIn range: RangeID, at now: Moment, _ effects: inout StepEffects
    ) {
        start(Recovery(id: id, anchor: anchor, metIn: range), at: now, &effects)
    }

    private mutating func start(_ recovery: Recovery, at now: Moment, _ effects: inout StepEffects) {
        guard transactions.recovered[recovery.id] == nil else { return }
        let seed = recovery.id.attempt ^ UInt64(bitPattern: now.instant.rawValue) ^ UInt64(configuration.node.rawValue)
        let number = transactions.nextToken
        transactions.nextToken += 1
        transactions.recovered[recovery.id] = .init(
            machine: recovery, number: number, names: SplitMix64(seed: seed))
        driveRecovery(recovery.id, at: now, &effects) { $0.begin() }
    }

    private mutating func driveRecovery(
        _ id: TransactionID, at now: Moment, _ effects: inout StepEffects,
        _ step: (inout Recovery) -> [Recovery.Action]
    ) {
        guard var recovered = transactions.recovered[id] else { return }
        let actions = step(&recovered.machine)
        var calls: [(RangeID, Resolution, GatewayRequestID)] = []
        var isFinished = false
        for action in actions {
            switch action {
            case .resolve(let range, let resolution):
                calls.append((range, resolution, GatewayRequestID(rawValue: recovered.names.next())))
            case .finish: isFinished = true
            }
        }
        transactions.recovered[id] = isFinished ? nil : recovered
        let end = now.instant.advanced(byNanoseconds: Self.recoveryNanoseconds)
        for (range, resolution, name) in calls {
            ask(
                range, .resolve(ResolveRequest(id: id, resolution: resolution)), name,
                for: .recovery(id, recovered.number),
                until: end,
                at: now, &effects)
        }
    }

    private static var recoveryNanoseconds: Int64 { 2_000_000_000 }

    // MARK: Calls to ranges

    private mutating func ask(
        _ range: RangeID, _ body: RangeRequest.Body, _ name: GatewayRequestID, for owner: Gateway.Owner,
        until end: Instant, at now: Moment, _ effects: inout StepEffects
    ) {
        begin(
            Gateway.Call(
                body: body, range: range, owner: owner, arrival: now.instant, deadline: end, retryAt: .distantFuture,
                mayHaveCommitted: false, isFirstAttempt: true),
            name, at: now, &effects)
    }

    /// A call to a range has come to its end.
    mutating func ended(
        _ call: Gateway.Call, _ body: RangeReply.Body, at now: Moment, _ effects: inout StepEffects
    ) {
        switch call.owner {
        case .client: preconditionFailure("a client's call ends with an answer")
        case .coordinator(let id):
            if case .prepared(let result, _) = body { noteSlowest(result, of: id) }
            guard let answer = Self.answer(body, call) else { return }
            drive(id, at: now, &effects) { $0.received(answer, from: call.range) }
        case .settling(let client):
            driveSettling(client, at: now, &effects) { machine in
                guard case .standing(let standing) = body, case .resolve(let request) = call.body else {
                    return machine.failed()
                }
                return machine.received(standing, from: call.range, after: request.resolution)
            }
        case .recovery(let id, let number):
            guard transactions.recovered[id]?.number == number else { return }
            let waiting = transactions.recovered[id]?.waiting ?? []
            driveRecovery(id, at: now, &effects) { machine in
                guard case .standing(let standing) = body, case .resolve(let request) = call.body else {
                    return machine.failed()
                }
                return machine.received(standing, from: call.range, after: request.resolution)
            }
            guard transactions.recovered[id] == nil else { return }
            for (coordinator, range) in waiting {
                drive(coordinator, at: now, &effects) { machine in
                    guard case .failed(let error) = body else { return machine.recovered(in: range) }
                    return machine.received(.failed(error, .prepare, wasRepeated: true), from: range)
                }
            }
        }
    }

    private mutating func noteSlowest(_ result: CommitResult, of id: TransactionID) {
        let known = transactions.coordinated[id]?.slowest?.leaseholderNanoseconds ?? -1
        if result.leaseholderNanoseconds > known { transactions.coordinated[id]?.slowest = result }
    }

    private static func answer(_ body: RangeReply.Body, _ call: Gateway.Call) -> CommitCoordinator.Answer? {
        switch body {
        case .prepared(let result, let candidate): return .prepared(at: result.timestamp, candidate: candidate)
        case .committed(let result): return .committedBefore(result.timestamp)
        case .inDoubt(let other, let anchor): return .inDoubt(other, anchor: anchor)
        case .read: return .confirmed
        case .standing(let standing):
            guard case .resolve(let request) = call.body else { return nil }
            return .standing(standing, after: request.resolution)
        case .failed(let error):
            let question: CommitCoordinator.Question
            switch call.body {
            case .prepare: question = .prepare
            case .resolve: question = .resolve
            case .read, .commit, .lock, .unlock, .transferLease, .status: question = .confirm
            }
            return .failed(error, question, wasRepeated: call.mayStillHappen)
        case .transferStarted, .notLeaseholder, .unknown, .locked, .unlocked, .status: return nil
        }
    }
}
