/// A small piece of a history that contains one known anomaly. Put into a valid history, it must be found: this is how
/// the checkers themselves are tested. The keys are strings that no generated history uses.
public struct PlantedAnomaly: Sendable {
    public let name: AnomalyName
    public let model: HistoryModel
    let events: [Part]

    struct Part: Sendable {
        let process: Int
        let phase: HistoryEvent.Phase
        let value: HistoryValue?
    }

    /// Inserts the piece into a history, `position` events from its beginning; later events move back.
    public func planted(in events: [HistoryEvent], at position: Int) -> [HistoryEvent] {
        precondition((0...events.count).contains(position), "position \(position) of \(events.count)")
        let firstProcess = (events.map(\.process).max() ?? -1) + 1
        let firstIndex = position < events.count ? events[position].index : (events.last?.index ?? -1) + 1
        let time = position > 0 ? events[position - 1].time : 0
        let piece = self.events.enumerated().map { offset, part in
            HistoryEvent(
                index: firstIndex + offset, process: firstProcess + part.process, phase: part.phase,
                value: part.value, time: time)
        }
        let rest = events[position...].map { event in
            var moved = event
            moved.index += piece.count
            return moved
        }
        return Array(events[..<position]) + piece + rest
    }

    /// The piece alone.
    public var history: [HistoryEvent] { planted(in: [], at: 0) }
}

/// Ways to lay out operations in time.
extension PlantedAnomaly {
    /// What is completed; the invocation has the same writes and unknown reads.
    struct Done {
        let value: HistoryValue
        var phase = HistoryEvent.Phase.ok
    }

    /// Each operation overlaps all others, so neither time nor processes order them.
    static func together(_ operations: [Done]) -> [Part] {
        operations.enumerated().map { Part(process: $0.offset, phase: .invoke, value: $0.element.value.asked) }
            + operations.enumerated().map {
                Part(process: $0.offset, phase: $0.element.phase, value: $0.element.value)
            }
    }

    /// The operations of `inOrder` follow one another, in one process or in several; those of `around` overlap all.
    static func ordered(_ inOrder: [Done], around: [Done] = [], isOneProcess: Bool) -> [Part] {
        let others = around.enumerated().map { (process: inOrder.count + $0.offset, done: $0.element) }
        var parts = others.map { Part(process: $0.process, phase: .invoke, value: $0.done.value.asked) }
        for (number, done) in inOrder.enumerated() {
            let process = isOneProcess ? 0 : number
            parts.append(Part(process: process, phase: .invoke, value: done.value.asked))
            parts.append(Part(process: process, phase: done.phase, value: done.value))
        }
        return parts + others.map { Part(process: $0.process, phase: $0.done.phase, value: $0.done.value) }
    }
}

extension HistoryValue {
    /// The same before it was answered.
    var asked: HistoryValue {
        switch self {
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
        case .write, .compareAndSet, .transfer, .add: self
        }
    }
}
