/// Operations in words, for verdicts.
extension History {
    func witness(_ id: Int) -> Witness {
        let operation = operations[id]
        return Witness(
            index: operation.index, completionIndex: operation.completionIndex, process: operation.process,
            outcome: operation.outcome, region: region(of: operation), summary: summary(operation))
    }

    func summary(_ operation: Operation) -> String {
        let isOK = operation.outcome == .ok
        return operation.steps.map { summary(steps[$0], isOK: isOK) }.joined(separator: ", ")
    }

    private func summary(_ step: Step, isOK: Bool) -> String {
        let unknown = isOK ? "nothing" : "?"
        switch step.action {
        case .append: return "append \(step.value) to \(key(step.key))"
        case .readList: return "read \(key(step.key)): " + (step.isNull ? unknown : Self.shortened(elements[step.list]))
        case .write: return "write \(key(step.key)) = \(step.value)"
        case .read: return "read \(key(step.key)): " + (step.isNull ? unknown : String(step.value))
        case .compareAndSet:
            return "cas \(key(step.key)) from \(Self.text(step.other)) to \(step.value)"
        case .transfer: return "transfer \(step.value) from \(key(step.key)) to \(key(step.otherKey))"
        case .add: return "add \(step.value)"
        case .elements: return "read: " + (step.isNull ? unknown : Self.shortened(elements[step.list]))
        case .balances:
            guard !step.isNull else { return "read: " + unknown }
            let shown = balances(step).prefix(16).map { "\($0.account): \($0.balance)" }
            return "read: {" + shown.joined(separator: ", ") + (step.count > 16 ? ", …}" : "}")
        }
    }

    /// A register's value.
    static func text(_ value: Int) -> String { value == Step.nothing ? "nothing" : String(value) }

    /// The last elements of a list say which version it is.
    static func shortened(_ list: ArraySlice<Int>) -> String {
        let shown = 12
        let tail = list.suffix(shown).map(String.init).joined(separator: " ")
        return list.count > shown ? "[… \(tail)] (\(list.count) elements)" : "[\(tail)]"
    }
}
