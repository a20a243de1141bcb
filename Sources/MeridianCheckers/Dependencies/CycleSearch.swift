/// Finds, in a dependency graph, the shortest cycle of the most severe kind of each strongly connected component: the
/// smallest story that shows what went wrong (Elle, section 5.3).
///
/// A kind is looked for by closing a path: for each edge u → v of the kind that the cycle must have (ww for G0, wr for
/// G1c, rw for the others), a breadth-first search from v for u along the edges that the kind allows. Lengths are tried
/// in rising order, so the first that is found is the shortest. Real time is not followed along its barriers but
/// computed: an operation reaches all that began after it ended, so one pointer over the component's operations, sorted
/// by their beginnings, visits each once.
///
/// The work is bounded. A component that exhausts the bound is still reported, with a cycle that may be longer or less
/// severe than its worst; the verdict says so.
struct CycleSearch {
    enum Class: Int, CaseIterable {
        case g0, g1c, gSingle, gNonadjacent, g2Item

        var name: AnomalyName {
            switch self {
            case .g0: .g0
            case .g1c: .g1c
            case .gSingle: .gSingle
            case .gNonadjacent: .gNonadjacent
            case .g2Item: .g2Item
            }
        }

        var closing: DependencyGraph.Kind {
            switch self {
            case .g0: .ww
            case .g1c: .wr
            case .gSingle, .gNonadjacent, .g2Item: .rw
            }
        }

        /// Whether such a cycle may have the edge besides the one that closes it.
        func allows(_ kind: DependencyGraph.Kind) -> Bool {
            switch self {
            case .g0: kind != .wr && kind != .rw
            case .g1c, .gSingle: kind != .rw
            case .gNonadjacent, .g2Item: true
            }
        }
    }

    /// Operations in order, and the edge from each to the next; the last leads to the first.
    struct Cycle {
        var edges: [DependencyGraph.Edge] = []

        var operations: [Int] { edges.map { Int($0.from) } }
        var level: DependencyGraph.Level { edges.map(\.level).max() ?? .data }

        var kind: Class {
            let isAntidependency = edges.map { $0.kind == .rw }
            let count = isAntidependency.count { $0 }
            if count == 0 { return edges.contains { $0.kind == .wr } ? .g1c : .g0 }
            if count == 1 { return .gSingle }
            let areAdjacent = isAntidependency.indices.contains { place in
                isAntidependency[place] && isAntidependency[(place + 1) % edges.count]
            }
            return areAdjacent ? .g2Item : .gNonadjacent
        }

        var name: AnomalyName { kind.name.variant(level) }
    }

    static let maximumLength = 64

    private let graph: DependencyGraph
    private let operations: [Operation]
    /// Component of each node at the level and among the edges that are looked at; 0 for none.
    private var component: [Int32]
    /// Marks of the running search; a mark is valid if it equals `round`.
    private var seen: [Int32]
    private var seenAfterAntidependency: [Int32]
    private var round: Int32 = 0
    /// Edges that may still be looked at for one class, and for all.
    private var budget = 0
    private var totalBudget: Int
    private(set) var isExhausted = false

    init(_ graph: DependencyGraph, _ operations: [Operation], budget: Int = 120_000_000) {
        self.graph = graph
        self.operations = operations
        totalBudget = budget
        component = []
        seen = []
        seenAfterAntidependency = []
    }

    /// Cycles, at most one of a level and component, the weaker promises first.
    mutating func cycles(levels: [DependencyGraph.Level]) -> [Cycle] {
        // Most histories have none, and one pass over everything tells.
        guard let highest = levels.max(), !components(upTo: highest).isEmpty else { return [] }
        seen = [Int32](repeating: 0, count: graph.nodeCount)
        seenAfterAntidependency = seen
        var best = [Int](repeating: Class.allCases.count, count: graph.operationCount)
        var result: [Cycle] = []
        for level in levels {
            // G0 and G1c are cycles among fewer kinds of edges, so they lie in components of these.
            let maps = [Class.g0, .g1c, .g2Item].map { componentMap(components(upTo: level, $0)) }
            let parts = components(upTo: level)
            for members in parts {
                let inside = members.filter { $0 < graph.operationCount }
                // What a weaker promise forbids as severely is not news.
                let known = inside.map { best[Int($0)] }.min() ?? Class.allCases.count
                guard let cycle = worstCycle(inside, level, below: known, maps) else { continue }
                result.append(cycle)
                for member in inside { best[Int(member)] = min(best[Int(member)], cycle.kind.rawValue) }
            }
        }
        return result
    }

