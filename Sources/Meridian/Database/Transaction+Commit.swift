import MeridianCore
import MeridianPlacement
import MeridianReplica
import Synchronization

/// How a transaction ends: nothing to do, a commit in one range, or one over several.
extension Transaction {
    func commit(
        _ id: RequestID, priority: TransactionPriority, mayBeRepeated: Bool, attempts: Int,
        acknowledging acknowledgement: CommitAcknowledgement
    ) async throws -> Receipt {
        let start = database.host.now
        let buffer = buffer.withLock { buffer in
            buffer.isEnded = true
            return buffer
        }
        // What was only read is as of one moment, so it needs no look at whether it is still so.
        guard let first = buffer.firstWritten else {
            let timestamp: Timestamp
            if let read = buffer.timestamp {
                timestamp = read
            } else {
                timestamp = try await database.readTimestamp(end: deadline)
            }
            return Receipt(id: id, timestamp: timestamp, latency: .init(), attempts: attempts)
        }
        do {
            let (result, route) = try await send(
                buffer.parts, id, first: first.range.id, priority: priority, mayBeRepeated: mayBeRepeated,
                acknowledgesDecided: acknowledgement == .decided)
            var receipt = Receipt(id: id, timestamp: result.timestamp, latency: .init(), attempts: attempts)
            receipt.latency.total = .nanoseconds(database.host.now.nanoseconds(since: start))
            receipt.latency.route = .nanoseconds(route)
            receipt.latency.locks = .nanoseconds(result.locksNanoseconds)
            receipt.latency.log = .nanoseconds(result.logNanoseconds)
            receipt.latency.quorum = .nanoseconds(result.quorumNanoseconds)
            receipt.latency.commitWait = .nanoseconds(result.commitWaitNanoseconds)
            return receipt
        } catch var error as MeridianError {
            if let name = buffer.shares.first?.tableName, !error.message.hasPrefix("table ") {
                error.message = "table \(name): \(error.message)"
            }
            throw error
        }
    }

    private func send(
        _ parts: [TransactionRequest.Part], _ id: RequestID, first: RangeID, priority: TransactionPriority,
        mayBeRepeated: Bool, acknowledgesDecided: Bool
    ) async throws -> (result: CommitResult, routeNanoseconds: Int64) {
        if parts.count == 1 {
            let request = CommitRequest(
                id: id, priority: priority, sent: database.host.latestTimestamp(in: database.region),
                preconditions: parts[0].preconditions, mutations: parts[0].mutations)
            return try await database.commit(first, request, end: deadline, mayBeRepeated: mayBeRepeated)
        }
        let attempt = TransactionID(request: id, attempt: database.host.randomNumber())
        let request = TransactionRequest(
            id: attempt, priority: priority, first: first, parts: parts, acknowledgesDecided: acknowledgesDecided)
        return try await database.commit(first, .transaction(request), end: deadline, mayBeRepeated: mayBeRepeated)
    }
}
