/// What a range knows of transactions that it takes part in and that are not over: a part of its replicated state.
///
/// A range takes part by a log entry that **prepares**: the writes, provisional, and what the transaction has read
/// here. From then on nobody else may change any of it, until an entry **commits** or **aborts** the transaction in
/// this range. One of the ranges is the **anchor**: its prepare entry is also the staging record, which names all the
/// participants, and its log decides. After a commit the anchor keeps the decision until every participant is known to
/// have it, and then **forgets**.
///
/// The table is a function of the log, the same in every replica at the same index. So a new leaseholder knows at once
/// what its predecessor had promised.
package struct TransactionTable: Hashable, Sendable {
    package private(set) var prepared: [TransactionID: PreparedTransaction] = [:]
    /// Commits of transactions that this range anchors, of which some participant may not know yet.
    package private(set) var decided: [TransactionID: DecidedTransaction] = [:]
    /// The highest timestamp of any change so far. What is prepared holds the closed timestamp back, so that one does
    /// not say it.
    package private(set) var highest: Timestamp = .zero

    package init() {}

    package init(prepared: [PreparedTransaction], decided: [DecidedTransaction], highest: Timestamp) {
        for transaction in prepared { self.prepared[transaction.id] = transaction }
        for transaction in decided { self.decided[transaction.id] = transaction }
        self.highest = highest
    }

    package var isEmpty: Bool { prepared.isEmpty && decided.isEmpty }

    /// Follows one command of the log.
    /// - Returns: what it does to the rows and to the memory of requests.
    package mutating func apply(_ command: Command) -> [Command] {
        guard let step = command.step else {
            highest = max(highest, command.timestamp)
            return [command]
        }
        let id = TransactionID(request: command.request, attempt: step.attempt)
        var effect = command
        switch step.kind {
        case .prepare(let preparation):
            prepared[id] = PreparedTransaction(
                id: id, timestamp: command.timestamp, mutations: command.mutations, preparation: preparation)
            return []
        case .commit:
            // Only a leaseholder that has prepared the transaction proposes its commit.
            guard let transaction = prepared.removeValue(forKey: id) else { return [] }
            highest = max(highest, command.timestamp)
            if transaction.preparation.isStaging {
                decided[id] = DecidedTransaction(
                    id: id, timestamp: command.timestamp, participants: transaction.preparation.participants)
            }
            effect.mutations = transaction.mutations
            guard transaction.preparation.isStaging else { return [effect] }
            var memory = command
            memory.request = id.commitment
            return [effect, memory]
        case .abort:
            prepared[id] = nil
            highest = max(highest, command.timestamp)
            effect.request = id.abortion
            return [effect]
        case .forget:
            decided[id] = nil
            return []
        case .erase:
            highest = max(highest, command.timestamp)
            return [command]
        }
    }
}

/// A transaction that this range has prepared: it can commit at `timestamp` or later, and nobody else can change what
/// it writes or has read.
package struct PreparedTransaction: Hashable, Sendable {
    package var id: TransactionID
    package var timestamp: Timestamp
    package var mutations: [Mutation]
    package var preparation: CommitStep.Preparation

    package init(
        id: TransactionID, timestamp: Timestamp, mutations: [Mutation], preparation: CommitStep.Preparation
    ) {
        self.id = id
        self.timestamp = timestamp
        self.mutations = mutations
        self.preparation = preparation
    }
}

package struct DecidedTransaction: Hashable, Sendable {
    package var id: TransactionID
    /// When it committed, in every range.
    package var timestamp: Timestamp
    /// The ranges that it writes, the anchor among them.
    package var participants: [RangeID]

    package init(id: TransactionID, timestamp: Timestamp, participants: [RangeID]) {
        self.id = id
        self.timestamp = timestamp
        self.participants = participants
    }
}
