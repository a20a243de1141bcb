/// The search for a linear order of one register's operations; `LinearizabilityChecker` says how and why.
struct RegisterSearch {
    /// Where all orders end.
    struct Stuck {
        /// The operation whose completion no order reaches. All ids are places in `History.operations`.
        var deadline: Int
        /// Values that the register holds at the end of the orders that come this far, rising.
        var states: [Int]
        /// The deadline first, then what was open with it, then who wrote the states.
        var operations: [Int]
        /// Who wrote what the deadline read.
        var writer: Int?
    }

    enum Outcome {
        case linearizable
        case stuck(Stuck)
        case exhausted
    }

    private struct Entry {
        let id: Int
        let action: Step.Action
        /// What must be there: read or compare-and-set.
        let needs: Int
        /// What is there afterwards.
        let makes: Int
        let start: Int
        let end: Int
    }

    /// Unknown operations that do the same thing.
    private struct Option {
        /// Nil for a write.
        let needs: Int?
        let makes: Int
        /// Beginnings, rising.
        var starts: [Int]
        var ids: [Int]
    }

    /// What was done, up to renaming: the first operation that was not, and which later ones were.
    private struct Position: Hashable {
        var first: Int
        /// Bit i: operation `first + 1 + i` was done. No trailing zero words.
        var later: [UInt64]
        var state: Int
    }

    private struct Configuration {
        var position: Position
        /// How many of each option were used.
        var used: [UInt32]
    }

    private let history: History
    private var entries: [Entry] = []
    private var options: [Option] = []
    private let limit: Int
    private var visited: [Position: [[UInt32]]] = [:]
    private var count = 0
    private var deepest: [Configuration] = []
    private var deepestEnd = -1

    init(_ history: History, _ operations: [Int], limit: Int) {
        self.history = history
        self.limit = limit
        var unknown: [Entry] = []
        for id in operations {
            let operation = history.operations[id]
            guard operation.outcome != .fail else { continue }
            let step = history.steps[operation.firstStep]
            let isRead = step.action == .read
            let entry = Entry(
                id: id, action: step.action, needs: isRead ? step.observed : step.other,
                makes: isRead ? step.observed : step.value, start: operation.start, end: operation.end)
            if operation.outcome == .ok {
                entries.append(entry)
            } else if !isRead {
                unknown.append(entry)
            }
        }
        addOptions(unknown)
    }

    /// Only what makes a value that somebody needs is an option: directly, or by way of another option.
    private mutating func addOptions(_ unknown: [Entry]) {
        var needed = Set(entries.filter { $0.action != .write }.map(\.needs))
        for entry in unknown where entry.action == .compareAndSet { needed.insert(entry.needs) }
        var number: [[Int]: Int] = [:]
        for entry in unknown where needed.contains(entry.makes) {
            let isWrite = entry.action == .write
            let signature = isWrite ? [entry.makes] : [entry.needs, entry.makes]
            if let found = number[signature] {
                options[found].starts.append(entry.start)
                options[found].ids.append(entry.id)
            } else {
                number[signature] = options.count
                options.append(
                    Option(
                        needs: isWrite ? nil : entry.needs, makes: entry.makes, starts: [entry.start],
                        ids: [entry.id]))
            }
        }
    }

    mutating func run() -> Outcome {
        var stack = [
            Configuration(
                position: Position(first: 0, later: [], state: Step.nothing),
                used: [UInt32](repeating: 0, count: options.count))
        ]
        while var configuration = stack.popLast() {
            let deadline = absorbReads(&configuration.position)
            if configuration.position.first == entries.count { return .linearizable }
            guard isNew(configuration) else { continue }
            guard count <= limit else { return .exhausted }
            note(configuration, deadline)
            push(configuration, deadline, &stack)
        }
        return .stuck(describe())
    }

    /// Takes every read that fits and may come next.
    ///
    /// - Returns: when the first of the operations that are not done ends: only what begins before it may come next.
    private func absorbReads(_ position: inout Position) -> Int {
        while true {
            var deadline = Int.max
            var didTake = false
            var place = position.first
            while place < entries.count, entries[place].start < deadline {
                defer { place += 1 }
                if isDone(place, position) { continue }
                let entry = entries[place]
                if entry.action == .read, entry.needs == position.state {
                    markDone(place, &position)
                    didTake = true
                } else {
                    deadline = min(deadline, entry.end)
                }
            }
            if !didTake { return deadline }
        }
    }

