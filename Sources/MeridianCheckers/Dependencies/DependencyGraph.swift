/// Which transaction must come before which, and why.
///
/// Nodes are operations, by their place in the history, and helpers behind them. A helper stands for a set of edges
/// that would otherwise be a product: everything that ended before → everything that began after. Edges into a helper
/// have the kind of what they begin; edges out of one are relays. A path operation → helper → … → operation is
/// therefore one dependency, and helpers are built so that no such path leads back to its operation.
///
/// The kinds are those of Adya, "Weak Consistency" (MIT, 1999), section 3.1: ww (installs the next version), wr (reads
/// a version), rw (reads a version whose successor the other installs). Elle adds the order of a process and of real
/// time.
struct DependencyGraph {
    enum Kind: UInt8 { case ww, wr, rw, process, realtime, relay }

    /// How much must be promised for an edge to hold.
    enum Level: UInt8, Comparable, CaseIterable {
        /// Serializability.
        case data
        /// And each process sees its own order.
        case process
        /// And what ended stays before what begins: strict serializability.
        case realtime

        static func < (one: Self, other: Self) -> Bool { one.rawValue < other.rawValue }
    }

    struct Edge {
        var from: Int32
        var to: Int32
        var kind: Kind
        var level: Level
        var key: Int32 = -1
        /// The version that was installed or read, and that of the other: last elements or values.
        var value = 0
        var next = 0
    }

    let operationCount: Int
    private(set) var nodeCount: Int
    private(set) var edges: [Edge] = []
    /// Edges by their first node, once sealed.
    private(set) var firstEdge: [Int32] = []
    private(set) var edgeOrder: [Int32] = []

    init(operationCount: Int) {
        self.operationCount = operationCount
        nodeCount = operationCount
    }

    mutating func add(_ edge: Edge) {
        precondition(edge.from != edge.to, "operation \(edge.from) depends on itself")
        edges.append(edge)
    }

    mutating func helper() -> Int32 {
        nodeCount += 1
        return Int32(nodeCount - 1)
    }

    /// Sorts the edges by their first node. No edge may be added afterwards.
    mutating func seal() {
        (firstEdge, edgeOrder) = Self.sorted(edges, nodeCount: nodeCount)
    }

    func edges(of node: Int32) -> ArraySlice<Int32> {
        edgeOrder[Int(firstEdge[Int(node)])..<Int(firstEdge[Int(node) + 1])]
    }

    /// Counting sort.
    private static func sorted(_ edges: [Edge], nodeCount: Int) -> ([Int32], [Int32]) {
        var first = [Int32](repeating: 0, count: nodeCount + 1)
        for edge in edges { first[Int(edge.from) + 1] += 1 }
        for node in 0..<nodeCount { first[node + 1] += first[node] }
        var next = first
        var order = [Int32](repeating: 0, count: edges.count)
        for (number, edge) in edges.enumerated() {
            order[Int(next[Int(edge.from)])] = Int32(number)
            next[Int(edge.from)] += 1
        }
        return (first, order)
    }
}

extension DependencyGraph {
    /// Every reader read a version that each writer's version comes after. At most readers + writers edges for large
    /// sets, and never one from an operation to itself.
    ///
    /// - Parameter edge: from and to are filled in. Both lists are sorted and without doubles.
    mutating func connect(_ readers: [Int32], before writers: [Int32], by edge: Edge) {
        guard readers.count * writers.count > 64 else {
            for reader in readers {
                for writer in writers where writer != reader { add(edge, reader, writer) }
            }
            return
        }
        let both = Self.intersection(readers, writers)
        let strangers = readers.filter { !Self.contains(both, $0) }
        let others = writers.filter { !Self.contains(both, $0) }
        let toOthers = helper()
        for writer in others { relay(toOthers, writer) }
        let toAll = helper()
        relay(toAll, toOthers)
        for writer in both { relay(toAll, writer) }
        for reader in strangers { add(edge, reader, toAll) }
        // Who reads and writes must not meet itself: a ring leads from each to all the others.
        for (place, reader) in both.enumerated() {
            add(edge, reader, toOthers)
            if both.count > 1 { add(edge, reader, both[(place + 1) % both.count]) }
        }
    }

    private mutating func add(_ edge: Edge, _ from: Int32, _ to: Int32) {
        var edge = edge
        edge.from = from
        edge.to = to
        add(edge)
    }

    private mutating func relay(_ from: Int32, _ to: Int32) {
        add(Edge(from: from, to: to, kind: .relay, level: .data))
    }

    private static func intersection(_ one: [Int32], _ other: [Int32]) -> [Int32] {
        one.filter { contains(other, $0) }
    }

    private static func contains(_ sorted: [Int32], _ member: Int32) -> Bool {
        var low = 0
        var high = sorted.count
        while low < high {
            let middle = (low + high) / 2
            if sorted[middle] < member { low = middle + 1 } else { high = middle }
        }
        return low < sorted.count && sorted[low] == member
    }
}

extension DependencyGraph {
    /// Adds the order of processes and of real time.
    ///
    /// Real time as a chain of barriers, one before each invocation that follows a completion: completions lead into
    /// the next barrier, barriers into the next one and into the invocations behind them. That is 3n edges, where the
    /// plain relation has up to n². An unknown operation has no completion, so nothing comes after it.
    ///
    /// - Parameter isCommitted: by operation; only these are nodes.
    mutating func addSessionAndRealtimeOrder(_ operations: [Operation], isCommitted: [Bool]) {
        var lastOfProcess: [Int: Int32] = [:]
        for operation in operations where isCommitted[operation.id] {
            if let last = lastOfProcess[operation.process] {
                add(Edge(from: last, to: Int32(operation.id), kind: .process, level: .process))
            }
            lastOfProcess[operation.process] = operation.outcome == .ok ? Int32(operation.id) : nil
        }
        let ends =
            operations.filter { isCommitted[$0.id] && $0.outcome == .ok }.map { (end: $0.end, id: Int32($0.id)) }
            .sorted { $0.end < $1.end }
        var ended = 0
        var barrier: Int32?
        for operation in operations where isCommitted[operation.id] {
            if ended < ends.count, ends[ended].end < operation.start {
                let next = helper()
                if let barrier { add(Edge(from: barrier, to: next, kind: .relay, level: .realtime)) }
                while ended < ends.count, ends[ended].end < operation.start {
                    add(Edge(from: ends[ended].id, to: next, kind: .realtime, level: .realtime))
                    ended += 1
                }
                barrier = next
            }
            if let barrier {
                add(Edge(from: barrier, to: Int32(operation.id), kind: .relay, level: .realtime))
            }
        }
    }
}