    private func componentMap(_ components: [[Int32]]) -> [Int32] {
        var map = [Int32](repeating: 0, count: graph.nodeCount)
        for (number, members) in components.enumerated() {
            for member in members { map[Int(member)] = Int32(number + 1) }
        }
        return map
    }

    private func components(upTo level: DependencyGraph.Level, _ kind: Class = .g2Item) -> [[Int32]] {
        Components.cyclic(nodeCount: graph.nodeCount, firstEdge: graph.firstEdge, edgeOrder: graph.edgeOrder) {
            let edge = graph.edges[Int($0)]
            return edge.level <= level && kind.allows(edge.kind) ? edge.to : -1
        }
    }

    private mutating func worstCycle(
        _ members: [Int32], _ level: DependencyGraph.Level, below known: Int, _ maps: [[Int32]]
    ) -> Cycle? {
        let sorted = members.sorted { operations[Int($0)].start < operations[Int($1)].start }
        for kind in Class.allCases where kind.rawValue < known {
            component = maps[min(kind.rawValue, 2)]
            let closing = closingEdges(members, kind, level)
            guard !closing.isEmpty else { continue }
            budget = totalBudget / 4
            defer { totalBudget -= max(0, totalBudget / 4 - max(0, budget)) }
            for length in 2...Self.maximumLength {
                for edge in closing {
                    if let cycle = close(edge, kind, level, length: length, sorted) { return cycle }
                    if budget <= 0 { break }
                }
                if budget <= 0 || length > members.count * 2 { break }
            }
            if budget <= 0 { isExhausted = true }
        }
        guard known == Class.allCases.count else { return nil }
        component = maps[2]
        isExhausted = true
        return anyCycle(members, level, sorted)
    }

    /// Edges of the kind within the component, those that lead farthest back in time first: a cycle needs one that
    /// leads back, and in a large component few do.
    private func closingEdges(
        _ members: [Int32], _ kind: Class, _ level: DependencyGraph.Level
    ) -> [DependencyGraph.Edge] {
        var found: [DependencyGraph.Edge] = []
        for member in members {
            for number in graph.edges(of: member) {
                let edge = graph.edges[Int(number)]
                guard edge.kind == kind.closing, edge.level <= level,
                    component[Int(edge.to)] == component[Int(member)]
                else { continue }
                for target in targets(of: edge, level) {
                    var direct = edge
                    direct.to = target
                    found.append(direct)
                }
            }
        }
        func reach(_ edge: DependencyGraph.Edge) -> Int {
            let other = operations[Int(edge.to)]
            return operations[Int(edge.from)].start - (other.end == Operation.never ? other.start : other.end)
        }
        return found.map { ($0, reach($0)) }.sorted {
            ($0.1, $1.0.from, $1.0.to, $1.0.key) > ($1.1, $0.0.from, $0.0.to, $0.0.key)
        }.map(\.0)
    }

    /// The operations behind an edge: one, or those that a helper stands for.
    private func targets(of edge: DependencyGraph.Edge, _ level: DependencyGraph.Level) -> [Int32] {
        if edge.to < graph.operationCount { return [edge.to] }
        var result: [Int32] = []
        var open = [edge.to]
        while let node = open.popLast() {
            for number in graph.edges(of: node) {
                let next = graph.edges[Int(number)]
                guard next.level <= level, component[Int(next.to)] == component[Int(edge.from)] else { continue }
                if next.to < graph.operationCount { result.append(next.to) } else { open.append(next.to) }
            }
        }
        return result
    }
}

// MARK: - Search

extension CycleSearch {
    private struct Visit {
        let node: Int32
        /// Whether the path to it ends with an rw edge.
        let isAfterAntidependency: Bool
        let previous: Int
        let edge: DependencyGraph.Edge
    }

