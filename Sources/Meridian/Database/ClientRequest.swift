import MeridianCore
import MeridianReplica
import MeridianTransactions

/// One request of a client, over all runs of its closure and all gateways that it goes through.
///
/// Each run that writes makes an *attempt* to commit, under the request's id and a number of its own. **The next
/// attempt begins only when it is certain of every one before that it will never commit.** Otherwise an earlier one
/// could commit beside a later one, in other ranges or after the client was told that the later one had failed; and a
/// closure that runs again could see what it has itself committed, and the client would hear of a transaction that
/// reads its own writes before it makes them. So an attempt of unknown outcome is *settled* first: a log is made to say
/// what has become of it. If that is not possible in time, the request's outcome is unknown, and nothing more is tried.
///
/// The result that a client gets is therefore that of the run whose attempt has committed. Where an earlier call of the
/// same id has committed, of which no result is left, the closure runs once more as of just before that commit: there
/// it finds what the first run found, since what that one had read was still so at its commit.
struct ClientRequest<Result> {
    /// An attempt of which it is not known what has become.
    struct Attempt {
        var plan: CommitPlan
        /// What the closure returned in this run.
        var result: Result
    }

    let id: RequestID
    /// Calls before this one may have used the id.
    let mayBeRepeated: Bool
    let acknowledgement: CommitAcknowledgement
    /// How often the closure has run.
    var runs = 0
    /// At most one: see above.
    var open: Attempt?

    /// - Parameter given: the client's own name for it.
    init(_ given: RequestID?, acknowledging acknowledgement: CommitAcknowledgement, host: any DatabaseHost) {
        id = given ?? host.newRequestID()
        mayBeRepeated = given != nil
        self.acknowledgement = acknowledgement
    }

    /// An error of this request as the client hears it.
    func asTold(_ error: any Error) -> any Error {
        guard var error = error as? MeridianError else { return error }
        // Of an earlier call of the same id something may still be on its way.
        if mayBeRepeated || open != nil { error.commitOutcome = .unknown }
        return error
    }
}

/// What a run of a closure asks to have committed.
struct CommitPlan {
    let attempt: TransactionID
    /// The range that is written first.
    let first: RangeID
    let body: GatewayCall.Body
    let tableName: String
    /// The ranges have different moments to look at the keys of what is inserted, updated and deleted, and none of them
    /// may be the moment of which the closure has read. So "there is such a row" is no answer for the closure.
    let mixesMoments: Bool

    var isOfOneRange: Bool { if case .transaction = body { false } else { true } }
}

extension Database {
    /// Runs a closure until one run of it has committed, or never will.
    func run<Result>(
        _ request: inout ClientRequest<Result>, deadline: Duration,
        isolation: isolated (any Actor)? = #isolation, _ body: (Transaction) async throws -> Result
    ) async throws -> (result: Result, receipt: Receipt) {
        let end = host.deadline(after: deadline)
        // A transaction keeps its age over its attempts: sooner or later it is the oldest, and goes first.
        let begun = host.latestTimestamp(in: region) ?? .distantFuture
        let priority = TransactionPriority(begun: begun, request: request.id)
        var locks = TransactionLocks(database: self, owner: request.id)
        var looksAtKeys = false
        if let outcome = try await settle(&request, end: end, body) { return outcome }
        for round in 1... {
            try host.checkCancellation()
            request.runs += 1
            let transaction = Transaction(
                database: self, end: end, looksAtKeys: looksAtKeys, named: request.mayBeRepeated ? request.id : nil)
            do {
                let outcome = try await attempt(transaction, &request, priority, end: end, body)
                await locks.release(committed: transaction.committedRanges, end: end)
                return outcome
            } catch {
                transaction.end()
                var error = error
                do {
                    if let outcome = try await settle(&request, end: end, body) {
                        await locks.release(end: end)
                        return outcome
                    }
                    error = Self.settled(error)
                } catch {
                    await locks.release(end: end)
                    throw error
                }
                looksAtKeys = looksAtKeys || (error as? RunAgain)?.looksAtKeys == true
                guard error.mayRunAgain, host.now < end, !Task.isCancelled else {
                    let told = await answer(to: error, transaction, &request, end: end, body)
                    await locks.release(end: end)
                    return try told.get()
                }
                // Whoever wrote first goes on; the others come back at different times.
                let limit = UInt64(min(1 << min(round, 7), 100))
                await host.pause(for: .milliseconds(Int(host.randomNumber() % limit)))
                await locks.acquire(transaction.footprint, priority: priority, end: end)
            }
        }
        preconditionFailure("the rounds have ended")
    }

