/// Anomalies of single registers, banks, sets and orders.
extension PlantedAnomaly {
    private static func done(_ values: HistoryValue...) -> [Done] { values.map { Done(value: $0) } }

    private static func inOrder(
        _ name: AnomalyName, _ model: HistoryModel, _ operations: [Done], around: [Done] = []
    ) -> PlantedAnomaly {
        PlantedAnomaly(
            name: name, model: model, events: ordered(operations, around: around, isOneProcess: false))
    }

    private static let x = HistoryKey.string("x")

    /// A register that is not linearizable, in several ways.
    public static var ofRegister: [PlantedAnomaly] {
        [
            inOrder(.nonLinearizable, .register, done(.write(x, 1), .write(x, 2), .read(x, 1))),
            inOrder(.nonLinearizable, .register, done(.write(x, 1), .read(x, nil))),
            inOrder(.nonLinearizable, .register, done(.read(x, 7))),
            inOrder(.nonLinearizable, .register, done(.read(x, 1), .write(x, 1))),
            // Two compare-and-sets from one value both succeed.
            inOrder(
                .nonLinearizable, .register,
                done(.write(x, 1), .compareAndSet(x, from: 1, to: 2), .compareAndSet(x, from: 1, to: 3))),
            // A value that was replaced comes back, though the write that overlaps all can have happened only once.
            inOrder(
                .nonLinearizable, .register, done(.write(x, 1), .read(x, 2), .read(x, 1), .read(x, 2)),
                around: done(.write(x, 2))),
            // An unknown write cannot be undone.
            inOrder(
                .nonLinearizable, .register, done(.write(x, 1), .read(x, 2), .read(x, 1)),
                around: [Done(value: .write(x, 2), phase: .info)]),
        ]
    }

    private static func accounts(_ balances: Int...) -> HistoryValue {
        .balances(balances.enumerated().map { AccountBalance(account: .int($0.offset), balance: $0.element) })
    }

    /// Every anomaly of a bank with the accounts of a generated history, 8 times 100.
    public static var ofBank: [PlantedAnomaly] {
        [
            inOrder(
                .moneyCreated, .bank,
                done(.transfer(from: .int(0), to: .int(1), amount: 5))
                    + done(accounts(100, 105, 100, 100, 100, 100, 100, 100))),
            inOrder(.moneyLost, .bank, done(accounts(95, 100, 100, 100, 100, 100, 100, 100))),
            inOrder(.negativeBalance, .bank, done(accounts(-5, 205, 100, 100, 100, 100, 100, 100))),
            inOrder(.wrongAccounts, .bank, done(accounts(800))),
        ]
    }

    /// Every anomaly of a set. The pieces stand alone: what they read is the whole set.
    public static var ofSet: [PlantedAnomaly] {
        [
            inOrder(.lostElement, .set, done(.add(-1), .elements([]))),
            inOrder(.unstableElement, .set, done(.add(-1), .elements([-1]), .elements([]))),
            inOrder(
                .unstableElement, .set, done(.elements([-1]), .elements([]), .elements([-1])),
                around: [Done(value: .add(-1), phase: .info)]),
            inOrder(.unexpectedElement, .set, done(.elements([-1]))),
            inOrder(.unexpectedElement, .set, [Done(value: .add(-1), phase: .fail)] + done(.elements([-1]))),
        ]
    }

    /// Anomalies of order: long fork, values that go back, effects before their causes.
    public static var ofOrders: [PlantedAnomaly] {
        let y = HistoryKey.string("y")
        return [
            PlantedAnomaly(
                name: .longFork, model: .longFork,
                events: together(
                    done(
                        .transaction([.write(x, 1)]), .transaction([.write(y, 1)]),
                        .transaction([.read(x, 1), .read(y, nil)]), .transaction([.read(x, nil), .read(y, 1)])))),
            inOrder(.nonMonotonic, .monotonic, done(.write(x, 5), .read(x, 4))),
            inOrder(.nonMonotonic, .monotonic, done(.read(x, 5), .read(x, nil))),
            inOrder(.causalReverse, .causal, done(.add(-1), .add(-2)), around: done(.elements([-2]))),
        ]
    }
}
