import DequeModule
import MeridianCore

/// The window of appends that are on their way to one follower, limited in messages and in bytes.
///
/// Promises: it is full before either limit is passed by more than one message, so a slow follower costs a bounded
/// amount of memory on the wire. One message larger than the byte limit may still go out alone, or it would never.
///
/// Invariant: `pending` is in the order sent, its `last` indexes do not fall, and `byteCount` is the sum of its bytes.
package struct Inflights: Hashable, Sendable {
    private struct Sent: Hashable, Sendable {
        var last: LogIndex
        var byteCount: Int
    }

    package let maximumMessages: Int
    package let maximumBytes: Int
    private var pending: Deque<Sent> = []
    package private(set) var byteCount = 0

    package init(maximumMessages: Int, maximumBytes: Int) {
        precondition(maximumMessages > 0, "a window of \(maximumMessages) messages lets nothing through")
        precondition(maximumBytes > 0, "a window of \(maximumBytes) bytes lets nothing through")
        self.maximumMessages = maximumMessages
        self.maximumBytes = maximumBytes
    }

    package var count: Int { pending.count }
    /// The last entry of the oldest message.
    package var oldest: LogIndex? { pending.first?.last }
    package var isEmpty: Bool { pending.isEmpty }
    package var isFull: Bool { pending.count >= maximumMessages || byteCount >= maximumBytes }

    package mutating func add(last: LogIndex, byteCount bytes: Int) {
        precondition(!isFull, "a message was sent past a full window of \(count) messages, \(byteCount) bytes")
        precondition(pending.last.map { $0.last < last } ?? true, "message \(last) was sent out of order")
        pending.append(Sent(last: last, byteCount: bytes))
        byteCount += bytes
    }

    /// Everything up to here has arrived: acknowledgements are cumulative, so a lost one frees nothing for long.
    package mutating func free(upTo index: LogIndex) {
        while let first = pending.first, first.last <= index {
            byteCount -= first.byteCount
            pending.removeFirst()
        }
    }

    package mutating func reset() {
        pending.removeAll(keepingCapacity: true)
        byteCount = 0
    }
}
