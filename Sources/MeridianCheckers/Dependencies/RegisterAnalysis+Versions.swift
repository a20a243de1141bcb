/// The order of a register's versions, as far as it is certain, and the edges that follow from it.
extension RegisterAnalysis {
    /// Fills `versionEdges`: sorted, without doubles, each at its weakest level, and without the edges of keys whose
    /// order contradicts itself.
    mutating func inferVersionOrder(levels: [DependencyGraph.Level]) {
        var found: [VersionEdge] = []
        var first = 0
        while first < accesses.count {
            var end = first
            while end < accesses.count, accesses[end].key == accesses[first].key { end += 1 }
            let ofKey = accesses[first..<end]
            for access in ofKey {
                if let read = access.read, let written = access.written, read != written {
                    found.append(VersionEdge(from: read, to: written, level: .data))
                }
            }
            if levels.contains(.process) { inferFromProcesses(ofKey, &found) }
            if levels.contains(.realtime) { inferFromRealtime(ofKey, &found) }
            first = end
        }
        found.sort { ($0.from, $0.to, $0.level.rawValue) < ($1.from, $1.to, $1.level.rawValue) }
        for edge in found where versionEdges.last?.from != edge.from || versionEdges.last?.to != edge.to {
            versionEdges.append(edge)
        }
        for level in levels { removeCycles(level) }
    }

    private func inferFromProcesses(_ ofKey: ArraySlice<Access>, _ found: inout [VersionEdge]) {
        var last: [Int: Int32] = [:]
        for access in ofKey {
            let operation = history.operations[Int(access.operation)]
            if let before = last[operation.process], let next = access.first, before != next {
                found.append(VersionEdge(from: before, to: next, level: .process))
            }
            if operation.outcome == .ok { last[operation.process] = access.last }
        }
    }

    /// Only neighbours: the frontier holds what has ended and is not followed by another that has ended too, which is
    /// at most as many as processes. The rest follows by way of them.
    private func inferFromRealtime(_ ofKey: ArraySlice<Access>, _ found: inout [VersionEdge]) {
        let ends =
            ofKey.filter { history.operations[Int($0.operation)].outcome == .ok }
            .sorted { history.operations[Int($0.operation)].end < history.operations[Int($1.operation)].end }
        var frontier: [Access] = []
        var ended = 0
        for access in ofKey {
            let start = history.operations[Int(access.operation)].start
            while ended < ends.count, history.operations[Int(ends[ended].operation)].end < start {
                let begin = history.operations[Int(ends[ended].operation)].start
                frontier.removeAll { history.operations[Int($0.operation)].end < begin }
                frontier.append(ends[ended])
                ended += 1
            }
            for before in frontier {
                guard let from = before.last, let to = access.first, from != to else { continue }
                found.append(VersionEdge(from: from, to: to, level: .realtime))
            }
        }
    }

    /// Cyclic versions: an order that says that a version comes before itself. Nothing follows from it.
    private mutating func removeCycles(_ level: DependencyGraph.Level) {
        // Nothing comes before all, so an edge into it closes a cycle; one edge out of it stands for all.
        var edges = versionEdges.filter { $0.level <= level }
        edges += edges.filter { isNothing($0.to) }.map { VersionEdge(from: $0.to, to: $0.from, level: .data) }
        guard !edges.isEmpty else { return }
        edges.sort { $0.from < $1.from }
        var firstEdge = [Int32](repeating: 0, count: versionCount + 1)
        for edge in edges { firstEdge[Int(edge.from) + 1] += 1 }
        for version in 0..<versionCount { firstEdge[version + 1] += firstEdge[version] }
        let components = Components.cyclic(
            nodeCount: versionCount, firstEdge: firstEdge, edgeOrder: edges.indices.map(Int32.init)
        ) { edges[Int($0)].to }
        guard !components.isEmpty else { return }
        var isCyclicKey = [Bool](repeating: false, count: history.keys.count)
        for component in components {
            let key = key(ofVersion: component[0])
            isCyclicKey[Int(key)] = true
            report(component, key, level)
        }
        versionEdges = versionEdges.filter { !isCyclicKey[Int(key(ofVersion: $0.from))] || $0.level != level }
    }

