import MeridianCheckers
import MeridianCore

/// One change of a history, at random. Most make it wrong, some leave it right, some make it no history at all.
enum Mutation: String, CaseIterable {
    /// An operation, or one event, is left out.
    case dropOperation, dropEvent
    /// Two operations have each other's answers; two events change places.
    case swapAnswers, swapEvents
    /// An operation happens again later, as another process; an element stands twice in what was read.
    case repeatOperation, repeatElement
    case otherOutcome
    /// Whoever goes on after an operation of unknown outcome does so as the same process.
    case sameProcess
    /// An event happens at another time.
    case moveEvent
    /// A transaction loses a step; a part of what it wrote is nowhere seen.
    case halve, hideWrite
    /// What was read, or a key, is another.
    case otherValue, otherKey

    /// - Returns: nil where there is nothing to change so.
    func apply(_ events: [HistoryEvent], _ random: inout SplitMix64) -> [HistoryEvent]? {
        var editor = HistoryEditor(events, random)
        let isDone = editor.apply(self)
        random = editor.random
        guard isDone else { return nil }
        return editor.events.enumerated().map { place, event in
            var event = event
            event.index = place
            event.time = place
            return event
        }
    }
}

/// The events of a history, and what can be done to them.
struct HistoryEditor {
    private(set) var events: [HistoryEvent]
    private(set) var random: SplitMix64

    init(_ events: [HistoryEvent], _ random: SplitMix64) {
        self.events = events
        self.random = random
    }

    /// Places of an invocation and of its completion.
    private typealias Pair = (begin: Int, end: Int?)

    private var pairs: [Pair] {
        events.indices.filter { events[$0].phase == .invoke }.map { begin in
            (begin, events[(begin + 1)...].firstIndex { $0.process == events[begin].process && $0.phase != .invoke })
        }
    }

    private mutating func pick(_ count: Int) -> Int { Int(random.below(UInt64(count))) }

    private mutating func any<Element>(_ list: [Element]) -> Element? { list.isEmpty ? nil : list[pick(list.count)] }

    /// The places of acknowledgements whose value says what was read.
    private var answers: [Int] { events.indices.filter { events[$0].phase == .ok && events[$0].value != nil } }

    mutating func apply(_ mutation: Mutation) -> Bool {
        switch mutation {
        case .dropOperation:
            guard let pair = any(pairs) else { return false }
            if let end = pair.end { events.remove(at: end) }
            events.remove(at: pair.begin)
        case .dropEvent: events.remove(at: pick(events.count))
        case .swapAnswers:
            guard let one = any(answers), let other = any(answers), one != other else { return false }
            (events[one].value, events[other].value) = (
                Self.mixed(asked: events[one].value, seen: events[other].value),
                Self.mixed(asked: events[other].value, seen: events[one].value)
            )
        case .swapEvents: events.swapAt(pick(events.count), pick(events.count))
        case .repeatOperation: return repeatOperation()
        case .repeatElement: return editLists { list, random in list.insert(list[random], at: random) }
        case .otherOutcome: return changeOutcome()
        case .sameProcess: return joinProcesses()
        case .moveEvent: events.insert(events.remove(at: pick(events.count)), at: pick(events.count))
        case .halve: return halve()
        case .hideWrite: return hideWrite()
        case .otherValue: return changeValue()
        case .otherKey: return changeKey()
        }
        return true
    }

    private mutating func repeatOperation() -> Bool {
        guard let pair = any(pairs) else { return false }
        let process = (events.map(\.process).max() ?? 0) + 1
        let place = pair.begin + 1 + pick(events.count - pair.begin)
        for at in [pair.end, pair.begin].compactMap({ $0 }) {
            var copy = events[at]
            copy.process = process
            events.insert(copy, at: max(place, at + 1))
        }
        return true
    }

    /// Most of the time the process goes on as another where it must, so that the rest stays a history.
    private mutating func changeOutcome() -> Bool {
        guard let pair = any(pairs), let end = pair.end else { return false }
        let phases: [HistoryEvent.Phase] = [.ok, .fail, .info]
        events[end].phase = phases[pick(3)]
        if events[end].phase == .ok { events[end].value = events[end].value ?? events[pair.begin].value }
        guard events[end].phase == .info, pick(4) > 0 else { return true }
        let process = (events.map(\.process).max() ?? 0) + 1
        for later in events.indices where later > end && events[later].process == events[end].process {
            events[later].process = process
        }
        return true
    }

    private mutating func joinProcesses() -> Bool {
        let ends = events.indices.filter { events[$0].phase == .info }
        guard let end = any(ends),
            let next = events[(end + 1)...].first(where: { $0.phase == .invoke })?.process
        else { return false }
        for place in events.indices where events[place].process == next { events[place].process = events[end].process }
        return true
    }

    private mutating func halve() -> Bool {
        let wide = pairs.filter { pair in
            if case .transaction(let steps) = events[pair.begin].value { steps.count > 1 } else { false }
        }
        guard let pair = any(wide), case .transaction(let steps) = events[pair.begin].value else { return false }
        let gone = pick(steps.count)
        for place in [pair.begin, pair.end].compactMap({ $0 }) {
            guard case .transaction(var left) = events[place].value, gone < left.count else { continue }
            left.remove(at: gone)
            events[place].value = .transaction(left)
        }
        return true
    }

