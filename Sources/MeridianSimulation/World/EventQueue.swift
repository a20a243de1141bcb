import HeapModule
import MeridianCore
import MeridianReplica

/// What happens at a moment of virtual time. Events that name a node also name its life (`incarnation`), so that what
/// was under way when a process died does not reach the next one.
enum SimulatedEvent {
    /// The node's own deadline.
    case wake(node: Int, incarnation: Int)
    /// A frame arrives, unless its connection broke after it was sent.
    case deliver(NodeFrame, link: Int, epoch: Int)
    /// The disk has written what the log was writing.
    case logWritten(node: Int, incarnation: Int)
    /// Something that the node asked its storage for is done.
    case completed(node: Int, incarnation: Int, [NodeEvent])
    case checkpoint(node: Int, incarnation: Int)
    case collectGarbage(node: Int, incarnation: Int)
    /// A paused process runs again.
    case resume(node: Int, incarnation: Int)
    /// A fault begins or ends, a client's pause is over.
    case run(() -> Void)
}

/// The future, in the order in which it happens: by time, then by the order of scheduling, so that no two events are
/// ever in an undecided order.
///
/// The heap moves small trivial values; the events themselves stay where they are.
struct EventQueue {
    private struct Entry: Comparable {
        var at: Int64
        var sequence: UInt32
        var slot: UInt32

        static func < (lhs: Entry, rhs: Entry) -> Bool {
            // Sequence numbers wrap around; two that are compared at one moment are never far apart.
            lhs.at != rhs.at ? lhs.at < rhs.at : Int32(bitPattern: lhs.sequence &- rhs.sequence) < 0
        }
    }

    private var heap = Heap<Entry>()
    private var events: [SimulatedEvent?] = []
    private var free: [UInt32] = []
    private var nextSequence: UInt32 = 0

    var nextTime: Int64? { heap.min?.at }

    mutating func insert(_ event: SimulatedEvent, at time: Int64) {
        let slot: UInt32
        if let reused = free.popLast() {
            slot = reused
            events[Int(slot)] = event
        } else {
            slot = UInt32(events.count)
            events.append(event)
        }
        heap.insert(Entry(at: time, sequence: nextSequence, slot: slot))
        nextSequence &+= 1
    }

    mutating func popFirst() -> (at: Int64, event: SimulatedEvent)? {
        guard let entry = heap.popMin() else { return nil }
        free.append(entry.slot)
        return (entry.at, events[Int(entry.slot)].take()!)
    }
}