    private mutating func report(_ component: [Int32], _ key: Int32, _ level: DependencyGraph.Level) {
        let isMember = Set(component)
        let involved = accesses.filter { access in
            access.key == key && (access.read.map(isMember.contains) ?? access.written.map(isMember.contains) ?? false)
        }
        let values = component.prefix(6).map { History.text(value($0)) }.joined(separator: ", ")
        let order =
            switch level {
            case .data: "what transactions read before they wrote"
            case .process: "the order of processes"
            case .realtime: "real time"
            }
        ledger.report(
            AnomalyName.cyclicVersions.variant(level), involved.prefix(6).map { Int($0.operation) },
            ["by \(order), each of these versions of \(history.key(key)) comes before itself: \(values)"])
    }

    /// wr: who wrote comes before who read. Lost updates: two who read the same version and both wrote.
    mutating func addReadEdges() {
        var updater = [Int32](repeating: -1, count: versionCount)
        for access in accesses {
            guard let read = access.read else { continue }
            if !isNothing(read) {
                let entry = table.entries[Int(read)]
                if entry.operation != access.operation {
                    graph.add(
                        .init(
                            from: entry.operation, to: access.operation, kind: .wr, level: .data, key: access.key,
                            value: entry.value))
                }
            }
            guard access.written != nil else { continue }
            if updater[Int(read)] < 0 {
                updater[Int(read)] = access.operation
            } else {
                let seen = "\(history.key(access.key)) as \(History.text(value(read)))"
                ledger.report(
                    .lostUpdate, [Int(updater[Int(read)]), Int(access.operation)],
                    ["T1 and T2 both read \(seen) and then wrote it: one did not see the other"])
            }
        }
    }

    /// ww and rw: who wrote or read a version comes before who wrote a later one.
    mutating func addVersionEdges() {
        var readers = [[Int32]](repeating: [], count: versionCount)
        for access in accesses {
            if let read = access.read { readers[Int(read)].append(access.operation) }
        }
        var hasPredecessor = [Bool](repeating: false, count: versionCount)
        for edge in versionEdges where !isNothing(edge.to) {
            if edge.level == .data, !isNothing(edge.from) { hasPredecessor[Int(edge.to)] = true }
            let writer = table.entries[Int(edge.to)].operation
            if !isNothing(edge.from) {
                let first = table.entries[Int(edge.from)].operation
                // Real time between their writers is an edge already where it holds.
                if first != writer { graph.add(version(edge, first, writer, .ww)) }
            }
            for reader in readers[Int(edge.from)] where reader != writer {
                graph.add(version(edge, reader, writer, .rw))
            }
        }
        addInitialEdges(readers, hasPredecessor)
    }

    /// Who read nothing comes before all who wrote. Those who wrote a version without a known predecessor stand for
    /// all.
    private mutating func addInitialEdges(_ readers: [[Int32]], _ hasPredecessor: [Bool]) {
        var first = 0
        while first < accesses.count {
            var end = first
            var writers: [Int32] = []
            while end < accesses.count, accesses[end].key == accesses[first].key {
                if let written = accesses[end].written, !hasPredecessor[Int(written)] {
                    writers.append(accesses[end].operation)
                }
                end += 1
            }
            let key = accesses[first].key
            let edge = DependencyGraph.Edge(
                from: 0, to: 0, kind: .rw, level: .data, key: key, value: Step.nothing, next: Step.nothing)
            graph.connect(readers[Int(nothing(key))], before: writers, by: edge)
            first = end
        }
    }

    private func version(
        _ edge: VersionEdge, _ from: Int32, _ to: Int32, _ kind: DependencyGraph.Kind
    ) -> DependencyGraph.Edge {
        DependencyGraph.Edge(
            from: from, to: to, kind: kind, level: edge.level, key: key(ofVersion: edge.to), value: value(edge.from),
            next: value(edge.to))
    }
}