    /// One run of the closure, and its commit.
    private func attempt<Result>(
        _ transaction: Transaction, _ request: inout ClientRequest<Result>, _ priority: TransactionPriority,
        end: Instant, isolation: isolated (any Actor)? = #isolation, _ body: (Transaction) async throws -> Result
    ) async throws -> (result: Result, receipt: Receipt) {
        let result = try await body(transaction)
        let start = host.now
        let planned = try await transaction.plan(
            request.id, priority: priority, acknowledging: request.acknowledgement)
        guard let plan = planned else {
            let timestamp = try await transaction.readTimestamp()
            if request.mayBeRepeated, let outcome = try await earlierOutcome(transaction, &request, end: end, body) {
                return outcome
            }
            return (result, receipt(at: timestamp, request))
        }
        try host.checkCancellation()
        // After the deadline nothing is sent. The last of the time is kept to ask what has become of the commit.
        guard host.now < end else { throw Self.tooSlow(plan) }
        let left = end.nanoseconds(since: host.now)
        let patience = plan.isOfOneRange ? max(left - Self.keptNanoseconds, min(left, 2 * Self.keptNanoseconds)) : left
        do {
            let (committed, route) = try await commit(
                plan.first, plan.body, end: host.deadline(after: .nanoseconds(patience)),
                mayBeRepeated: request.mayBeRepeated)
            if committed.wasApplied, request.mayBeRepeated {
                return try await replay(request, at: committed.timestamp, end: end, body)
            }
            var receipt = receipt(at: committed.timestamp, request)
            receipt.latency.total = .nanoseconds(host.now.nanoseconds(since: start))
            receipt.latency.route = .nanoseconds(route)
            receipt.latency.locks = .nanoseconds(committed.locksNanoseconds)
            receipt.latency.log = .nanoseconds(committed.logNanoseconds)
            receipt.latency.quorum = .nanoseconds(committed.quorumNanoseconds)
            receipt.latency.commitWait = .nanoseconds(committed.commitWaitNanoseconds)
            return (result, receipt)
        } catch var error as MeridianError {
            if !error.message.hasPrefix("table ") { error.message = "table \(plan.tableName): \(error.message)" }
            if error.commitOutcome == .unknown { request.open = .init(plan: plan, result: result) }
            let isOfAKey = error.code == .duplicateKey || error.code == .rowNotFound
            if plan.mixesMoments, isOfAKey, !Planted.isOn(.keysOfAnotherMoment) {
                throw RunAgain(error: error, looksAtKeys: true)
            }
            // Its gateway has stopped, and another one may do.
            if error.code == .shutDown, error.commitOutcome == .unknown { throw RunAgain(error: error) }
            throw error
        }
    }

    // MARK: What has become of it

    /// Brings the open attempt to its end.
    /// - Returns: its outcome if it has committed; `nil` if there is none, or it never will.
    private func settle<Result>(
        _ request: inout ClientRequest<Result>, end: Instant, isolation: isolated (any Actor)? = #isolation,
        _ body: (Transaction) async throws -> Result
    ) async throws -> (result: Result, receipt: Receipt)? {
        guard let open = request.open else { return nil }
        if Planted.isOn(.openAttemptLeftBehind) {
            request.open = nil
            return nil
        }
        do {
            guard let timestamp = try await outcome(of: open.plan.attempt, in: open.plan.first, end: end) else {
                request.open = nil
                return nil
            }
            request.open = nil
            // What a range remembers can be an earlier call's commit.
            if request.mayBeRepeated {
                return try await replay(request, at: timestamp, end: end, body)
            }
            return (open.result, receipt(at: timestamp, request))
        } catch let error as MeridianError where request.open != nil {
            let code: MeridianError.Code = error.code == .cancelled ? .cancelled : .commitStatusUnknown
            throw MeridianError(
                code,
                "table \(open.plan.tableName): nobody could tell whether the commit has happened (\(error.message)); "
                    + "ask again with the same request id, which tells",
                retry: .after(.seconds(1)), commitOutcome: .unknown)
        }
    }

    /// What a client hears of an attempt's error when it is certain that the attempt never commits.
    private static func settled(_ error: any Error) -> any Error {
        if var again = error as? RunAgain {
            again.error.commitOutcome = .notCommitted
            return again
        }
        guard var error = error as? MeridianError, error.commitOutcome == .unknown else { return error }
        error.commitOutcome = .notCommitted
        guard error.code == .commitStatusUnknown else { return error }
        return MeridianError(
            .deadlineExceeded, "the commit did not come about in time, and never will; try again",
            retry: .after(.seconds(1)))
    }

