import MeridianCore

/// A valid history of any length, for tests and benches of checkers.
///
/// A serial model, run with concurrency: processes invoke, their operations take effect on the model at one moment, and
/// complete some time later. So it is strictly serializable, or linearizable, by construction. A few operations fail
/// without effect, a few end unknown and take effect at once, later or never. The same seed gives the same history.
public struct GeneratedHistory: Sendable {
    public let model: HistoryModel
    private let count: Int
    private let seed: UInt64
    private let processCount: Int

    /// - Parameter count: of operations.
    public init(_ model: HistoryModel, count: Int, seed: UInt64, processCount: Int = 10) {
        precondition(count >= 0, "\(count) operations")
        precondition(processCount > 0, "\(processCount) processes")
        self.model = model
        self.count = count
        self.seed = seed
        self.processCount = processCount
    }

    public static func append(transactions: Int, seed: UInt64) -> GeneratedHistory {
        GeneratedHistory(.append, count: transactions, seed: seed)
    }

    public static func registers(transactions: Int, seed: UInt64) -> GeneratedHistory {
        GeneratedHistory(.registers, count: transactions, seed: seed)
    }

    public static func register(operations: Int, seed: UInt64) -> GeneratedHistory {
        GeneratedHistory(.register, count: operations, seed: seed)
    }

    public static func bank(operations: Int, seed: UInt64) -> GeneratedHistory {
        GeneratedHistory(.bank, count: operations, seed: seed)
    }

    public var events: [HistoryEvent] {
        var result: [HistoryEvent] = []
        forEach { result.append($0) }
        return result
    }

    /// Joined and checked, without going by way of text.
    public func history() throws(HistoryError) -> History { try History(model: model, events: events) }

    /// One event after the other, so that a long history need not be held.
    public func forEach(_ body: (HistoryEvent) throws -> Void) rethrows {
        var random = SplitMix64(seed: seed)
        var model = SerialModel(self.model)
        var running = [Running?](repeating: nil, count: processCount)
        var processes = Array(0..<processCount)
        var nextProcess = processCount
        // Unknown operations that have not taken effect yet.
        var late: [HistoryValue] = []
        var index = 0
        var time = 0
        var invoked = 0
        func emit(_ process: Int, _ phase: HistoryEvent.Phase, _ value: HistoryValue?) throws {
            time += 1 + Int(random.below(1_000_000))
            try body(HistoryEvent(index: index, process: process, phase: phase, value: value, time: time))
            index += 1
        }
        var openCount = 0
        while invoked < count || openCount > 0 {
            if !late.isEmpty, random.below(20) == 0 {
                _ = model.apply(late.remove(at: Int(random.below(UInt64(late.count)))))
            }
            let slot = Int(random.below(UInt64(processCount)))
            guard var operation = running[slot] else {
                guard invoked < count else { continue }
                let value = model.invocation(&random)
                try emit(processes[slot], .invoke, value)
                running[slot] = Running(value: value, fate: Fate(&random))
                invoked += 1
                openCount += 1
                continue
            }
            if !operation.didApply {
                if operation.fate == .ok || operation.fate == .unknownApplied {
                    operation.result = model.apply(operation.value)
                }
                operation.didApply = true
                running[slot] = operation
                continue
            }
            running[slot] = nil
            openCount -= 1
            switch operation.fate {
            case .ok:
                if let result = operation.result {
                    try emit(processes[slot], .ok, result)
                } else {
                    try emit(processes[slot], .fail, operation.value)
                }
            case .failed: try emit(processes[slot], .fail, operation.value)
            case .unknownApplied, .unknownLate, .unknownNever:
                try emit(processes[slot], .info, operation.value)
                if operation.fate == .unknownLate { late.append(operation.value) }
                // A process whose operation is unknown does not come back.
                processes[slot] = nextProcess
                nextProcess += 1
            }
        }
    }

    private enum Fate {
        case ok, failed, unknownApplied, unknownLate, unknownNever

        init(_ random: inout SplitMix64) {
            switch random.below(200) {
            case 0, 1: self = .failed
            case 2: self = .unknownApplied
            case 3: self = .unknownLate
            case 4: self = .unknownNever
            default: self = .ok
            }
        }
    }

    private struct Running {
        let value: HistoryValue
        let fate: Fate
        var didApply = false
        /// Nil if the model refused.
        var result: HistoryValue?
    }
}
