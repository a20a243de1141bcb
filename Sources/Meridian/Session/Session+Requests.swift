import MeridianCore
import MeridianPlacement
import Synchronization

/// Reads and writes of a session, each through the first region of the router's order that answers.
extension Session {
    /// As `Database.write`, through the session's region.
    ///
    /// An attempt that was not answered is brought to its end through another region. Only if it never commits does the
    /// closure run again there, so it commits once.
    @discardableResult
    public func write(
        id: RequestID? = nil, acknowledging acknowledgement: CommitAcknowledgement = .prepared,
        deadline: Duration = Database.defaultDeadline,
        isolation: isolated (any Actor)? = #isolation, _ body: (Transaction) async throws -> Void
    ) async throws -> Receipt {
        try await transact(id: id, acknowledging: acknowledgement, deadline: deadline, body).receipt
    }

    /// As `write`, with the closure's result.
    public func transact<Result>(
        id: RequestID? = nil, acknowledging acknowledgement: CommitAcknowledgement = .prepared,
        deadline: Duration = Database.defaultDeadline,
        isolation: isolated (any Actor)? = #isolation, _ body: (Transaction) async throws -> Result
    ) async throws -> (result: Result, receipt: Receipt) {
        var attempts = Attempts(router, preferring: writeRegion, deadline: deadline)
        var request = ClientRequest<Result>(id, acknowledging: acknowledgement, host: router.host)
        while true {
            let home = Mutex<Region?>(nil)
            do {
                let outcome = try await attempts.database.run(&request, deadline: attempts.patience) { transaction in
                    let result = try await body(transaction)
                    home.withLock { $0 = transaction.home }
                    return result
                }
                attempts.succeeded()
                noteWrite(outcome.receipt.token, home: home.withLock { $0 })
                return outcome
            } catch {
                try attempts.failed(error)
            }
        }
    }

    /// As `Database.read`, as fresh as the session's strategy asks, from as near as it allows.
    public func read<Result>(
        deadline: Duration = Database.defaultDeadline, isolation: isolated (any Actor)? = #isolation,
        _ body: (ReadTransaction) async throws -> Result
    ) async throws -> Result {
        let plan = plan
        var attempts = Attempts(router, preferring: plan.region, deadline: deadline)
        while true {
            let token = Mutex<CausalToken?>(nil)
            do {
                let result = try await attempts.database.read(plan.consistency, deadline: attempts.patience) { reader in
                    let result = try await body(reader)
                    token.withLock { $0 = reader.token }
                    return result
                }
                attempts.succeeded()
                noteRead(token.withLock { $0 })
                return result
            } catch {
                try attempts.failed(error)
            }
        }
    }
}

extension Transaction {
    /// The home region of the first row written.
    fileprivate var home: Region? {
        buffer.withLock { $0.firstWritten?.range.home }
    }
}

/// One request's way through the regions: each is tried once, for the attempt's time, the last for all that is left.
private struct Attempts {
    private let router: RegionRouter
    private let end: Instant
    private var left: [Region]
    /// When the attempt under way began.
    private var begun: Instant

    init(_ router: RegionRouter, preferring region: Region?, deadline: Duration) {
        self.router = router
        begun = router.host.now
        end = router.host.deadline(after: deadline)
        left = router.order(preferring: region)
    }

    var database: Database { router.database(through: left[0]) }

    var patience: Duration {
        let remaining = Duration.nanoseconds(max(0, end.nanoseconds(since: router.host.now)))
        return left.count == 1 ? remaining : min(remaining, router.configuration.attemptTimeout)
    }

    func succeeded() { router.noteSuccess(of: left[0]) }

    /// Goes on to the next region, if that can help.
    /// - Throws: the error, if not.
    mutating func failed(_ error: any Error) throws {
        guard let error = error as? MeridianError else { throw error }
        guard Self.isOfTheRegion(error) else { throw error }
        let now = router.host.now
        // Whoever allows less time than an attempt may take learns nothing of the region by that.
        let isTimeUp = error.code == .deadlineExceeded || error.code == .commitStatusUnknown
        if !isTimeUp || now.nanoseconds(since: begun) >= router.configuration.attemptTimeout.nanoseconds {
            router.noteFailure(of: left[0])
        }
        guard left.count > 1, now < end else { throw error }
        left.removeFirst()
        begun = now
    }

    /// Whether another region's gateway may do better.
    private static func isOfTheRegion(_ error: MeridianError) -> Bool {
        switch error.code {
        case .unavailable, .shutDown, .deadlineExceeded, .commitStatusUnknown: true
        default: false
        }
    }
}