    /// When a request has committed, if a range has it. If it has not, this attempt to write there never will, in no
    /// range: the range's log forbids it, or, if it is prepared there, the anchor's log has aborted it.
    private func outcome(of attempt: TransactionID, in range: RangeID, end: Instant) async throws -> Timestamp? {
        let close = ResolveRequest(id: attempt, resolution: .close)
        while true {
            switch try await call(range, .request(.resolve(close)), end: end) {
            case .settled(let timestamp): return timestamp
            case .open(let other, let anchor):
                guard case .settled(let timestamp) = try await call(anchor, .settle(other), end: end) else {
                    preconditionFailure("\(anchor) settled a transaction with something else")
                }
                if other == attempt { return timestamp }
            default: preconditionFailure("\(range) closed a commit with something else")
            }
        }
    }

    /// What a client is told of an error: the commit of an earlier call of the same id, if there was one, since then
    /// the closure has run where that had happened already. Such a commit is remembered in the ranges that it has
    /// written, and a closure that does something else than before does so because of what it has read there.
    private func answer<Result>(
        to error: any Error, _ transaction: Transaction, _ request: inout ClientRequest<Result>, end: Instant,
        isolation: isolated (any Actor)? = #isolation, _ body: (Transaction) async throws -> Result
    ) async -> Swift.Result<(result: Result, receipt: Receipt), any Error> {
        var error = (error as? RunAgain)?.error ?? error
        // Whoever no longer waits does not hear of a conflict.
        if Task.isCancelled, error.mayRunAgain { error = MeridianError.cancelled }
        do {
            if let outcome = try await earlierOutcome(transaction, &request, end: end, body) {
                return .success(outcome)
            }
        } catch let unanswered where !(error is MeridianError) {
            // What the closure has thrown is not to be believed: it may have met its own commit.
            return .failure(request.asTold(unanswered))
        } catch {
            // Nobody could tell, and the error says so.
        }
        return .failure(request.asTold(error))
    }

    private func earlierOutcome<Result>(
        _ transaction: Transaction, _ request: inout ClientRequest<Result>, end: Instant,
        isolation: isolated (any Actor)? = #isolation, _ body: (Transaction) async throws -> Result
    ) async throws -> (result: Result, receipt: Receipt)? {
        guard request.mayBeRepeated, !Planted.isOn(.closureBelievedUnasked) else { return nil }
        for range in transaction.touchedRanges {
            let attempt = TransactionID(request: request.id, attempt: host.randomNumber())
            guard let timestamp = try await outcome(of: attempt, in: range, end: end) else { continue }
            return try await replay(request, at: timestamp, end: end, body)
        }
        return nil
    }

    /// The outcome of an earlier call that has committed: its receipt, and what the closure returns as of just before.
    private func replay<Result>(
        _ request: ClientRequest<Result>, at timestamp: Timestamp, end: Instant,
        isolation: isolated (any Actor)? = #isolation, _ body: (Transaction) async throws -> Result
    ) async throws -> (result: Result, receipt: Receipt) {
        let receipt = receipt(at: timestamp, request)
        if let nothing = () as? Result { return (nothing, receipt) }
        let transaction = Transaction(database: self, end: end)
        transaction.readsAsOf(Timestamp(rawValue: timestamp.rawValue - 1))
        defer { transaction.end() }
        return (try await body(transaction), receipt)
    }

    private func receipt<Result>(at timestamp: Timestamp, _ request: ClientRequest<Result>) -> Receipt {
        var receipt = Receipt(id: request.id, timestamp: timestamp, latency: .init(), attempts: request.runs)
        receipt.token = host.seal.token(at: timestamp)
        return receipt
    }

    /// Of a commit's time, where there is enough of it, to find out what has become of it.
    private static var keptNanoseconds: Int64 { 1_000_000_000 }

    private static func tooSlow(_ plan: CommitPlan) -> MeridianError {
        MeridianError(
            .deadlineExceeded,
            "table \(plan.tableName): the closure ran beyond the deadline; nothing was sent and nothing is committed. "
                + "Allow more time, or do less in it",
            retry: .immediately)
    }
}

/// An error after which the closure runs again, though it would otherwise be the client's.
private struct RunAgain: Error {
    var error: MeridianError
    /// From now on what is inserted, updated or deleted is read first, so that all of the closure is of one moment.
    var looksAtKeys = false
}

extension Error {
    fileprivate var mayRunAgain: Bool { self is RunAgain || (self as? MeridianError)?.code == .conflict }
}

extension DatabaseHost {
    /// - Throws: `.cancelled` when the caller's task was cancelled. Nothing was sent for it then.
    func checkCancellation() throws(MeridianError) {
        if Task.isCancelled { throw .cancelled }
    }
}

extension MeridianError {
    fileprivate static var cancelled: MeridianError {
        MeridianError(.cancelled, "the caller's task was cancelled; nothing was committed")
    }
}
