/// One attempt to commit a transaction that several ranges take part in.
///
/// The request is the client's name for the commit, the same for every attempt; the attempt is a number drawn at
/// random. Attempts are told apart because one that was given up must never be finished by a message that comes late,
/// while the next attempt of the same request may succeed.
package struct TransactionID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let request: RequestID
    package let attempt: UInt64

    package init(request: RequestID, attempt: UInt64) {
        self.request = request
        self.attempt = attempt
    }

    /// The name under which a range remembers that this attempt was aborted there, in the memory in which it keeps the
    /// outcomes of requests. No client draws it.
    package var abortion: RequestID {
        RequestID(high: request.high ^ attempt, low: request.low ^ ~attempt)
    }

    /// The name under which the anchor remembers that this attempt was committed, for those who ask after it has
    /// forgotten the decision itself.
    package var commitment: RequestID {
        RequestID(high: request.high ^ ~attempt, low: request.low ^ attempt)
    }

    package static func < (lhs: TransactionID, rhs: TransactionID) -> Bool {
        (lhs.request.high, lhs.request.low, lhs.attempt) < (rhs.request.high, rhs.request.low, rhs.attempt)
    }

    package var description: String { "\(request)/\(attempt)" }
}
