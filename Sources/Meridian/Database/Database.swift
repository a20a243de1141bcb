import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianRuntime

/// The store as a client in one region sees it.
///
/// Every operation is linearizable, unless a read asks for less (`ReadConsistency`), and a commit's timestamp orders it
/// after everything that ended before it began, in any region. docs/CONSISTENCY.md says what rests on which assumption.
public struct Database: Sendable {
    /// Where the client is. Its requests enter the cluster at a node of this region.
    public let region: Region
    let host: any DatabaseHost

    package init(host: any DatabaseHost, region: Region) {
        self.host = host
        self.region = region
    }

    /// How long an operation may take, unless it says otherwise.
    public static let defaultDeadline = Duration.seconds(10)

    /// Runs a closure and commits what it wrote, all or nothing.
    ///
    /// Writes are buffered and seen by the closure's own reads. The commit succeeds only if nobody has written in the
    /// meantime what the closure read; otherwise the closure runs again, so it must have no other effects. Rows of any
    /// tables and home regions can be read and written together.
    ///
    /// - Parameters:
    ///   - id: names the commit. After an error with `commitOutcome == .unknown`, calling again with the same id
    ///     returns the first commit's receipt if it happened, and commits otherwise.
    ///   - acknowledgement: what the answer waits for, where rows of several home regions are written.
    ///   - deadline: when to give up.
    /// - Returns: the commit's receipt. A closure that wrote nothing commits nothing; its receipt has the timestamp of
    ///   its reads.
    /// - Throws: `MeridianError`, or what the closure throws, in which case nothing is written.
    @discardableResult
    public func write(
        id: RequestID? = nil, acknowledging acknowledgement: CommitAcknowledgement = .prepared,
        deadline: Duration = Database.defaultDeadline,
        isolation: isolated (any Actor)? = #isolation,
        _ body: (Transaction) async throws -> Void
    ) async throws -> Receipt {
        try await transact(id: id, acknowledging: acknowledgement, deadline: deadline, body).receipt
    }

    /// As `write`, with the closure's result.
    public func transact<Result>(
        id: RequestID? = nil, acknowledging acknowledgement: CommitAcknowledgement = .prepared,
        deadline: Duration = Database.defaultDeadline,
        isolation: isolated (any Actor)? = #isolation,
        _ body: (Transaction) async throws -> Result
    ) async throws -> (result: Result, receipt: Receipt) {
        try await transact(
            id ?? host.newRequestID(), mayBeRepeated: id != nil, acknowledging: acknowledgement, deadline: deadline,
            body)
    }

    /// - Parameter mayBeRepeated: whether a commit with this id may have been asked for before.
    package func transact<Result>(
        _ request: RequestID, mayBeRepeated: Bool, acknowledging acknowledgement: CommitAcknowledgement,
        deadline: Duration,
        isolation: isolated (any Actor)? = #isolation, _ body: (Transaction) async throws -> Result
    ) async throws -> (result: Result, receipt: Receipt) {
        let end = host.deadline(after: deadline)
        var attempts = 0
        var mayBeRepeated = mayBeRepeated
        var locks = TransactionLocks(database: self, owner: request)
        // A transaction keeps its age over its attempts: sooner or later it is the oldest, and goes first.
        let begun = host.latestTimestamp(in: region) ?? .distantFuture
        let priority = TransactionPriority(begun: begun, request: request)
        while true {
            attempts += 1
            let transaction = Transaction(database: self, end: end)
            do {
                let result = try await body(transaction)
                var receipt = try await transaction.commit(
                    request, priority: priority, mayBeRepeated: mayBeRepeated, attempts: attempts,
                    acknowledging: acknowledgement)
                receipt.token = host.seal.token(at: receipt.timestamp)
                await locks.release(committed: transaction.committedRanges, end: end)
                return (result, receipt)
            } catch let error as MeridianError where error.code == .conflict && host.now < end {
                // An attempt that nobody answered may have been the one that this one ran into.
                if error.commitOutcome == .unknown { mayBeRepeated = true }
                // Whoever wrote first goes on; the others come back at different times.
                let limit = UInt64(min(1 << min(attempts, 7), 100))
                await host.pause(for: .milliseconds(Int(host.randomNumber() % limit)))
                await locks.acquire(transaction.footprint, priority: priority, end: end)
            } catch {
                transaction.end()
                await locks.release(end: end)
                throw error
            }
        }
    }

