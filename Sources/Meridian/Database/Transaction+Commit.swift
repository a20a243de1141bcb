import MeridianCore
import MeridianPlacement
import MeridianReplica
import Synchronization

/// How a transaction ends: nothing to do, a commit in one range, or one over several.
extension Transaction {
    /// Ends the run.
    /// - Returns: what it asks to have committed; `nil` if it wrote nothing. What was only read is as of one moment, so
    ///   it needs no look at whether it is still so.
    func plan(
        _ request: RequestID, priority: TransactionPriority, acknowledging acknowledgement: CommitAcknowledgement
    ) async throws -> CommitPlan? {
        let buffer = buffer.withLock { buffer in
            buffer.isEnded = true
            return buffer
        }
        guard let first = buffer.firstWritten?.range.id else { return nil }
        let parts = buffer.parts
        let attempt = TransactionID(request: request, attempt: database.host.randomNumber())
        let body: GatewayCall.Body
        if parts.count == 1 {
            body = .commit(
                CommitRequest(
                    id: request, attempt: attempt.attempt, priority: priority,
                    sent: try await database.readTimestamp(end: deadline), preconditions: parts[0].preconditions,
                    mutations: parts[0].mutations))
        } else {
            body = .transaction(
                TransactionRequest(
                    id: attempt, priority: priority, first: first, parts: parts,
                    acknowledgesDecided: acknowledgement == .decided))
        }
        return CommitPlan(
            attempt: attempt, first: first, body: body, tableName: buffer.shares.first?.tableName ?? "?",
            mixesMoments: parts.count > 1 && buffer.shares.contains { !$0.reads.isEmpty })
    }

    /// The ranges that it has read or written, in the order of its first touch.
    var touchedRanges: [RangeID] { buffer.withLock { $0.shares.map(\.range.id) } }

    /// All of it reads as of then.
    func readsAsOf(_ timestamp: Timestamp) { buffer.withLock { $0.timestamp = timestamp } }
}
