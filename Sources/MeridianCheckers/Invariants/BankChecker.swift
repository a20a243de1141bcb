/// Whether money is neither made nor lost: every read of all accounts must see the same total, and no account below
/// zero unless that is allowed. Transfers keep the total, so a read that sees another one saw the middle of a transfer
/// or two that overwrote each other. Jepsen's bank workload.
///
/// And whether one order of the transfers explains all that was read: a transfer that happened twice, or never, or with
/// another amount keeps the total too. What the accounts held at first need not be known.
public enum BankChecker {
    /// - Parameters:
    ///   - total: that every read must see; nil takes that of the first read.
    ///   - consistency: whether the order must keep to real time.
    /// - Throws: `.wrongModel`.
    public static func check(
        _ history: History, total: Int? = nil, allowsNegativeBalances: Bool = false,
        consistency: SerializabilityChecker.Consistency = .strictSerializable
    ) throws(CheckerError) -> Verdict {
        try history.require(.bank)
        var ledger = AnomalyLedger(history)
        let reads = history.operations.filter { operation in
            let step = history.steps[operation.firstStep]
            return operation.outcome == .ok && step.action == .balances && !step.isNull
        }
        inspectAccounts(reads, history, &ledger)
        inspectTotals(reads, total, history, &ledger)
        if !allowsNegativeBalances { inspectBalances(reads, history, &ledger) }
        if ledger.isEmpty, let first = reads.first { findOrder(first, consistency, history, &ledger) }
        return ledger.verdict()
    }

    /// Key numbers of the accounts that a read speaks of.
    private static func accounts(_ read: Operation, _ history: History) -> [Int] {
        let step = history.steps[read.firstStep]
        return (0..<Int(step.count)).map { history.elements[step.other + 2 * $0] }
    }

    private static func inspectAccounts(_ reads: [Operation], _ history: History, _ ledger: inout AnomalyLedger) {
        guard let first = reads.first else { return }
        let expected = accounts(first, history).sorted()
        for read in reads {
            let seen = accounts(read, history).sorted()
            if let twice = zip(seen, seen.dropFirst()).first(where: ==) {
                ledger.report(
                    .wrongAccounts, [read.id], ["T1 saw account \(history.keys[twice.0]) twice"])
            } else if seen != expected {
                ledger.report(
                    .wrongAccounts, [read.id, first.id],
                    ["T1 saw \(seen.count) accounts, T2 \(expected.count), or others: every read must see the same"])
            }
        }
    }

    private static func inspectTotals(
        _ reads: [Operation], _ total: Int?, _ history: History, _ ledger: inout AnomalyLedger
    ) {
        // Of more than 64 bits: balances may be as large as they like.
        func sum(_ read: Operation) -> Int128 {
            history.balances(history.steps[read.firstStep]).reduce(0) { $0 + Int128($1.balance) }
        }
        guard let first = reads.first else { return }
        let expected = total.map { Int128($0) } ?? sum(first)
        for read in reads {
            let seen = sum(read)
            guard seen != expected else { continue }
            ledger.report(
                seen > expected ? .moneyCreated : .moneyLost, [read.id] + (total == nil ? [first.id] : []),
                [
                    "T1 saw a total of \(seen), \(total == nil ? "the total that T2 read" : "the stated total") is "
                        + "\(expected): \((seen - expected).magnitude) \(seen > expected ? "created" : "lost")"
                ])
        }
    }

    private static func inspectBalances(_ reads: [Operation], _ history: History, _ ledger: inout AnomalyLedger) {
        for read in reads {
            for entry in history.balances(history.steps[read.firstStep]) where entry.balance < 0 {
                ledger.report(.negativeBalance, [read.id], ["T1 saw account \(entry.account) at \(entry.balance)"])
            }
        }
    }

    // MARK: - One order of all

    private static func findOrder(
        _ first: Operation, _ consistency: SerializabilityChecker.Consistency, _ history: History,
        _ ledger: inout AnomalyLedger
    ) {
        let state = BankState(history, accounts: accounts(first, history))
        // An order that keeps to real time is soon found, and serves as well.
        var outcome = search(.realtime, state, history)
        if consistency == .serializable {
            if case .found = outcome { return }
            outcome = search(.data, state, history)
        }
        switch outcome {
        case .found: return
        case .exhausted: ledger.note("the totals are right; the search for an order was given up at its limit")
        case .none(let stuck):
            ledger.report(
                .nonSerializable, Array(stuck.prefix(6)),
                [
                    "no order of the transfers explains what was read, though the total is kept: one happened twice, "
                        + "never, or by half; every order ends before these"
                ])
        }
    }

    /// A transfer of unknown outcome may be left out, what failed and what read nothing is.
    private static func search(
        _ level: DependencyGraph.Level, _ state: BankState, _ history: History
    ) -> OrderSearch<BankState>.Outcome {
        let isNode = history.operations.map { operation in
            let step = history.steps[operation.firstStep]
            return step.action == .transfer ? operation.outcome != .fail : operation.outcome == .ok && !step.isNull
        }
        var graph = DependencyGraph(operationCount: history.operations.count)
        if level == .realtime { graph.addSessionAndRealtimeOrder(history.operations, isCommitted: isNode) }
        graph.seal()
        var search = OrderSearch(
            graph, history.operations, level: level, isNode: isNode,
            isRequired: history.operations.map { isNode[$0.id] && $0.outcome == .ok }, state: state,
            limit: SerializabilityChecker.searchLimit.base)
        return search.run()
    }
}
