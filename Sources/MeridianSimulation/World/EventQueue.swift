import MeridianCore
import MeridianReplica
import MeridianRuntime

/// What happens at a moment of virtual time. Events that name a node also name its life (`incarnation`), so that what
/// was under way when a process died does not reach the next one.
enum SimulatedEvent {
    /// The node's own deadline.
    case wake(node: Int, incarnation: Int)
    /// A frame arrives, unless its connection broke after it was sent.
    case deliver(NodeFrame, link: Int, epoch: Int)
    /// The disk has written what the log was writing.
    case logWritten(node: Int, incarnation: Int)
    /// An item of the state queue is done, and the node hears of it later.
    case stateWorked(node: Int, incarnation: Int, StateWork)
    case stateEnded(node: Int, incarnation: Int, StateWork, StateOutcome)
    /// Something has come for the node.
    case completed(node: Int, incarnation: Int, [NodeEvent])
    /// The thread that steps the node goes on.
    case heldUp(node: Int, incarnation: Int)
    /// A paused process runs again.
    case resume(node: Int, incarnation: Int)
    /// A fault begins or ends, a client's pause is over.
    case run(() -> Void)
}

/// The future, in the order in which it happens: by time, then by the order of scheduling, so that no two events are
/// ever in an undecided order.
///
/// A heap of four children a place moves small trivial values; the events themselves stay where they are until they are
/// moved out. Both lie in memory of their own, because this is the busiest place of the whole simulation: arrays would
/// be checked for other owners, and events copied, at every turn.
final class EventQueue {
    private struct Entry {
        var at: Int64
        var sequence: UInt32
        var slot: UInt32

        @inline(__always)
        func isBefore(_ other: Entry) -> Bool {
            // Sequence numbers wrap around; two that are compared at one moment are never far apart.
            at != other.at ? at < other.at : Int32(bitPattern: sequence &- other.sequence) < 0
        }
    }

    private var heap: UnsafeMutablePointer<Entry>
    private var events: UnsafeMutablePointer<SimulatedEvent>
    /// Slots of `events` without one. Invariant: `freeCount + count == capacity`.
    private var free: UnsafeMutablePointer<UInt32>
    private var capacity = 256
    private var count = 0
    private var freeCount = 0
    private var nextSequence: UInt32 = 0

    init() {
        heap = .allocate(capacity: capacity)
        events = .allocate(capacity: capacity)
        free = .allocate(capacity: capacity)
        freeSlots(from: 0)
    }

    deinit {
        removeAll()
        heap.deallocate()
        events.deallocate()
        free.deallocate()
    }

    /// When the first event happens; `nil` when nothing will.
    var nextTime: Int64? { count == 0 ? nil : heap[0].at }

    func insert(_ event: consuming SimulatedEvent, at time: Int64) {
        if freeCount == 0 { grow() }
        freeCount -= 1
        let slot = free[freeCount]
        (events + Int(slot)).initialize(to: event)
        let entry = Entry(at: time, sequence: nextSequence, slot: slot)
        nextSequence &+= 1
        var place = count
        count += 1
        while place > 0 {
            let parent = (place - 1) / 4
            guard entry.isBefore(heap[parent]) else { break }
            heap[place] = heap[parent]
            place = parent
        }
        heap[place] = entry
    }

    /// Takes the first event out. Precondition: there is one.
    func removeFirst() -> SimulatedEvent {
        precondition(count > 0, "nothing happens any more")
        let slot = heap[0].slot
        count -= 1
        if count > 0 { sink(heap[count]) }
        free[freeCount] = slot
        freeCount += 1
        return (events + Int(slot)).move()
    }

    func removeAll() {
        for place in 0..<count {
            let slot = heap[place].slot
            (events + Int(slot)).deinitialize(count: 1)
            free[freeCount] = slot
            freeCount += 1
        }
        count = 0
    }

    /// Lets an entry sink from the top to its place.
    @inline(__always)
    private func sink(_ entry: Entry) {
        var place = 0
        while true {
            let first = place * 4 + 1
            guard first < count else { break }
            var least = first
            for child in (first + 1)..<max(first + 1, min(first + 4, count)) where heap[child].isBefore(heap[least]) {
                least = child
            }
            guard heap[least].isBefore(entry) else { break }
            heap[place] = heap[least]
            place = least
        }
        heap[place] = entry
    }

    private func grow() {
        let larger = capacity * 2
        heap = Self.moved(heap, count, larger)
        // Without a free slot every one of them is in use.
        events = Self.moved(events, capacity, larger)
        free.deallocate()
        free = .allocate(capacity: larger)
        let first = capacity
        capacity = larger
        freeSlots(from: first)
    }

    private func freeSlots(from first: Int) {
        for slot in (first..<capacity).reversed() {
            free[freeCount] = UInt32(slot)
            freeCount += 1
        }
    }

    private static func moved<Element>(
        _ old: UnsafeMutablePointer<Element>, _ count: Int, _ capacity: Int
    ) -> UnsafeMutablePointer<Element> {
        let new = UnsafeMutablePointer<Element>.allocate(capacity: capacity)
        new.moveInitialize(from: old, count: count)
        old.deallocate()
        return new
    }
}