    private mutating func hideWrite() -> Bool {
        var written: [(HistoryKey?, Int)] = []
        for event in events where event.phase == .invoke {
            switch event.value {
            case .transaction(let steps):
                for step in steps {
                    switch step {
                    case .append(let key, let value), .write(let key, let value): written.append((key, value))
                    case .readList, .read: break
                    }
                }
            case .add(let value): written.append((nil, value))
            case .write(let key, let value): written.append((key, value))
            default: break
            }
        }
        guard let (hidden, value) = any(written) else { return false }
        for place in answers {
            switch events[place].value {
            case .transaction(let steps):
                events[place].value = .transaction(
                    steps.map { step in
                        switch step {
                        case .readList(let key, let found?) where key == hidden:
                            .readList(key, found.filter { $0 != value })
                        case .read(let key, value) where key == hidden: .read(key, nil)
                        default: step
                        }
                    })
            case .elements(let found?): events[place].value = .elements(found.filter { $0 != value })
            case .read(let key, value) where key == hidden: events[place].value = .read(key, nil)
            default: break
            }
        }
        return true
    }

    private mutating func changeValue() -> Bool {
        guard let place = any(answers), let value = events[place].value else { return false }
        switch value {
        case .transaction(var steps):
            guard let changed = any(Array(steps.indices)) else { return false }
            switch steps[changed] {
            case .readList(let key, let found): steps[changed] = .readList(key, edited(found ?? []))
            case .read(let key, let found): steps[changed] = .read(key, edited(found))
            case .append, .write: return false
            }
            events[place].value = .transaction(steps)
        case .read(let key, let found): events[place].value = .read(key, edited(found))
        case .elements(let found): events[place].value = .elements(edited(found ?? []))
        case .balances(var found?):
            guard found.count > 1 else { return false }
            let (one, other, amount) = (pick(found.count), pick(found.count), pick(5) - 2)
            found[one].balance += amount
            if pick(4) > 0 { found[other].balance -= amount }
            events[place].value = .balances(found)
        default: return false
        }
        return true
    }

    private mutating func edited(_ found: Int?) -> Int? {
        pick(3) == 0 ? nil : max(0, (found ?? 0) + pick(5) - 2)
    }

    private mutating func edited(_ found: [Int]) -> [Int] {
        var found = found
        switch pick(4) {
        case 0: found.append(1 + pick(8))
        case 1: if !found.isEmpty { found.removeLast() }
        case 2: if !found.isEmpty { found.remove(at: pick(found.count)) }
        default: if found.count > 1 { found.swapAt(pick(found.count), pick(found.count)) }
        }
        return found
    }

    private mutating func editLists(_ edit: (inout [Int], Int) -> Void) -> Bool {
        guard let place = any(answers), let value = events[place].value else { return false }
        switch value {
        case .elements(var found?):
            guard !found.isEmpty else { return false }
            edit(&found, pick(found.count))
            events[place].value = .elements(found)
        case .balances(var found?):
            guard !found.isEmpty else { return false }
            found.append(found[pick(found.count)])
            events[place].value = .balances(found)
        case .transaction(var steps):
            for at in steps.indices {
                guard case .readList(let key, var found?) = steps[at], !found.isEmpty else { continue }
                edit(&found, pick(found.count))
                steps[at] = .readList(key, found)
                events[place].value = .transaction(steps)
                return true
            }
            return false
        default: return false
        }
        return true
    }

    private mutating func changeKey() -> Bool {
        guard let pair = any(pairs) else { return false }
        let keys: [HistoryKey] = [.string("\u{e9}"), .string("e\u{301}"), .int(1), .string("1"), .int(2)]
        let key = keys[pick(keys.count)]
        let changed = pick(3)
        // Rarely at one end only, which is no history.
        let places = pick(8) == 0 ? [pair.begin] : [pair.begin, pair.end].compactMap { $0 }
        for place in places {
            guard let value = events[place].value else { continue }
            events[place].value = Self.with(key, at: changed, value)
        }
        return true
    }

    private static func with(_ key: HistoryKey, at changed: Int, _ value: HistoryValue) -> HistoryValue {
        switch value {
        case .transaction(let steps):
            .transaction(
                steps.enumerated().map { at, step in
                    guard at == changed % steps.count else { return step }
                    return switch step {
                    case .append(_, let value): .append(key, value)
                    case .readList(_, let found): .readList(key, found)
                    case .write(_, let value): .write(key, value)
                    case .read(_, let found): .read(key, found)
                    }
                })
        case .read(_, let found): .read(key, found)
        case .write(_, let value): .write(key, value)
        case .compareAndSet(_, let from, let to): .compareAndSet(key, from: from, to: to)
        case .transfer(let from, _, let amount): .transfer(from: from, to: key, amount: amount)
        case .balances, .add, .elements: value
        }
    }

    /// What was asked by one, with what another saw, as far as they fit.
    private static func mixed(asked: HistoryValue?, seen: HistoryValue?) -> HistoryValue? {
        switch (asked, seen) {
        case (.transaction(let mine), .transaction(let theirs)):
            var left = theirs
            return .transaction(
                mine.map { step in
                    switch step {
                    case .readList(let key, _):
                        for case (let place, .readList(_, let found)) in left.enumerated() {
                            left.remove(at: place)
                            return .readList(key, found)
                        }
                        return step
                    case .read(let key, _):
                        for case (let place, .read(_, let found)) in left.enumerated() {
                            left.remove(at: place)
                            return .read(key, found)
                        }
                        return step
                    case .append, .write: return step
                    }
                })
        case (.read(let key, _), .read(_, let found)): return .read(key, found)
        case (.elements, .elements), (.balances, .balances): return seen
        default: return asked
        }
    }
}
