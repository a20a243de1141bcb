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
    package var participants: [Participant]
    /// Whose decision it is, or by whom it is asked.
    package var ballot: Ballot
    /// Which history of its range the one who asks means. With the ballot's it is of one state of the system range: an
    /// answer from a history that has ended must not be put together with one from after its end.
    package var generation: Generation

    package init(
        id: TransactionID, resolution: Resolution, participants: [Participant], ballot: Ballot, generation: Generation
    ) {
        self.id = id
        self.resolution = resolution
        self.participants = participants
        self.ballot = ballot
        self.generation = generation
    }

    /// Whether it asks a range to decide in the place, or in a later history, of the one that the transaction began
    /// with.
    func decidesAnew(in range: RangeID) -> Bool {
        ballot != Ballot(of: participants) && participants[ballot.position].range == range
    }
}

/// What a range knows of a transaction that is not over, for people.
package struct TransactionStatus: Hashable, Sendable {
    package enum State: Hashable, Sendable {
        case prepared
        case committed
        case undone(mayBeAcknowledged: Bool)
    }

    package var id: TransactionID
    package var state: State
    /// When it was prepared, has committed, or would have.
    package var timestamp: Timestamp
    package var participants: [Participant]

    package init(id: TransactionID, state: State, timestamp: Timestamp, participants: [Participant]) {
        self.id = id
        self.state = state
        self.timestamp = timestamp
        self.participants = participants
    }
}
