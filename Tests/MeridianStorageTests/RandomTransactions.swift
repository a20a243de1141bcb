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
    mutating func ranges() -> [RangeID] { (0..<below(4)).map { _ in RangeID(next()) } }

    mutating func mutations() -> [Mutation] {
        (0..<below(4)).map { _ in Mutation(key: key(), value: below(3) == 0 ? nil : bytes(below: 20)) }
    }

    mutating func span() -> KeySpan {
        let (one, other) = (key(), key())
        return KeySpan(lower: min(one, other), upper: below(3) == 0 ? nil : max(one, other))
    }

    mutating func preparation() -> CommitStep.Preparation {
        CommitStep.Preparation(
            anchor: RangeID(next()), participants: ranges(), candidate: timestamp(), readsElsewhere: below(2) == 0,
            priority: TransactionPriority(begun: timestamp(), request: request()),
            keys: (0..<below(3)).map { _ in key() }, spans: (0..<below(3)).map { _ in span() })
    }

    mutating func step() -> CommitStep {
        let kind: CommitStep.Kind
        switch below(6) {
        case 0: kind = .commit
        case 1: kind = .abort
        case 2: kind = .forget
        default: kind = .prepare(preparation())
        }
        return CommitStep(attempt: next(), kind: kind)
    }

    mutating func transactionTable() -> TransactionTable {
        TransactionTable(
            prepared: (0..<below(4)).map { _ in
                PreparedTransaction(
                    id: TransactionID(request: request(), attempt: next()), timestamp: timestamp(),
                    mutations: mutations(), preparation: preparation())
            },
            decided: (0..<below(3)).map { _ in
                DecidedTransaction(
                    id: TransactionID(request: request(), attempt: next()), timestamp: timestamp(),
                    participants: ranges())
            }, highest: timestamp())
    }
}
