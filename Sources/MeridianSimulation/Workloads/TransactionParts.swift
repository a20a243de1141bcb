import Meridian
import MeridianCheckers
import MeridianCore

/// The steps of one transaction as the closure takes them: all in a row, or in parts, each as it is, in a savepoint, or
/// in a savepoint that is given up; the parts one after the other, or each in a child task at the same time.
///
/// Parts touch different keys, so the history need not tell in which order they ran. What a savepoint that is given up
/// has read counts like every read; what it has written must never be seen, so its values are no part of the history.
struct TransactionParts: Sendable {
    private enum Kind: CaseIterable {
        case plain
        case savepoint
        case givenUp
    }

    private struct Part: Sendable {
        var kind: Kind
        var steps: [TransactionStep]
    }

    private var parts: [Part]
    private let isConcurrent: Bool

    private struct GivenUp: Error {}

    init(_ steps: [TransactionStep], _ world: SimulatedWorld) {
        parts = [Part(kind: .plain, steps: steps)]
        isConcurrent = world.randomNumber(below: 2) == 0
        guard world.randomNumber(below: 2) == 0 else { return }
        let count = 1 + world.randomNumber(below: 3)
        let divided = (0..<count).compactMap { number -> Part? in
            let kind = Kind.allCases[world.randomNumber(below: Kind.allCases.count)]
            var own = steps.filter { $0.keyNumber % count == number }
            // What a part reads after it has written is its own, and void with it.
            if kind == .givenUp { own = own.filter { !$0.isWrite } + own.filter(\.isWrite) }
            return own.isEmpty ? nil : Part(kind: kind, steps: own)
        }
        if divided.contains(where: { $0.kind != .givenUp || $0.steps.contains { !$0.isWrite } }) { parts = divided }
    }

    /// The steps that count.
    var asked: [TransactionStep] {
        parts.flatMap { part in part.kind == .givenUp ? part.steps.filter { !$0.isWrite } : part.steps }
    }

    /// - Parameter take: takes a step, and returns it with what it has seen.
    /// - Returns: the steps that count, with what they have seen.
    func run(
        _ transaction: Transaction, _ take: @escaping @Sendable (TransactionStep) async throws -> TransactionStep
    ) async throws -> [TransactionStep] {
        guard isConcurrent, parts.count > 1 else {
            var seen: [TransactionStep] = []
            for part in parts { seen += try await run(part, transaction, take) }
            return seen
        }
        return try await withThrowingTaskGroup(of: (Int, [TransactionStep]).self) { group in
            for (position, part) in parts.enumerated() {
                group.addTask { (position, try await run(part, transaction, take)) }
            }
            var seen = [[TransactionStep]](repeating: [], count: parts.count)
            for try await (position, steps) in group { seen[position] = steps }
            return seen.flatMap(\.self)
        }
    }

    private func run(
        _ part: Part, _ transaction: Transaction,
        _ take: @escaping @Sendable (TransactionStep) async throws -> TransactionStep
    ) async throws -> [TransactionStep] {
        var seen: [TransactionStep] = []
        switch part.kind {
        case .plain:
            for step in part.steps { seen.append(try await take(step)) }
        case .savepoint:
            try await transaction.savepoint {
                for step in part.steps { seen.append(try await take(step)) }
            }
        case .givenUp:
            do {
                try await transaction.savepoint {
                    for step in part.steps {
                        let taken = try await take(step)
                        if !step.isWrite { seen.append(taken) }
                    }
                    throw GivenUp()
                }
            } catch is GivenUp {}
        }
        return seen
    }
}

extension TransactionStep {
    fileprivate var isWrite: Bool {
        switch self {
        case .append, .write: true
        case .readList, .read: false
        }
    }

    fileprivate var keyNumber: Int {
        switch self {
        case .append(.int(let key), _), .readList(.int(let key), _), .write(.int(let key), _), .read(.int(let key), _):
            key
        case .append, .readList, .write, .read: preconditionFailure("a step of another workload")
        }
    }
}
