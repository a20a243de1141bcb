/// The edges between transactions, from the version orders (Adya 1999, section 3.1.2). What failed or what nobody wrote
/// is no version, so edges pass over it.
extension AppendAnalysis {
    /// ww: who appended an element comes before who appended the next.
    mutating func addVersionEdges() {
        for key in history.keys.indices {
            var last = -1
            for number in versions(key) where number >= 0 {
                guard isCommitted[Int(table.entries[Int(number)].operation)] else { continue }
                if last >= 0 { addVersion(last, Int(number)) }
                last = Int(number)
            }
        }
    }

    private mutating func addVersion(_ first: Int, _ second: Int) {
        let one = table.entries[first]
        let other = table.entries[second]
        guard one.operation != other.operation else { return }
        graph.add(
            .init(
                from: one.operation, to: other.operation, kind: .ww, level: .data, key: one.key, value: one.value,
                next: other.value))
    }

    /// wr: who appended the last element comes before who read it. rw: who read it comes before who appended the next.
    /// Lost updates: two who read the same list and both appended to it.
    mutating func addReadEdges() {
        // One place for each length that each key had.
        var updater = [Int32](repeating: -1, count: entryOfElement.count + history.keys.count + 1)
        for view in views {
            let order = versions(Int(view.key))
            let place = order.startIndex + Int(view.count)
            var value = Step.nothing
            if view.count > 0, order[place - 1] >= 0 {
                let entry = table.entries[Int(order[place - 1])]
                value = entry.value
                if entry.operation != view.operation, isCommitted[Int(entry.operation)] {
                    graph.add(
                        .init(
                            from: entry.operation, to: view.operation, kind: .wr, level: .data, key: view.key,
                            value: entry.value))
                }
            }
            for number in order[place...] where number >= 0 {
                let entry = table.entries[Int(number)]
                guard isCommitted[Int(entry.operation)] else { continue }
                if entry.operation != view.operation {
                    graph.add(
                        .init(
                            from: view.operation, to: entry.operation, kind: .rw, level: .data, key: view.key,
                            value: value, next: entry.value))
                }
                break
            }
            guard view.isUpdate else { continue }
            // Keys are apart by one more than their elements: a list of n elements had n + 1 lengths.
            let slot = place + Int(view.key)
            if updater[slot] < 0 {
                updater[slot] = view.operation
            } else {
                reportLostUpdate(Int(updater[slot]), view)
            }
        }
    }

    private mutating func reportLostUpdate(_ first: Int, _ view: View) {
        let list = history.elements[longest[Int(view.key)]].prefix(Int(view.count))
        let key = history.key(view.key)
        ledger.report(
            .lostUpdate, [first, Int(view.operation)],
            ["T1 and T2 both read \(key) as \(History.shortened(list)) and then appended; one did not see the other"])
    }

    /// Appends that committed and are in no list come after the longest: after who appended its last element, and after
    /// all who read the whole of it. A read that misses a committed append makes a cycle by this, be it one that was
    /// acknowledged or the other half of an unknown transaction of which somebody saw a part.
    mutating func addUnobserved() {
        var writers = [[Int32]](repeating: [], count: history.keys.count)
        for (number, entry) in table.entries.enumerated() where !isObserved[number] {
            guard isCommitted[Int(entry.operation)], !isDisputed[Int(entry.key)] else { continue }
            if writers[Int(entry.key)].last != entry.operation { writers[Int(entry.key)].append(entry.operation) }
        }
        var readers = [[Int32]](repeating: [], count: history.keys.count)
        for view in views where !writers[Int(view.key)].isEmpty {
            guard versions(Int(view.key)).dropFirst(Int(view.count)).allSatisfy(isVoid) else { continue }
            if readers[Int(view.key)].last != view.operation { readers[Int(view.key)].append(view.operation) }
        }
        for key in history.keys.indices where !writers[key].isEmpty {
            let last = versions(key).last { !isVoid($0) }.map { table.entries[Int($0)] }
            if let last {
                for writer in writers[key] where writer != last.operation {
                    graph.add(
                        .init(
                            from: last.operation, to: writer, kind: .ww, level: .data, key: Int32(key),
                            value: last.value, next: Step.nothing))
                }
            }
            let edge = DependencyGraph.Edge(
                from: 0, to: 0, kind: .rw, level: .data, key: Int32(key), value: last?.value ?? Step.nothing,
                next: Step.nothing)
            graph.connect(readers[key], before: writers[key], by: edge)
        }
    }

    private func isVoid(_ number: Int32) -> Bool {
        number < 0 || !isCommitted[Int(table.entries[Int(number)].operation)]
    }
}
