/// What a range knows of transactions that it takes part in and that are not over: a part of its replicated state.
///
/// A range takes part by a log entry that **prepares**: the writes, provisional, and what the transaction has read
/// here. From then on nobody else may change any of it, until an entry **commits** or **aborts** the transaction in
/// this range. One of the ranges is the **anchor**: its prepare entry is also the staging record, and its log decides.
/// Every range keeps that it has committed a transaction until every participant is known to have done so, and then
/// **forgets**: whichever of them are given up meanwhile, one that is left can tell.
///
/// The table is a function of the log, the same in every replica at the same index. So a new leaseholder knows at once
/// what its predecessor had promised.
package struct TransactionTable: Hashable, Sendable {
    package private(set) var prepared: [TransactionID: PreparedTransaction] = [:]
    /// Commits of which some participant may not know yet.
    package private(set) var decided: [TransactionID: DecidedTransaction] = [:]
    /// What was aborted here because of a loss, and was not reported yet.
    package private(set) var undone: [TransactionID: UndoneTransaction] = [:]
    /// The highest timestamp of any change so far. What is prepared holds the closed timestamp back, so that one does
    /// not say it.
    package private(set) var highest: Timestamp = .zero

    package init() {}

    package init(
        prepared: [PreparedTransaction], decided: [DecidedTransaction], undone: [UndoneTransaction], highest: Timestamp
    ) {
        for transaction in prepared { self.prepared[transaction.id] = transaction }
        for transaction in decided { self.decided[transaction.id] = transaction }
        for transaction in undone { self.undone[transaction.id] = transaction }
        self.highest = highest
    }

    package var isEmpty: Bool { prepared.isEmpty && decided.isEmpty && undone.isEmpty }

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
        case .promise(let ballot):
            guard let promised = prepared[id]?.promised else { return [] }
            prepared[id]?.promised = max(promised, ballot)
            return []
        case .commit:
            // Only a leaseholder that has prepared the transaction proposes its commit.
            guard let transaction = prepared.removeValue(forKey: id) else { return [] }
            return committed(command, id, transaction.mutations, transaction.preparation.participants)
        case .adopt(let participants):
            guard decided[id] == nil, undone[id] == nil else { return [] }
            return committed(command, id, prepared.removeValue(forKey: id)?.mutations ?? [], participants)
        case .abort:
            prepared[id] = nil
            highest = max(highest, command.timestamp)
            effect.request = id.abortion
            return [effect]
        case .undo(let cause):
            let wasPrepared = prepared.removeValue(forKey: id) != nil
            highest = max(highest, command.timestamp)
            if decided[id] == nil { undone[id] = UndoneTransaction(id: id, cause: cause) }
            // Where it was not, the question whether it was has been answered by an abort that is remembered: once is
            // enough, since which of two is remembered could differ from replica to replica.
            effect.request = id.abortion
            return wasPrepared ? [effect] : []
        case .forget(let ids):
            for id in ids { (decided[id], undone[id]) = (nil, nil) }
            return []
        case .erase:
            highest = max(highest, command.timestamp)
            return [command]
        }
    }

    private mutating func committed(
        _ command: Command, _ id: TransactionID, _ mutations: [Mutation], _ participants: [Participant]
    ) -> [Command] {
        highest = max(highest, command.timestamp)
        decided[id] = DecidedTransaction(id: id, timestamp: command.timestamp, participants: participants)
        var effect = command
        effect.mutations = mutations
        var memory = command
        memory.request = id.commitment
        return [effect, memory]
    }
}

/// A transaction that this range has prepared: it can commit at `timestamp` or later, and nobody else can change what
/// it writes or has read.
package struct PreparedTransaction: Hashable, Sendable {
    package var id: TransactionID
    package var timestamp: Timestamp
    package var mutations: [Mutation]
    package var preparation: CommitStep.Preparation
    /// The lowest ballot whose decision it follows.
    package var promised: Ballot

    package init(
        id: TransactionID, timestamp: Timestamp, mutations: [Mutation], preparation: CommitStep.Preparation,
        promised: Ballot? = nil
    ) {
        self.id = id
        self.timestamp = timestamp
        self.mutations = mutations
        self.preparation = preparation
        self.promised = promised ?? Ballot(of: preparation.participants)
    }
}

package struct DecidedTransaction: Hashable, Sendable {
    package var id: TransactionID
    /// When it committed, in every range.
    package var timestamp: Timestamp
    /// The ranges that it writes, in their order.
    package var participants: [Participant]

    package init(id: TransactionID, timestamp: Timestamp, participants: [Participant]) {
        self.id = id
        self.timestamp = timestamp
        self.participants = participants
    }
}

/// A transaction that was aborted because a range was given up, or has lost what it had prepared.
package struct UndoneTransaction: Hashable, Sendable {
    package struct Cause: Hashable, Sendable {
        package var participants: [Participant]
        /// When it would have committed, or later.
        package var candidate: Timestamp
        /// Its client may have been told that it had committed.
        package var mayBeAcknowledged: Bool

        package init(participants: [Participant], candidate: Timestamp, mayBeAcknowledged: Bool) {
            self.participants = participants
            self.candidate = candidate
            self.mayBeAcknowledged = mayBeAcknowledged
        }
    }

    package var id: TransactionID
    package var cause: Cause

    package init(id: TransactionID, cause: Cause) {
        self.id = id
        self.cause = cause
    }
}