    /// Runs a closure over one consistent state of the store: all its reads are as of one timestamp, without locks.
    /// Rows of any tables and regions may be read. A closure that reads several active-active tables after a token may
    /// run again, so it should have no other effects.
    ///
    /// - Parameters:
    ///   - consistency: as of when. Strong reads see every commit that ended before the first of them began; all others
    ///     are served near by where a replica is.
    ///   - deadline: when to give up.
    /// - Throws: `MeridianError`: `.readTooOld` when versions of that time may be gone
    ///   (`ClusterConfiguration.retention`), also for a closure that takes longer than that; `.readInFuture` for a
    ///   timestamp or token more than half a second ahead of the region's clock; `.invalidToken`, `.foreignToken`; or
    ///   what the closure throws.
    public func read<Result>(
        _ consistency: ReadConsistency = .strong, deadline: Duration = Database.defaultDeadline,
        isolation: isolated (any Actor)? = #isolation, _ body: (ReadTransaction) async throws -> Result
    ) async throws -> Result {
        let end = host.deadline(after: deadline)
        let coverage = TokenCoverage()
        while true {
            let transaction = ReadTransaction(
                database: self, consistency: consistency, end: end, coverage: coverage)
            do {
                return try await body(transaction)
            } catch let error as MeridianError
                where error.code == .conflict && coverage.isMissingAny && host.now < end
            {
                continue
            }
        }
    }

    // MARK: Asking ranges

    /// Asks a range, through another node of the region when the first one stops on the way.
    func call(
        _ range: RangeID, _ body: GatewayCall.Body, end: Instant, mayBeRepeated: Bool = false
    ) async throws -> GatewayAnswer.Body {
        var isRepeated = mayBeRepeated
        var body = body
        while true {
            let left = max(0, end.nanoseconds(since: host.now))
            let answer: GatewayAnswer.Body
            do {
                answer = try await host.call(
                    range, body, from: region, patience: .nanoseconds(left), mayBeRepeated: isRepeated)
            } catch var error as MeridianError {
                // Nobody was asked this time, but an attempt before, which a stopping node took with it, may commit.
                if isRepeated, body.isCommit { error.commitOutcome = .unknown }
                throw error
            }
            guard case .failed(let error) = answer else { return answer }
            guard error.code == .shutDown, host.now < end else { throw error }
            guard error.commitOutcome == .unknown else { continue }
            isRepeated = true
            // What the node that stopped has sent is still on its way: two must not coordinate one attempt.
            if case .transaction(var transaction) = body {
                transaction.id = TransactionID(request: transaction.id.request, attempt: host.randomNumber())
                body = .transaction(transaction)
            }
        }
    }

    /// A timestamp above those of all commits that have ended, for reads of several ranges as of one moment.
    ///
    /// A clock of the client's region gives it at once. Where none is usable, a leaseholder elsewhere is asked: what
    /// its clock says at the latest, after the question, is as good.
    func readTimestamp(end: Instant) async throws -> Timestamp {
        if let timestamp = host.latestTimestamp(in: region) { return timestamp }
        return try await read(Catalog.systemRange, [], at: nil, end: end).timestamp
    }

    /// Reads rows of one range.
    /// - Parameter fromNearest: any replica may serve it, the nearest first.
    func read(
        _ range: RangeID, _ operations: [ReadOperation], at timestamp: Timestamp?, fromNearest: Bool = false,
        end: Instant
    ) async throws -> ReadResult {
        let request = ReadRequest(
            timestamp: timestamp, operations: operations,
            patienceNanoseconds: fromNearest && timestamp != nil ? 0 : nil)
        guard case .read(let result) = try await call(range, .read(request), end: end) else {
            preconditionFailure("\(range) answered a read with something else")
        }
        return result
    }

    func commit(
        _ range: RangeID, _ request: CommitRequest, end: Instant, mayBeRepeated: Bool = false
    ) async throws -> (result: CommitResult, routeNanoseconds: Int64) {
        try await commit(range, .commit(request), end: end, mayBeRepeated: mayBeRepeated)
    }

    func commit(
        _ range: RangeID, _ body: GatewayCall.Body, end: Instant, mayBeRepeated: Bool = false
    ) async throws -> (result: CommitResult, routeNanoseconds: Int64) {
        let answer = try await call(range, body, end: end, mayBeRepeated: mayBeRepeated)
        guard case .committed(let result, let route) = answer else {
            preconditionFailure("\(range) answered a commit with something else")
        }
        return (result, route)
    }
}
