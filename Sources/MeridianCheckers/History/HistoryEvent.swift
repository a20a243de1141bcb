/// One line of a history: a process begins an operation, or learns how it ended.
public struct HistoryEvent: Sendable, Equatable {
    /// What happened to the operation.
    public enum Phase: String, Sendable {
        case invoke
        /// It happened, and the value is what was read.
        case ok
        /// It certainly did not happen.
        case fail
        /// It may have happened, or may yet happen.
        case info
    }

    /// Rises from event to event, not necessarily by one.
    public var index: Int
    /// One process has at most one operation open, and none after one of unknown outcome.
    public var process: Int
    public var phase: Phase
    /// May be nil in `fail` and `info`, where it is not used: they were asked what their invocation says.
    public var value: HistoryValue?
    /// Nanoseconds since any moment that the whole history shares. Never goes back.
    public var time: Int
    /// Where the process ran, if that was recorded.
    public var region: String?

    public init(
        index: Int, process: Int, phase: Phase, value: HistoryValue?, time: Int, region: String? = nil
    ) {
        self.index = index
        self.process = process
        self.phase = phase
        self.value = value
        self.time = time
        self.region = region
    }
}

/// A key of a register or list, or an account. Two strings are one key only if they are equal byte for byte: Swift
/// takes canonically equivalent ones for equal (U+00E9, and e with U+0301), stores do not.
public enum HistoryKey: Sendable, CustomStringConvertible {
    case int(Int)
    case string(String)

    public var description: String {
        switch self {
        case .int(let number): String(number)
        case .string(let text): text
        }
    }
}

extension HistoryKey: Hashable, Comparable {
    public static func == (one: Self, other: Self) -> Bool {
        switch (one, other) {
        case (.int(let one), .int(let other)): one == other
        case (.string(let one), .string(let other)): one.utf8.elementsEqual(other.utf8)
        case (.int, .string), (.string, .int): false
        }
    }

    public func hash(into hasher: inout Hasher) {
        switch self {
        case .int(let number):
            hasher.combine(UInt8(0))
            hasher.combine(number)
        case .string(let text):
            hasher.combine(UInt8(1))
            for byte in text.utf8 { hasher.combine(byte) }
        }
    }

    /// Numbers first.
    public static func < (one: Self, other: Self) -> Bool {
        switch (one, other) {
        case (.int(let one), .int(let other)): one < other
        case (.string(let one), .string(let other)): one.utf8.lexicographicallyPrecedes(other.utf8)
        case (.int, .string): true
        case (.string, .int): false
        }
    }
}

/// What an operation does and, once it is complete, what it saw. Decides `f` of the line.
public enum HistoryValue: Sendable, Equatable {
    /// `txn`: steps in the order in which they ran.
    case transaction([TransactionStep])
    /// `read` of a register: nil where it was not read yet, or held nothing.
    case read(HistoryKey, Int?)
    case write(HistoryKey, Int)
    /// `cas`: sets the register to `to` if it holds `from`.
    case compareAndSet(HistoryKey, from: Int?, to: Int)
    case transfer(from: HistoryKey, to: HistoryKey, amount: Int)
    /// `read` of all accounts: nil where they were not read yet.
    case balances([AccountBalance]?)
    /// `add` of an element to a set.
    case add(Int)
    /// `read` of a set: nil where it was not read yet.
    case elements([Int]?)
}

/// What one account held.
public struct AccountBalance: Sendable, Equatable {
    public var account: HistoryKey
    public var balance: Int

    public init(account: HistoryKey, balance: Int) {
        self.account = account
        self.balance = balance
    }
}

/// One step of a transaction.
public enum TransactionStep: Sendable, Equatable {
    /// Adds a value at the end of a list. A value is appended to a key at most once in a history.
    case append(HistoryKey, Int)
    /// Reads a whole list: nil where it was not read yet, or where the key held nothing.
    case readList(HistoryKey, [Int]?)
    /// Sets a register. A value is written to a key at most once in a history.
    case write(HistoryKey, Int)
    /// Reads a register: nil where it was not read yet, or where the key held nothing.
    case read(HistoryKey, Int?)
}
