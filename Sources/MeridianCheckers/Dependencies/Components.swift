/// Strongly connected components: a cycle lies within one, so a graph whose components are single nodes has none.
/// Tarjan, "Depth-first search and linear graph algorithms" (SIAM J. Comput. 1972), without recursion: a history's
/// graph is as deep as it is long.
enum Components {
    /// Components of more than one node, each sorted, in the order of their first nodes.
    ///
    /// - Parameters:
    ///   - firstEdge, edgeOrder: edges by their first node (`DependencyGraph`).
    ///   - target: where an edge leads; negative if it does not count.
    static func cyclic(
        nodeCount: Int, firstEdge: [Int32], edgeOrder: [Int32], target: (Int32) -> Int32
    ) -> [[Int32]] {
        var number = [Int32](repeating: 0, count: nodeCount)
        var low = [Int32](repeating: 0, count: nodeCount)
        var isOnStack = [Bool](repeating: false, count: nodeCount)
        var next = firstEdge
        var path: [Int32] = []
        var stack: [Int32] = []
        var counter: Int32 = 0
        var result: [[Int32]] = []
        for root in 0..<Int32(nodeCount) where number[Int(root)] == 0 {
            path.append(root)
            while let node = path.last {
                let place = Int(node)
                if number[place] == 0 {
                    counter += 1
                    number[place] = counter
                    low[place] = counter
                    stack.append(node)
                    isOnStack[place] = true
                }
                var descends = false
                while next[place] < firstEdge[place + 1] {
                    let other = target(edgeOrder[Int(next[place])])
                    next[place] += 1
                    guard other >= 0 else { continue }
                    if number[Int(other)] == 0 {
                        path.append(other)
                        descends = true
                        break
                    }
                    if isOnStack[Int(other)] { low[place] = min(low[place], number[Int(other)]) }
                }
                if descends { continue }
                path.removeLast()
                if let parent = path.last { low[Int(parent)] = min(low[Int(parent)], low[place]) }
                guard low[place] == number[place] else { continue }
                var component: [Int32] = []
                while let member = stack.popLast() {
                    isOnStack[Int(member)] = false
                    component.append(member)
                    if member == node { break }
                }
                if component.count > 1 { result.append(component.sorted()) }
            }
        }
        return result.sorted { $0[0] < $1[0] }
    }
}