    /// Continuations, the likeliest last: it is popped first.
    private func push(_ configuration: Configuration, _ deadline: Int, _ stack: inout [Configuration]) {
        let position = configuration.position
        for (number, option) in options.enumerated() {
            let used = Int(configuration.used[number])
            guard used < option.starts.count, option.starts[used] < deadline, option.makes != position.state,
                option.needs == nil || option.needs == position.state,
                isWanted(option.makes, position, deadline, number)
            else { continue }
            var next = configuration
            next.used[number] += 1
            next.position.state = option.makes
            stack.append(next)
        }
        var writes: [(end: Int, place: Int)] = []
        var place = position.first
        while place < entries.count, entries[place].start < deadline {
            defer { place += 1 }
            guard !isDone(place, position) else { continue }
            let entry = entries[place]
            let fits = entry.action == .write || (entry.action == .compareAndSet && entry.needs == position.state)
            if fits { writes.append((entry.end, place)) }
        }
        for (_, place) in writes.sorted(by: { $0 > $1 }) {
            var next = configuration
            next.position.state = entries[place].makes
            markDone(place, &next.position)
            stack.append(next)
        }
    }

    /// An option is used only right before an operation, or another option, that needs what it makes.
    private func isWanted(_ value: Int, _ position: Position, _ deadline: Int, _ number: Int) -> Bool {
        var place = position.first
        while place < entries.count, entries[place].start < deadline {
            defer { place += 1 }
            let entry = entries[place]
            if entry.action != .write, entry.needs == value, !isDone(place, position) { return true }
        }
        return options.indices.contains { $0 != number && options[$0].needs == value }
    }

    private mutating func isNew(_ configuration: Configuration) -> Bool {
        let known = visited[configuration.position] ?? []
        for used in known where zip(used, configuration.used).allSatisfy({ $0 <= $1 }) { return false }
        let kept = known.filter { used in !zip(configuration.used, used).allSatisfy { $0 <= $1 } }
        visited[configuration.position] = kept + [configuration.used]
        count += 1
        return true
    }

    private func isDone(_ place: Int, _ position: Position) -> Bool {
        let bit = place - position.first - 1
        guard bit >= 0, bit >> 6 < position.later.count else { return false }
        return position.later[bit >> 6] & (1 << UInt64(bit & 63)) != 0
    }

    private func markDone(_ place: Int, _ position: inout Position) {
        guard place == position.first else {
            let bit = place - position.first - 1
            while position.later.count <= bit >> 6 { position.later.append(0) }
            position.later[bit >> 6] |= 1 << UInt64(bit & 63)
            return
        }
        // The first is done: the next that is not becomes the first.
        var run = 0
        while run >> 6 < position.later.count, position.later[run >> 6] & (1 << UInt64(run & 63)) != 0 { run += 1 }
        position.first += run + 1
        position.later = Self.shifted(position.later, by: run + 1)
    }

    private static func shifted(_ words: [UInt64], by bits: Int) -> [UInt64] {
        var result: [UInt64] = []
        var word = bits >> 6
        let offset = UInt64(bits & 63)
        while word < words.count {
            let high = word + 1 < words.count && offset > 0 ? words[word + 1] << (64 - offset) : 0
            result.append(words[word] >> offset | high)
            word += 1
        }
        while result.last == 0 { result.removeLast() }
        return result
    }
}

// MARK: - Where it ends

extension RegisterSearch {
    /// The completion that the most patient order does not reach ends the shortest prefix that has no order: each order
    /// of a longer prefix begins with one of it.
    private mutating func note(_ configuration: Configuration, _ deadline: Int) {
        if deadline > deepestEnd {
            deepestEnd = deadline
            deepest.removeAll()
        }
        if deadline == deepestEnd, deepest.count < 16 { deepest.append(configuration) }
    }

    private func describe() -> Stuck {
        let states = Set(deepest.map(\.position.state)).sorted()
        guard let last = entries.first(where: { $0.end == deepestEnd }), let one = deepest.first else {
            preconditionFailure("a search ended without an operation that it could not do")
        }
        var involved = [last.id]
        var place = one.position.first
        while place < entries.count, entries[place].start < deepestEnd, involved.count < 12 {
            if !isDone(place, one.position), entries[place].id != last.id { involved.append(entries[place].id) }
            place += 1
        }
        let writer = last.action == .write ? nil : self.writer(of: last.needs)
        for id in [writer].compactMap({ $0 }) + states.compactMap({ self.writer(of: $0) }) where !involved.contains(id)
        {
            involved.append(id)
        }
        return Stuck(deadline: last.id, states: states, operations: involved, writer: writer)
    }

    private func writer(of value: Int) -> Int? {
        let certain = entries.last { $0.action != .read && $0.makes == value && $0.start < deepestEnd }?.id
        return certain ?? options.first { $0.makes == value }?.ids.first
            ?? entries.first { $0.action != .read && $0.makes == value }?.id
    }
}
