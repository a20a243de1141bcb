import MeridianCore
import MeridianTransactions

/// The reads that a replica serves by what is closed, whether it leads or not.
struct LocalReads: Sendable {
    struct Read: Sendable {
        var address: ReplyAddress
        var request: ReadRequest
        var timestamp: Timestamp
        /// Until when it may wait here.
        var patience: Instant
    }

    /// Those that wait for a closed timestamp or for the clock, in the order of their arrival.
    var waiting: [Read] = []
    /// Those whose rows are being read, by their tickets.
    var evaluating: [UInt64: Read] = [:]
    private var nextTicket: UInt64 = 1

    /// When the first of those that wait goes elsewhere.
    var nextDeadline: Instant? { waiting.isEmpty ? nil : waiting.map(\.patience).min() }

    mutating func begin(_ read: Read) -> UInt64 {
        let ticket = nextTicket
        nextTicket += 1
        evaluating[ticket] = read
        return ticket
    }
}
