import MeridianCore
import MeridianTransactions

/// What a client asks its gateway: commit these changes of several ranges together, if the preconditions hold.
package struct TransactionRequest: Hashable, Sendable {
    /// One range's share.
    package struct Part: Hashable, Sendable {
        package var range: RangeID
        package var preconditions: [Precondition]
        /// None where the range was only read.
        package var mutations: [Mutation]

        package init(range: RangeID, preconditions: [Precondition], mutations: [Mutation]) {
            self.range = range
            self.preconditions = preconditions
            self.mutations = mutations
        }
    }

    package var id: TransactionID
    package var priority: TransactionPriority
    /// The range of the row that was written first.
    package var first: RangeID
    package var parts: [Part]
    /// The client is not answered before a log says that the transaction has committed.
    package var acknowledgesDecided: Bool

    package init(
        id: TransactionID, priority: TransactionPriority, first: RangeID, parts: [Part],
        acknowledgesDecided: Bool = false
    ) {
        self.id = id
        self.priority = priority
        self.first = first
        self.parts = parts
        self.acknowledgesDecided = acknowledgesDecided
    }

    package var writers: [RangeID] { parts.lazy.filter { !$0.mutations.isEmpty }.map(\.range) }
    package var readers: [RangeID] { parts.lazy.filter(\.mutations.isEmpty).map(\.range) }
}

/// What a transaction that runs again asks a range first: let nobody else change this.
package struct LockRequest: Hashable, Sendable {
    package var owner: RequestID
    package var priority: TransactionPriority
    package var claim: LockTable.Claim

    package init(owner: RequestID, priority: TransactionPriority, claim: LockTable.Claim) {
        self.owner = owner
        self.priority = priority
        self.claim = claim
    }
}

/// What a coordinator asks a range: hold these changes ready.
package struct PrepareRequest: Hashable, Sendable {
    package var id: TransactionID
    /// Without the keys and spans, which follow from the preconditions.
    package var preparation: CommitStep.Preparation
    package var preconditions: [Precondition]
    package var mutations: [Mutation]

    package init(
        id: TransactionID, preparation: CommitStep.Preparation, preconditions: [Precondition],
        mutations: [Mutation]
    ) {
        self.id = id
        self.preparation = preparation
        self.preconditions = preconditions
        self.mutations = mutations
    }

    package var byteCount: Int { mutations.reduce(128) { $0 + $1.byteCount } }
}

/// What a coordinator, or whoever recovers a transaction, tells a range about it.
package struct ResolveRequest: Hashable, Sendable {
    package var id: TransactionID
    package var resolution: Resolution

    package init(id: TransactionID, resolution: Resolution) {
        self.id = id
        self.resolution = resolution
    }
}
