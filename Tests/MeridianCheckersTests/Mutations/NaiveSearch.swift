import MeridianCheckers

/// Judges a small history by trying every order, with nothing in common with the checkers: it reads the events, runs
/// them through a plain model, and says whether any order explains them. docs/CHECKERS.md has what each model promises.
struct NaiveSearch {
    enum Verdict: String { case valid, anomalous, refused }

    private struct Act {
        var value: HistoryValue
        var phase: HistoryEvent.Phase
        let begin: Int
        /// After everything, unless it was acknowledged or failed.
        var end = Int.max

        var isOK: Bool { phase == .ok }
    }

    private let model: HistoryModel
    private let isStrict: Bool
    /// What can have happened, without what failed.
    private var acts: [Act] = []
    private var failed: [Act] = []
    private var isRefused = false

    static func judge(_ events: [HistoryEvent], _ model: HistoryModel, isStrict: Bool) -> Verdict {
        let search = NaiveSearch(events, model, isStrict)
        if search.isRefused { return .refused }
        return search.isExplained() ? .valid : .anomalous
    }

    private init(_ events: [HistoryEvent], _ model: HistoryModel, _ isStrict: Bool) {
        self.model = model
        self.isStrict = isStrict
        var all: [Act] = []
        var running: [Int: Int] = [:]
        var ended: Set<Int> = []
        for (place, event) in events.enumerated() {
            guard let act = running[event.process] else {
                guard event.phase == .invoke, let value = event.value, !ended.contains(event.process) else {
                    isRefused = true
                    return
                }
                running[event.process] = all.count
                all.append(Act(value: value, phase: .info, begin: place))
                continue
            }
            running[event.process] = nil
            switch event.phase {
            case .invoke: isRefused = true
            case .ok:
                guard let value = event.value, Self.blank(value) == Self.blank(all[act].value) else {
                    isRefused = true
                    return
                }
                all[act].value = value
                all[act].end = place
            case .fail: all[act].end = place
            case .info: ended.insert(event.process)
            }
            all[act].phase = event.phase
        }
        if hasWrittenTwice(all) { isRefused = true }
        acts = all.filter { $0.phase != .fail }
        failed = all.filter { $0.phase == .fail }
    }

    // MARK: - Orders

    /// Whether some order of the acts, with those of unknown outcome or without, leads through the model.
    private func isPossible<State>(
        _ rest: [Act], _ state: State, isOrdered: Bool, _ run: (State, Act) -> State?
    ) -> Bool {
        if rest.allSatisfy({ $0.phase == .info }) { return true }
        for (place, act) in rest.enumerated() {
            if isOrdered, rest.contains(where: { $0.end < act.begin }) { continue }
            guard let next = run(state, act) else { continue }
            var others = rest
            others.remove(at: place)
            if isPossible(others, next, isOrdered: isOrdered, run) { return true }
        }
        return false
    }

    private func isExplained() -> Bool {
        switch model {
        case .append, .registers: isPossible(acts, [:], isOrdered: isStrict, Self.runTransaction)
        case .longFork: isPossible(acts, [:], isOrdered: false, Self.runTransaction)
        case .register: keys.allSatisfy { isRegister($0) }
        case .monotonic: keys.allSatisfy { isMonotonic($0) }
        case .bank: isBank()
        case .set: isSet()
        case .causal: isCausal()
        }
    }

    // MARK: - Models

    /// Lists and registers alike: what each key holds.
    private static func runTransaction(_ state: [String: [Int]], _ act: Act) -> [String: [Int]]? {
        guard case .transaction(let steps) = act.value else { return nil }
        var state = state
        for step in steps {
            switch step {
            case .append(let key, let value): state[name(key), default: []].append(value)
            case .write(let key, let value): state[name(key)] = [value]
            case .readList(let key, let found): if act.isOK, (found ?? []) != (state[name(key)] ?? []) { return nil }
            case .read(let key, let found): if act.isOK, found != state[name(key)]?.last { return nil }
            }
        }
        return state
    }

    private func isRegister(_ key: String) -> Bool {
        isPossible(acts.filter { Self.keys(of: $0.value).contains(key) }, Int?.none, isOrdered: true) { held, act in
            switch act.value {
            case .read(_, let found): act.isOK && found != held ? nil : .some(held)
            case .write(_, let value): .some(value)
            case .compareAndSet(_, let from, let to): from == held ? .some(to) : nil
            default: nil
            }
        }
    }

    /// What was acknowledged; no read may see less than what is behind it.
    private func isMonotonic(_ key: String) -> Bool {
        let acknowledged = acts.filter { $0.isOK && Self.keys(of: $0.value).contains(key) }
        return isPossible(acknowledged, Int.min, isOrdered: true) { greatest, act in
            var greatest = greatest
            for step in Self.steps(act.value) {
                switch step {
                case .write(let other, let value) where Self.name(other) == key: greatest = max(greatest, value)
                case .read(let other, let found) where Self.name(other) == key:
                    if found ?? Int.min < greatest { return nil }
                    greatest = found ?? Int.min
                default: break
                }
            }
            return greatest
        }
    }

