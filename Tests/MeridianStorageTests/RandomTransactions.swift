import MeridianCore

/// Transactions with made-up contents, edge values among them.
extension SplitMix64 {
    mutating func bytes(below limit: UInt64) -> [UInt8] { (0..<below(limit)).map { _ in UInt8(below(256)) } }
    mutating func key() -> Key { Key(bytes(below: 12)) }

    mutating func timestamp() -> Timestamp {
        switch below(5) {
        case 0: .zero
        case 1: .distantFuture
        default: Timestamp(rawValue: Int64(truncatingIfNeeded: next()))
        }
    }

    mutating func request() -> RequestID { RequestID(high: next(), low: next()) }
    mutating func participants() -> [Participant] {
        (0...below(3)).map { _ in Participant(RangeID(next()), in: Generation(UInt32(below(1 << 32)))) }
    }

    mutating func id() -> TransactionID { TransactionID(request: request(), attempt: next()) }

    mutating func ballot() -> Ballot {
        Ballot(position: Int(below(4)), generation: Generation(UInt32(below(1 << 32))))
    }

    mutating func cause() -> UndoneTransaction.Cause {
        .init(participants: participants(), candidate: timestamp(), mayBeAcknowledged: below(2) == 0)
    }

    mutating func mutations() -> [Mutation] {
        (0..<below(4)).map { _ in Mutation(key: key(), value: below(3) == 0 ? nil : bytes(below: 20)) }
    }

    mutating func span() -> KeySpan {
        let (one, other) = (key(), key())
        return KeySpan(lower: min(one, other), upper: below(3) == 0 ? nil : max(one, other))
    }

    mutating func preparation() -> CommitStep.Preparation {
        CommitStep.Preparation(
            participants: participants(), candidate: timestamp(), readsElsewhere: below(2) == 0,
            acknowledgesDecided: below(2) == 0, priority: TransactionPriority(begun: timestamp(), request: request()),
            keys: (0..<below(3)).map { _ in key() }, spans: (0..<below(3)).map { _ in span() })
    }

    mutating func step() -> CommitStep {
        let kind: CommitStep.Kind
        switch below(9) {
        case 0: kind = .commit
        case 1: kind = .abort
        case 2: kind = .forget((0..<below(3)).map { _ in id() })
        case 3: kind = .promise(ballot())
        case 4: kind = .adopt(participants())
        case 5: kind = .undo(cause())
        default: kind = .prepare(preparation())
        }
        return CommitStep(attempt: next(), kind: kind)
    }

    mutating func transactionTable() -> TransactionTable {
        TransactionTable(
            prepared: (0..<below(4)).map { _ in
                PreparedTransaction(
                    id: id(), timestamp: timestamp(), mutations: mutations(), preparation: preparation(),
                    promised: ballot())
            },
            decided: (0..<below(3)).map { _ in
                DecidedTransaction(id: id(), timestamp: timestamp(), participants: participants())
            },
            undone: (0..<below(3)).map { _ in UndoneTransaction(id: id(), cause: cause()) }, highest: timestamp())
    }
}
