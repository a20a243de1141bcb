/// Whether money is neither made nor lost: every read of all accounts must see the same total, and no account below
/// zero unless that is allowed. Transfers keep the total, so a read that sees another one saw the middle of a transfer
/// or two that overwrote each other. Jepsen's bank workload.
public enum BankChecker {
    /// - Parameters:
    ///   - total: that every read must see; nil takes that of the first read.
    /// - Throws: `.wrongModel`.
    public static func check(
        _ history: History, total: Int? = nil, allowsNegativeBalances: Bool = false
    ) throws(CheckerError) -> Verdict {
        try history.require(.bank)
        var ledger = AnomalyLedger(history)
        var expected = total
        var firstReader: Int?
        var accounts: [HistoryKey]?
        for operation in history.operations where operation.outcome == .ok {
            let step = history.steps[operation.firstStep]
            guard step.action == .balances, !step.isNull else { continue }
            let balances = history.balances(step)
            let seen = balances.map(\.account).sorted()
            if let accounts, let firstReader, seen != accounts {
                ledger.report(
                    .wrongAccounts, [operation.id, firstReader],
                    ["T1 saw \(seen.count) accounts, T2 \(accounts.count), or others: every read must see the same"])
            }
            accounts = accounts ?? seen
            let sum = balances.reduce(0) { $0 &+ $1.balance }
            if let expected, sum != expected {
                let name = sum > expected ? AnomalyName.moneyCreated : .moneyLost
                let source = firstReader == nil || total != nil ? "the stated total" : "the total that T2 read"
                ledger.report(
                    name, [operation.id] + (total == nil ? [firstReader].compactMap { $0 } : []),
                    [
                        "T1 saw a total of \(sum), \(source) is \(expected): \((sum - expected).magnitude) "
                            + (sum > expected ? "created" : "lost")
                    ])
            }
            expected = expected ?? sum
            firstReader = firstReader ?? operation.id
            guard !allowsNegativeBalances else { continue }
            for entry in balances where entry.balance < 0 {
                ledger.report(
                    .negativeBalance, [operation.id], ["T1 saw account \(entry.account) at \(entry.balance)"])
            }
        }
        return ledger.verdict()
    }
}