    private func isBank() -> Bool {
        let reads = acts.compactMap { act -> [AccountBalance]? in
            if act.isOK, case .balances(let found?) = act.value { found } else { nil }
        }
        let accounts = reads.map { $0.map { Self.name($0.account) } }
        if accounts.contains(where: { Set($0).count < $0.count || Set($0) != Set(accounts[0]) }) { return false }
        let totals = reads.map { $0.map(\.balance).reduce(0, +) }
        if totals.contains(where: { $0 != totals[0] }) { return false }
        if reads.joined().contains(where: { $0.balance < 0 }) { return false }
        return isPossible(acts, [String: Int]?.none, isOrdered: isStrict) { held, act in
            switch act.value {
            case .balances(let found?) where act.isOK:
                let seen = Dictionary(uniqueKeysWithValues: found.map { (Self.name($0.account), $0.balance) })
                return held == nil || held == seen ? .some(seen) : nil
            case .transfer(let from, let to, let amount):
                var held = held
                held?[Self.name(from)]? -= amount
                held?[Self.name(to)]? += amount
                return .some(held)
            default: return .some(held)
            }
        }
    }

    /// Each element by itself: absent, until it is added.
    private func isSet() -> Bool {
        let reads = acts.compactMap { act -> [Int]? in
            if act.isOK, case .elements(let found) = act.value { found ?? [] } else { nil }
        }
        if reads.contains(where: { Set($0).count < $0.count }) { return false }
        let added = acts.compactMap { act -> Int? in if case .add(let value) = act.value { value } else { nil } }
        return Set(added + reads.joined()).allSatisfy { element in
            let concerned = acts.filter { if case .add(let value) = $0.value { value == element } else { true } }
            return isPossible(concerned, false, isOrdered: true) { isThere, act in
                switch act.value {
                case .add: true
                case .elements(let found) where act.isOK: (found ?? []).contains(element) == isThere ? isThere : nil
                default: isThere
                }
            }
        }
    }

    /// Each read by itself: it saw the beginning of some order of the adds.
    private func isCausal() -> Bool {
        let adds = acts.filter { if case .add = $0.value { true } else { false } }
        return acts.allSatisfy { read in
            guard read.isOK, case .elements(let found) = read.value else { return true }
            let seen = found ?? []
            let possible = adds.filter { $0.begin < read.end }.map { Self.element($0.value) }
            guard Set(seen).count == seen.count, seen.allSatisfy(possible.contains) else { return false }
            return hasBeginning(Set(seen), adds, [])
        }
    }

    private func hasBeginning(_ seen: Set<Int>, _ rest: [Act], _ added: Set<Int>) -> Bool {
        if added == seen { return true }
        return rest.contains { act in
            guard !rest.contains(where: { $0.end < act.begin }) else { return false }
            let others = rest.filter { $0.begin != act.begin }
            return hasBeginning(seen, others, added.union([Self.element(act.value)]))
        }
    }

    // MARK: - Values

    private var keys: Set<String> { Set(acts.flatMap { Self.keys(of: $0.value) }) }

    /// Tells keys apart by their bytes.
    private static func name(_ key: HistoryKey) -> String {
        switch key {
        case .int(let number): "number \(number)"
        case .string(let text): "bytes \(Array(text.utf8))"
        }
    }

    private static func keys(of value: HistoryValue) -> [String] {
        switch value {
        case .read(let key, _), .write(let key, _), .compareAndSet(let key, _, _): [name(key)]
        case .transaction(let steps):
            steps.map { step in
                switch step {
                case .append(let key, _), .readList(let key, _), .write(let key, _), .read(let key, _): name(key)
                }
            }
        default: []
        }
    }

    private static func steps(_ value: HistoryValue) -> [TransactionStep] {
        switch value {
        case .transaction(let steps): steps
        case .read(let key, let found): [.read(key, found)]
        case .write(let key, let value): [.write(key, value)]
        default: []
        }
    }

    private static func element(_ value: HistoryValue) -> Int {
        if case .add(let element) = value { element } else { 0 }
    }

    /// Without what was read.
    private static func blank(_ value: HistoryValue) -> HistoryValue {
        switch value {
        case .transaction(let steps):
            .transaction(
                steps.map { step in
                    switch step {
                    case .readList(let key, _): .readList(key, nil)
                    case .read(let key, _): .read(key, nil)
                    case .append, .write: step
                    }
                })
        case .read(let key, _): .read(key, nil)
        case .balances: .balances(nil)
        case .elements: .elements(nil)
        case .write, .compareAndSet, .transfer, .add: value
        }
    }

    /// Whether it cannot be told who wrote what was read.
    private func hasWrittenTwice(_ all: [Act]) -> Bool {
        guard [.append, .registers, .longFork, .set, .causal].contains(model) else { return false }
        var written: Set<String> = []
        for act in all {
            if case .add(let element) = act.value, !written.insert("\(element)").inserted { return true }
            guard case .transaction(let steps) = act.value else { continue }
            for step in steps {
                guard case .append(let key, let value) = step.asWrite else { continue }
                let what = model == .longFork ? Self.name(key) : "\(Self.name(key)) \(value)"
                if !written.insert(what).inserted { return true }
            }
        }
        return false
    }
}

extension TransactionStep {
    /// A write or append, as the latter.
    fileprivate var asWrite: TransactionStep? {
        switch self {
        case .append: self
        case .write(let key, let value): .append(key, value)
        case .readList, .read: nil
        }
    }
}
