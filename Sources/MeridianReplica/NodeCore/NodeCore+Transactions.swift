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
        var candidate: Timestamp
        /// The calls that wait for the outcome.
        var clients: [GatewayRequestID]
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
        guard let (participants, areEqual) = participants(of: request) else {
            return gateway.hold(call, at: now.instant)
        }
        let candidate = now.clock.latest.advanced(byNanoseconds: leadNanoseconds(request.parts.map(\.range)))
        let machine = CommitCoordinator(
            id: request.id, participants: participants, readers: request.readers, candidate: candidate,
            mayBeRepeated: call.mayBeRepeated, acknowledgesDecided: request.acknowledgesDecided || !areEqual)
        // A client that asks until its deadline leaves some of the time to find out what has become of it.
        transactions.coordinated[request.id] = Transactions.Coordinated(
            machine: machine, request: request, candidate: candidate,
            clients: [call.id], arrival: now.instant,
            deadline: min(call.deadline, now.instant.advanced(byNanoseconds: Self.coordinationNanoseconds)),
            names: SplitMix64(seed: call.id.rawValue ^ request.id.attempt))
        drive(request.id, at: now, &effects) { $0.begin() }
    }

    /// The ranges that are written, in the order in which they would have to decide: what outlives more comes first,
    /// and of equal ones the first written. Where all are equal, and none is a copy that commits by itself, what they
    /// have prepared together is as durable as what any of them could say.
    /// - Returns: `nil` when the catalog does not have all ranges yet: the client has seen a newer one.
    private func participants(of request: TransactionRequest) -> (inOrder: [Participant], areEqual: Bool)? {
        var found: [(strength: RangeDurability, participant: Participant)] = []
        for range in [request.first] + request.writers.filter({ $0 != request.first }) {
            guard let strength = catalog.durability(of: range), let descriptor = catalog.directory[range] else {
                return nil
            }
            found.append((strength, Participant(range, in: descriptor.generation)))
        }
        let areEqual = found.count == 1 || found.allSatisfy { $0.strength == found[0].strength && $0.strength > .copy }
        if !Planted.isOn(.firstWrittenAnchors) {
            // The standard library's sort is stable.
            found.sort { $0.strength > $1.strength }
        }
        return (found.map(\.participant), areEqual || Planted.isOn(.unequalInOneRound))
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
            let preparation = CommitStep.Preparation(
                participants: transaction.machine.participants, candidate: transaction.candidate,
                readsElsewhere: !transaction.request.readers.isEmpty,
                acknowledgesDecided: transaction.machine.acknowledgesDecided, priority: transaction.request.priority)
            let prepare = PrepareRequest(
                id: id, preparation: preparation, preconditions: part.preconditions, mutations: part.mutations)
            ask(
                range, .prepare(prepare), name, for: .coordinator(id),
                until: now.instant.advanced(byNanoseconds: left - min(left / 4, 1_000_000_000)), at: now, &effects)
        case .confirm(let range, let timestamp):
            guard let part = transaction.request.parts.first(where: { $0.range == range }) else { return }
            let read = ReadRequest(
                confirming: part.preconditions, upTo: timestamp, priority: transaction.request.priority)
            ask(
                range, .read(read), name, for: .coordinator(id),
                until: now.instant.advanced(byNanoseconds: left - min(left / 4, 1_000_000_000)), at: now, &effects)
        case .resolve(let range, let resolution):
            // Off the client's path there is time; what is not done by then, the leaseholders see to.
            let end =
                transaction.clients.isEmpty
                ? now.instant.advanced(byNanoseconds: Self.resolutionNanoseconds) : transaction.deadline
            let participants = transaction.machine.participants
            let request = ResolveRequest(
                id: id, resolution: resolution, participants: participants, ballot: Ballot(of: participants),
                generation: participants.first { $0.range == range }?.generation ?? .first)
            ask(range, .resolve(request), name, for: .coordinator(id), until: end, at: now, &effects)
        case .finish(let outcome):
            transactions.coordinated[id]?.clients = []
            let total = now.instant.nanoseconds(since: transaction.arrival)
            let body = Self.answer(outcome, transaction.slowest, total)
            answer(transaction.clients.map { GatewayAnswer(id: $0, body: body) }, at: now, &effects)
        case .recover(let other, let participants, let range):
            let generation = transaction.machine.participants.first { $0.range == range }?.generation
            recover(other, participants, metIn: Participant(range, in: generation ?? .first), at: now, &effects)
            guard other != id else { return }
            if transactions.recovered[other] != nil {
                transactions.recovered[other]?.waiting.append((id, range))
            } else {
                let error = MeridianError(
                    .unavailable, "an earlier attempt is open in \(range), and not all of its ranges are known here",
                    retry: .after(.seconds(1)))
                drive(id, at: now, &effects) {
                    $0.received(.failed(error, .prepare, wasRepeated: true), from: range)
                }
            }
        }
    }

    /// Answers clients, when the timestamp that they are told of is past everywhere. Mostly it is: every range has
    /// waited for its own. But what somebody else has committed the anchor tells at once.
    private mutating func answer(_ answers: [GatewayAnswer], at now: Moment, _ effects: inout StepEffects) {
        guard case .committed(let result, _)? = answers.first?.body, now.clock.earliest <= result.timestamp else {
            effects.node.answers += answers
            return
        }
        let token = transactions.nextToken
        transactions.nextToken += 1
        transactions.unanswered[token] = answers
        transactions.commitWait.insert(result.timestamp, token)
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
        case .committed(let timestamp):
            var result = slowest ?? CommitResult(timestamp: timestamp, term: .zero)
            result.timestamp = timestamp
            return .committed(
                result, routeNanoseconds: max(0, totalNanoseconds - result.leaseholderNanoseconds))
        case .failed(let error): return .failed(error)
        }
    }

    /// An older transaction waits for one that this node coordinates.
    mutating func wound(_ id: TransactionID, at now: Moment, _ effects: inout StepEffects) {
        drive(id, at: now, &effects) { $0.wound() }
    }

    // MARK: Recovery

    mutating func takeCare(of abandoned: Abandoned, at now: Moment, _ effects: inout StepEffects) {
        switch abandoned.kind {
        case .prepared(let participants):
            recover(abandoned.id, participants, metIn: abandoned.origin, at: now, &effects)
        case .decided(let decided):
            recover(
                abandoned.id, decided.participants, metIn: abandoned.origin, committed: decided.timestamp, at: now,
                &effects)
        }
    }

    /// Nothing comes of it when the catalog does not know all participants yet, or all have been given up, or the
    /// history that it was met in has ended.
    private mutating func recover(
        _ id: TransactionID, _ participants: [Participant], metIn origin: Participant, committed: Timestamp? = nil,
        at now: Moment, _ effects: inout StepEffects
    ) {
        guard transactions.recovered[id] == nil, let present = catalog.presence(of: participants),
            let recovery = Recovery(
                id: id, participants: participants, present: present, metIn: origin, committed: committed)
        else { return }
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
            let machine = recovered.machine
            let request = ResolveRequest(
                id: id, resolution: resolution, participants: machine.participants, ballot: machine.ballot,
                generation: machine.generation(of: range))
            ask(range, .resolve(request), name, for: .recovery(id, recovered.number), until: end, at: now, &effects)
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
        case .inDoubt(let other, let participants): return .inDoubt(other, participants)
        case .read: return .confirmed
        case .standing(let standing):
            guard case .resolve(let request) = call.body else { return nil }
            return .standing(standing, after: request.resolution)
        case .failed(let error):
            let question: CommitCoordinator.Question
            switch call.body {
            case .prepare: question = .prepare
            case .resolve: question = .resolve
            case .read, .commit, .lock, .unlock, .transferLease, .transactions, .status: question = .confirm
            }
            return .failed(error, question, wasRepeated: call.mayStillHappen)
        case .transferStarted, .notLeaseholder, .unknown, .locked, .unlocked, .transactions, .status: return nil
        }
    }
}
