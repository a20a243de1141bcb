import MeridianCore
import Synchronization

/// Which savepoints a task is in: those around it, of its own transaction and of others in whose closures it runs.
/// Child tasks inherit it; that is how their writes come into the layer of the savepoint in which they were begun.
struct OpenSavepoint: Sendable {
    @TaskLocal static var all: [OpenSavepoint] = []

    let transaction: Transaction
    let scope: WriteBuffer.Scope
}

extension Transaction {
    /// Where this task's writes go.
    var scope: WriteBuffer.Scope {
        OpenSavepoint.all.last { $0.transaction === self }?.scope ?? .closure
    }

    /// Runs a part of the transaction. If it throws, what it wrote is undone and the error passed on; who catches it
    /// can go on with the transaction as it was before. Savepoints nest.
    ///
    /// What the part has read still counts: if anybody writes it before the commit, the whole closure runs again.
    ///
    /// Child tasks that the part begins belong to it. Parts may also run at the same time, in child tasks of the
    /// closure: none sees the writes of another one before that has ended well, and together they are as if they had
    /// run one after the other, in the order of their ends. Of two that would not be, the later one to end is undone
    /// and throws `.savepointConflict`: it has read what the other one has written meanwhile. Run it again, or let one
    /// wait for the other.
    ///
    /// ```swift
    /// try? await transaction.savepoint {
    ///     try await transaction.insert(order, into: orders)
    ///     guard try await isAffordable(order, transaction) else { throw OutOfFunds() }
    /// }
    /// ```
    /// - Throws: what the part throws; `.savepointConflict`; `.transactionEnded` in a task that outlives its closure or
    ///   its savepoint.
    public func savepoint<Result>(
        isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Result
    ) async throws -> Result {
        let outer = scope
        let inner = try buffer.withLock { try $0.beginSavepoint(from: outer) }
        let result: Result
        do {
            let open = OpenSavepoint.all + [OpenSavepoint(transaction: self, scope: inner)]
            result = try await OpenSavepoint.$all.withValue(open, operation: body)
        } catch {
            buffer.withLock { $0.dropSavepoint(inner) }
            throw error
        }
        try buffer.withLock { try $0.mergeSavepoint(inner) }
        return result
    }
}
