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
