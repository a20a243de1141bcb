import MeridianCore

@testable import MeridianTransactions

/// One range as the machines see it: a log, the table that follows from it (the real one), and a leaseholder that obeys
/// the rules of `Replica+Prepare` and `Replica+Resolve` and forgets what is not in the log when the lease moves.
///
/// Evaluation, latches and commit wait are left out: what they add is time, and here any message takes any time.
struct ModelRange {
    struct Held {
        var timestamp: Timestamp
        var preparation: CommitStep.Preparation
        var isCommitted: Bool
        var waiting: [ModelCall.ID] = []
        var asking: [ModelCall.ID] = []
    }

    struct Pending {
        var command: Command
        var isPrepare: Bool
    }

    /// What happened in the log, for the verdict.
    enum Event: Hashable {
        case committed(TransactionID, Timestamp)
        case voided(TransactionID)
    }

    let id: RangeID
    private(set) var term: UInt64 = 1
    private(set) var table = TransactionTable()
    /// The outcomes that the rows' store remembers.
    private(set) var memory: [RequestID: Timestamp] = [:]
    private(set) var pending: [Pending] = []
    private(set) var events: [Event] = []
    private(set) var held: [TransactionID: Held] = [:]
    private var resolving: [TransactionID: (resolution: Resolution, waiting: [ModelCall.ID])] = [:]
    private var forbidden: Set<TransactionID> = []
    /// Calls that were refused: a copy that comes later must not be taken up (`NodeCore.refused`).
    var refused: Set<ModelCall.ID> = []
    /// What has been read, promised or committed here.
    private var floor = Timestamp.zero
    /// Whether it refuses what it would take up at another time.
    var isOverloaded = false
    /// The highest timestamp up to which a coordinator was promised that nobody writes.
    private(set) var promised = Timestamp.zero
    /// What others have written to the rows that the transaction reads and writes.
    private(set) var foreignWrites: [Timestamp] = []

    init(_ id: RangeID) { self.id = id }

    /// Nothing is under way, and nothing is left to do.
    var isIdle: Bool { pending.isEmpty && held.isEmpty && table.isEmpty }

    // MARK: The world

    mutating func serveRead(at timestamp: Timestamp) { floor = max(floor, timestamp) }

    /// Somebody else changes what the transaction has read here.
    mutating func writeForeign(at now: Timestamp) {
        let timestamp = max(floor, now).next
        floor = timestamp
        foreignWrites.append(timestamp)
    }

    /// Whether the rows are as whoever read them then has found them.
    private func isUnchanged(since timestamp: Timestamp) -> Bool { foreignWrites.allSatisfy { $0 <= timestamp } }

    /// The lease moves. Some of what is not committed stays in the log; all else that is not in it is forgotten.
    /// - Returns: who is told that nothing is known, if the old leaseholder still can.
    mutating func moveLease(keeping count: Int, at now: Timestamp) -> [ModelCall.ID] {
        let waiting = held.values.flatMap { $0.waiting + $0.asking } + resolving.values.flatMap(\.waiting)
        let kept = pending.prefix(count)
        pending = []
        for entry in kept { apply(entry.command) }
        term += 1
        floor = max(floor, now)
        forbidden = []
        refused = []
        resolving = [:]
        held = table.prepared.mapValues {
            Held(timestamp: $0.timestamp, preparation: $0.preparation, isCommitted: true)
        }
        return waiting.sorted()
    }

    /// The first entry that is under way gets its quorum.
    mutating func commitFirst() -> [(ModelCall.ID, ModelCall.Reply)] {
        let entry = pending.removeFirst()
        apply(entry.command)
        guard let step = entry.command.step else { return [] }
        let id = TransactionID(request: entry.command.request, attempt: step.attempt)
        if entry.isPrepare {
            guard var found = held[id] else { return [] }
            found.isCommitted = true
            let replies: [(ModelCall.ID, ModelCall.Reply)] =
                found.asking.map { ($0, .standing(.prepared(at: found.timestamp, found.preparation))) }
                + found.waiting.map { ($0, .prepared(at: found.timestamp, candidate: found.preparation.candidate)) }
            found.asking = []
            found.waiting = []
            held[id] = found
            return replies
        }
        guard let over = resolving.removeValue(forKey: id) else { return [] }
        let standing: Standing
        switch over.resolution {
        case .commit: standing = .committed(entry.command.timestamp)
        case .forget: standing = .over
        case .abort, .forbid, .query, .close: standing = .aborted
        }
        if over.resolution != .forget { held[id] = nil }
        return over.waiting.map { ($0, .standing(standing)) }
    }

    private mutating func apply(_ command: Command) {
        guard let step = command.step else { return }
        let id = TransactionID(request: command.request, attempt: step.attempt)
        let wasPrepared = table.prepared[id] != nil
        let effects = table.apply(command)
        for effect in effects where memory[effect.request] == nil { memory[effect.request] = effect.timestamp }
        switch step.kind {
        case .commit where wasPrepared: events.append(.committed(id, command.timestamp))
        case .abort where wasPrepared: events.append(.voided(id))
        case .prepare, .commit, .abort, .forget, .erase: break
        }
    }

    // MARK: Requests

    /// - Returns: the answer; `nil` if it comes later.
    mutating func confirm(upTo timestamp: Timestamp, readAt: Timestamp) -> ModelCall.Reply {
        guard isUnchanged(since: readAt) else { return .failed(.rowsChanged) }
        floor = max(floor, timestamp)
        promised = max(promised, timestamp)
        return .confirmed
    }