    /// A path from the edge's end to its beginning, of at most `length` edges together with it.
    private mutating func close(
        _ closing: DependencyGraph.Edge, _ kind: Class, _ level: DependencyGraph.Level, length: Int,
        _ sorted: [Int32]
    ) -> Cycle? {
        round += 1
        let goal = closing.from
        let goalStart = operations[Int(goal)].start
        let home = component[Int(goal)]
        var visits = [
            Visit(node: closing.to, isAfterAntidependency: closing.kind == .rw, previous: -1, edge: closing)
        ]
        mark(closing.to, closing.kind == .rw)
        var layer = 0..<1
        // Operations from here on, by their beginnings, were reached through real time.
        var reached = sorted.count
        for depth in 1..<length {
            let isLast = depth == length - 1
            var firstEnder = -1
            for place in layer {
                let visit = visits[place]
                let operation = operations[Int(visit.node)]
                if level == .realtime, operation.end < goalStart {
                    return path(visits, place, realtime(visit.node, goal))
                }
                if firstEnder < 0 || operation.end < operations[Int(visits[firstEnder].node)].end {
                    firstEnder = place
                }
                for number in graph.edges(of: visit.node) {
                    budget -= 1
                    let edge = graph.edges[Int(number)]
                    guard edge.level <= level, edge.kind != .realtime, kind.allows(edge.kind),
                        component[Int(edge.to)] == home
                    else { continue }
                    let isAntidependency = edge.kind == .rw
                    if kind == .gNonadjacent, isAntidependency, visit.isAfterAntidependency { continue }
                    for target in targets(of: edge, level) {
                        var direct = edge
                        direct.to = target
                        if target == goal {
                            if kind == .gNonadjacent, isAntidependency { continue }
                            return path(visits, place, direct)
                        }
                        guard !isLast, mark(target, isAntidependency) else { continue }
                        visits.append(
                            Visit(
                                node: target, isAfterAntidependency: isAntidependency, previous: place, edge: direct))
                    }
                }
                if budget <= 0 { return nil }
            }
            if isLast { return nil }
            if level == .realtime, firstEnder >= 0 {
                let node = visits[firstEnder].node
                let end = operations[Int(node)].end
                while reached > 0, operations[Int(sorted[reached - 1])].start > end {
                    reached -= 1
                    budget -= 1
                    guard mark(sorted[reached], false) else { continue }
                    visits.append(
                        Visit(
                            node: sorted[reached], isAfterAntidependency: false, previous: firstEnder,
                            edge: realtime(node, sorted[reached])))
                }
            }
            layer = layer.upperBound..<visits.count
            if layer.isEmpty { return nil }
        }
        return nil
    }

    /// - Returns: whether it is new. An arrival that is not after an rw edge allows all that the other one does.
    @discardableResult
    private mutating func mark(_ node: Int32, _ isAfterAntidependency: Bool) -> Bool {
        guard seen[Int(node)] != round else { return false }
        if isAfterAntidependency {
            guard seenAfterAntidependency[Int(node)] != round else { return false }
            seenAfterAntidependency[Int(node)] = round
        } else {
            seen[Int(node)] = round
        }
        return true
    }

    private func realtime(_ from: Int32, _ to: Int32) -> DependencyGraph.Edge {
        DependencyGraph.Edge(from: from, to: to, kind: .realtime, level: .realtime)
    }

    private func path(_ visits: [Visit], _ last: Int, _ end: DependencyGraph.Edge) -> Cycle {
        var edges = [end]
        var place = last
        while place >= 0 {
            edges.append(visits[place].edge)
            place = visits[place].previous
        }
        return Cycle(edges: edges.reversed())
    }

    /// The first cycle that there is; a component always has one.
    private mutating func anyCycle(
        _ members: [Int32], _ level: DependencyGraph.Level, _ sorted: [Int32]
    ) -> Cycle? {
        for member in members {
            for number in graph.edges(of: member) {
                let edge = graph.edges[Int(number)]
                guard edge.level <= level, edge.kind != .realtime, component[Int(edge.to)] == component[Int(member)]
                else { continue }
                for target in targets(of: edge, level) {
                    var direct = edge
                    direct.to = target
                    budget = Int.max
                    defer { budget = 0 }
                    if let cycle = close(direct, .g2Item, level, length: members.count + 1, sorted) { return cycle }
                }
            }
        }
        return nil
    }
}

extension AnomalyName {
    /// `-process` or `-realtime` where the anomaly needs that order.
    func variant(_ level: DependencyGraph.Level) -> AnomalyName {
        switch level {
        case .data: self
        case .process: AnomalyName(rawValue: rawValue + "-process")
        case .realtime: AnomalyName(rawValue: rawValue + "-realtime")
        }
    }

    /// Cycles, the most severe first.
    static var cycles: [AnomalyName] {
        DependencyGraph.Level.allCases.flatMap { level in
            (CycleSearch.Class.allCases.map(\.name) + [.cyclicVersions]).map { $0.variant(level) }
        }
    }
}
