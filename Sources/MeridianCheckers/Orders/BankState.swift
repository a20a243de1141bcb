/// Accounts as transfers and reads run one after the other, for `OrderSearch`. What the accounts held at first is not
/// known: the first read says it, and whatever ran before is in it.
struct BankState: SerialState {
    private let history: History
    /// Place of each account in the balances, by key number; -1 for accounts that no read speaks of.
    private let place: [Int]
    private var balances: [Int]?
    /// By operation: whether it was the read that first said what is there.
    private var firstReader = -1
    private let accountCount: Int

    /// - Parameter accounts: key numbers of the accounts that every read speaks of, each once.
    init(_ history: History, accounts: [Int]) {
        self.history = history
        var place = [Int](repeating: -1, count: history.keys.count)
        for (number, account) in accounts.enumerated() { place[account] = number }
        self.place = place
        accountCount = accounts.count
    }

    private func step(_ operation: Int) -> Step { history.steps[history.operations[operation].firstStep] }

    /// A read that says what is there first is a choice: it decides what the accounts held before.
    func isHarmless(_ operation: Int) -> Bool { balances != nil && step(operation).action == .balances }

    mutating func apply(_ operation: Int) -> Bool {
        let step = step(operation)
        if step.action == .balances {
            let found = found(step)
            if let balances { return balances == found }
            balances = found
            firstReader = operation
            return true
        }
        return move(step.value, from: step.key, to: step.otherKey)
    }

    mutating func revert(_ operation: Int) {
        let step = step(operation)
        if step.action == .balances {
            guard operation == firstReader else { return }
            balances = nil
            firstReader = -1
            return
        }
        let isBack = move(step.value, from: step.otherKey, to: step.key)
        precondition(isBack, "a transfer that was possible cannot be taken back")
    }

    private func found(_ step: Step) -> [Int] {
        var result = [Int](repeating: 0, count: accountCount)
        for pair in 0..<Int(step.count) {
            result[place[history.elements[step.other + 2 * pair]]] = history.elements[step.other + 2 * pair + 1]
        }
        return result
    }

    private mutating func move(_ amount: Int, from payer: Int32, to payee: Int32) -> Bool {
        guard let before = balances else { return true }
        var after = before
        for (account, sign) in [(place[Int(payer)], false), (place[Int(payee)], true)] where account >= 0 {
            let (sum, overflows) =
                sign
                ? after[account].addingReportingOverflow(amount)
                : after[account].subtractingReportingOverflow(amount)
            // No account can hold that, so no read can have seen it.
            guard !overflows else { return false }
            after[account] = sum
        }
        balances = after
        return true
    }

    var fingerprint: Fingerprint {
        var result = Fingerprint()
        for (account, balance) in (balances ?? []).enumerated() {
            result.toggle(UInt64(account) + 1, UInt64(bitPattern: Int64(balance)))
        }
        return result
    }
}