    /// - Returns: the answer; `nil` if it comes later. `isBlocked`: another attempt holds the same rows.
    mutating func prepare(
        _ id: TransactionID, _ preparation: CommitStep.Preparation, readAt: Timestamp, mayBeRepeated: Bool,
        call: ModelCall.ID
    ) -> (reply: ModelCall.Reply?, isBlocked: Bool) {
        if let found = held[id] {
            if found.isCommitted {
                return (.prepared(at: found.timestamp, candidate: found.preparation.candidate), false)
            }
            held[id]?.waiting.append(call)
            return (nil, false)
        }
        if forbidden.contains(id) || resolving[id] != nil { return (.failed(.givenUp), false) }
        if let other = held.keys.filter({ $0.request == id.request }).min(), let found = held[other] {
            return mayBeRepeated ? (.inDoubt(other, anchor: found.preparation.anchor), false) : (nil, true)
        }
        if let timestamp = memory[id.request] { return (.committedBefore(timestamp), false) }
        guard memory[id.abortion] == nil, isUnchanged(since: readAt), !isOverloaded else {
            return (.failed(.rowsChanged), false)
        }
        let timestamp = max(preparation.candidate, floor.next)
        held[id] = Held(timestamp: timestamp, preparation: preparation, isCommitted: false, waiting: [call])
        propose(id, .prepare(preparation), timestamp, isPrepare: true)
        return (nil, false)
    }

    mutating func resolve(
        _ id: TransactionID, _ resolution: Resolution, call: ModelCall.ID, at now: Timestamp
    ) -> ModelCall.Reply? {
        if resolution == .close, resolving[id] == nil {
            if let other = held.keys.filter({ $0.request == id.request }).min(), let found = held[other] {
                return .inDoubt(other, anchor: found.preparation.anchor)
            }
            if let timestamp = memory[id.request] { return .standing(.committed(timestamp)) }
            if memory[id.abortion] != nil { return .standing(.aborted) }
            log(id, .close, .abort, now, call)
            return nil
        }
        if let decided = table.decided[id], resolution != .forget { return .standing(.committed(decided.timestamp)) }
        if resolving[id] != nil {
            resolving[id]?.waiting.append(call)
            return nil
        }
        guard let found = held[id] else { return resolveUnknown(id, resolution, call: call, at: now) }
        switch resolution {
        case .commit(let timestamp): log(id, resolution, .commit, timestamp, call)
        case .abort, .forbid: log(id, resolution, .abort, now, call)
        case .query where found.isCommitted:
            return .standing(.prepared(at: found.timestamp, found.preparation))
        case .query: held[id]?.asking.append(call)
        case .forget: return .standing(.over)
        case .close: preconditionFailure("handled before")
        }
        return nil
    }

    private mutating func resolveUnknown(
        _ id: TransactionID, _ resolution: Resolution, call: ModelCall.ID, at now: Timestamp
    ) -> ModelCall.Reply? {
        switch resolution {
        case .abort:
            forbidden.insert(id)
            return .standing(.aborted)
        case .forget:
            if table.decided[id] != nil { log(id, .forget, .forget, now, nil) }
            return .standing(.over)
        case .close: preconditionFailure("handled before")
        case .commit, .forbid, .query:
            if let timestamp = memory[id.commitment] { return .standing(.committed(timestamp)) }
            if case .commit = resolution { return .standing(.over) }
            log(id, resolution, .abort, now, call)
            return nil
        }
    }

    private mutating func log(
        _ id: TransactionID, _ resolution: Resolution, _ kind: CommitStep.Kind, _ timestamp: Timestamp,
        _ call: ModelCall.ID?
    ) {
        resolving[id] = (resolution, call.map { [$0] } ?? [])
        if resolution != .forget { floor = max(floor, timestamp) }
        propose(id, kind, timestamp, isPrepare: false)
    }

    private mutating func propose(
        _ id: TransactionID, _ kind: CommitStep.Kind, _ timestamp: Timestamp, isPrepare: Bool
    ) {
        let isStaging = if case .prepare(let preparation) = kind { preparation.isStaging } else { false }
        let command = Command(
            request: id.request, timestamp: timestamp, closed: .zero,
            mutations: isPrepare ? [Mutation(key: Key([UInt8(self.id.rawValue)]), value: [isStaging ? 1 : 0])] : [],
            step: CommitStep(attempt: id.attempt, kind: kind))
        pending.append(Pending(command: command, isPrepare: isPrepare))
    }
}

/// A question of a gateway to a range, which it asks until it is answered or its time is up.
struct ModelCall {
    typealias ID = Int

    enum Body {
        case prepare(TransactionID, CommitStep.Preparation, readAt: Timestamp, mayBeRepeated: Bool)
        case confirm(upTo: Timestamp, readAt: Timestamp)
        case resolve(TransactionID, Resolution)
    }

    enum Owner {
        case coordinator(Int)
        case recovery(TransactionID)
        case settling(TransactionID)
    }

    enum Reply {
        case prepared(at: Timestamp, candidate: Timestamp)
        case committedBefore(Timestamp)
        case inDoubt(TransactionID, anchor: RangeID)
        case confirmed
        case standing(Standing)
        case failed(MeridianError)
        /// The leadership is another, or was lost meanwhile.
        case notLeaseholder
        case unknown
    }

    var gateway: Int
    var owner: Owner
    var range: RangeID
    var body: Body
    var attempts = 0
    var wasBoundToTerm = false
    var isOutstanding = false
    var mayHaveCommitted = false
}

extension MeridianError {
    static let rowsChanged = MeridianError(.conflict, "the rows have changed")
    static let givenUp = MeridianError(.conflict, "the attempt was given up")
    static let late = MeridianError(.deadlineExceeded, "no answer in time")
}
