/// What a history is about. The model says how its values are written and which checker judges it: `read [3, 7]` is a
/// register's value in one and a set's elements in another, so a reader must be told.
public enum HistoryModel: String, CaseIterable, Sendable {
    /// Transactions that append to lists and read them whole (Elle's list-append).
    case append
    /// Transactions that write and read registers (Elle's rw-register).
    case registers
    /// Single reads, writes and compare-and-sets of registers, each linearizable by itself.
    case register
    /// Transfers between accounts, and reads of all accounts.
    case bank
    /// Adds of elements to one set, and reads of it.
    case set
    /// Transactions of one write each, and transactions that only read.
    case longFork = "long-fork"
    /// Values or timestamps that may only grow.
    case monotonic
    /// Adds and reads of one set, judged by the order in which adds become visible.
    case causal
}

extension HistoryModel {
    /// Whether an operation of such a history can have this value.
    func takes(_ value: HistoryValue) -> Bool {
        switch (self, value) {
        case (.append, .transaction(let steps)):
            steps.allSatisfy { step in
                switch step {
                case .append, .readList: true
                case .write, .read: false
                }
            }
        case (.registers, .transaction(let steps)), (.longFork, .transaction(let steps)),
            (.monotonic, .transaction(let steps)):
            steps.allSatisfy { step in
                switch step {
                case .write, .read: true
                case .append, .readList: false
                }
            }
        case (.register, .read), (.register, .write), (.register, .compareAndSet): true
        case (.monotonic, .read), (.monotonic, .write): true
        case (.bank, .transfer), (.bank, .balances): true
        case (.set, .add), (.set, .elements), (.causal, .add), (.causal, .elements): true
        default: false
        }
    }
}

extension HistoryValue {
    /// Whether the number is among what is written, read, added or paid.
    func holds(_ number: Int) -> Bool {
        switch self {
        case .transaction(let steps):
            steps.contains { step in
                switch step {
                case .append(_, let value), .write(_, let value): value == number
                case .readList(_, let found): found?.contains(number) ?? false
                case .read(_, let found): found == number
                }
            }
        case .read(_, let found): found == number
        case .write(_, let value), .add(let value), .transfer(_, _, let value): value == number
        case .compareAndSet(_, let from, let to): from == number || to == number
        case .balances(let found): found?.contains { $0.balance == number } ?? false
        case .elements(let found): found?.contains(number) ?? false
        }
    }
}
