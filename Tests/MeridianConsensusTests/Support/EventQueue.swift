/// Events by time; those of the same time in the order of their making.
struct EventQueue {
    private struct Item {
        var time: Int64
        var sequence: UInt64
        var event: SimulatedCluster.Event

        static func < (lhs: Item, rhs: Item) -> Bool { (lhs.time, lhs.sequence) < (rhs.time, rhs.sequence) }
    }

    private var heap: [Item] = []
    private var sequence: UInt64 = 0

    var nextTime: Int64? { heap.first?.time }

    mutating func push(_ event: SimulatedCluster.Event, at time: Int64) {
        sequence += 1
        heap.append(Item(time: time, sequence: sequence, event: event))
        var child = heap.count - 1
        while child > 0, heap[child] < heap[(child - 1) / 2] {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func pop() -> SimulatedCluster.Event {
        heap.swapAt(0, heap.count - 1)
        let item = heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child] < heap[least] {
                least = child
            }
            if least == parent { return item.event }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
