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
        var promised: Ballot
        var waiting: [ModelCall.ID] = []
        var asking: [Asked] = []
    }

    struct Asked {
        var request: ModelResolve
        var call: ModelCall.ID
    }

    struct Resolving {
        var request: ModelResolve
        var isPromise: Bool
        var waiting: [Asked]
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
    private(set) var generation = Generation.first
    private(set) var term: UInt64 = 1
    /// What is committed.
    private(set) var log: [Command] = []
    private(set) var table = TransactionTable()
    /// The outcomes that the rows' store remembers.
    private(set) var memory: [RequestID: Timestamp] = [:]
    private(set) var pending: [Pending] = []
    private(set) var events: [Event] = []
    private(set) var held: [TransactionID: Held] = [:]
    private var resolving: [TransactionID: Resolving] = [:]
    private var forgettable: Set<TransactionID> = []
    private var forbidden: Set<TransactionID> = []
    /// Calls that were refused: a copy that comes later must not be taken up (`NodeCore.refused`).
    var refused: Set<ModelCall.ID> = []
    /// What has been read, promised or committed here.
    private var floor = Timestamp.zero
    /// Whether the rows are as the transaction needs them.
    var holdsPreconditions = true
    /// Whether it refuses what it would take up at another time.
    var isOverloaded = false
    /// The highest timestamp up to which a coordinator was promised that nobody writes, and the lowest write since.
    private(set) var promised = Timestamp.zero
    private(set) var firstForeignWrite: Timestamp?

    init(_ id: RangeID) { self.id = id }

    /// Nothing is under way, and nothing is left to do but to report.
    var isIdle: Bool { pending.isEmpty && held.isEmpty && table.decided.isEmpty }

    // MARK: The world

    mutating func serveRead(at timestamp: Timestamp) { floor = max(floor, timestamp) }

    /// Somebody else changes what the transaction has read here.
    mutating func writeForeign(at now: Timestamp) {
        let timestamp = max(floor, now).next
        floor = timestamp
        holdsPreconditions = false
        if firstForeignWrite == nil { firstForeignWrite = timestamp }
    }

    /// The lease moves. Some of what is not committed stays in the log; all else that is not in it is forgotten.
    /// - Returns: who is told that nothing is known, if the old leaseholder still can.
    mutating func moveLease(keeping count: Int, at now: Timestamp) -> [ModelCall.ID] {
        let waiting =
            held.values.flatMap { $0.waiting + $0.asking.map(\.call) }
            + resolving.values.flatMap { $0.waiting.map(\.call) }
        let kept = pending.prefix(count)
        pending = []
        for entry in kept { apply(entry.command) }
        term += 1
        floor = max(floor, now)
        forbidden = []
        refused = []
        resolving = [:]
        forgettable = []
        takeOver()
        return waiting.sorted()
    }

    private mutating func takeOver() {
        held = table.prepared.mapValues {
            Held(timestamp: $0.timestamp, preparation: $0.preparation, isCommitted: true, promised: $0.promised)
        }
    }

    /// The range in its next generation, which goes on from a part of what was committed.
    func failedOver(keeping count: Int, at now: Timestamp) -> ModelRange {
        var next = ModelRange(id)
        next.generation = generation.next
        next.term = term + 1_000
        for command in log.prefix(count) { next.apply(command) }
        next.floor = max(floor, now)
        next.holdsPreconditions = holdsPreconditions
        next.firstForeignWrite = firstForeignWrite
        next.takeOver()
        return next
    }

    /// The first entry that is under way gets its quorum.
    mutating func commitFirst(at now: Timestamp) -> [(ModelCall.ID, ModelCall.Reply)] {
        let entry = pending.removeFirst()
        apply(entry.command)
        guard let step = entry.command.step else { return [] }
        let id = TransactionID(request: entry.command.request, attempt: step.attempt)
        if entry.isPrepare {
            guard var found = held[id] else { return [] }
            found.isCommitted = true
            let asking = found.asking
            var replies: [(ModelCall.ID, ModelCall.Reply)] = found.waiting.map {
                ($0, .prepared(at: found.timestamp, candidate: found.preparation.candidate))
            }
            found.asking = []
            found.waiting = []
            held[id] = found
            replies += again(asking, at: now)
            return replies
        }
        if case .forget = step.kind { return [] }
        guard let over = resolving.removeValue(forKey: id) else { return [] }
        if over.isPromise {
            held[id]?.promised = over.request.ballot
            return again(over.waiting, at: now)
        }
        var isCommit = false
        if case .commit = over.request.resolution { isCommit = true }
        let isRecorded = if case .undo = over.request.resolution { true } else { isCommit }
        held[id] = nil
        let standing = isCommit ? Standing.committed(entry.command.timestamp) : .aborted
        let anew = over.waiting.filter {
            !isRecorded && $0.request.resolution.isCommitOrUndo && $0.request.decidesAnew(in: self.id)
        }
        let told = over.waiting.filter { asked in !anew.contains { $0.call == asked.call } }
        return told.map { ($0.call, .standing(standing)) } + again(anew, at: now)
    }

    private mutating func again(_ asked: [Asked], at now: Timestamp) -> [(ModelCall.ID, ModelCall.Reply)] {
        asked.compactMap { asked in
            resolve(asked.request, call: asked.call, at: now).map { (asked.call, $0) }
        }
    }

    private mutating func apply(_ command: Command) {
        log.append(command)
        guard let step = command.step else { return }
        let id = TransactionID(request: command.request, attempt: step.attempt)
        let wasPrepared = table.prepared[id] != nil
        let effects = table.apply(command)
        for effect in effects where memory[effect.request] == nil { memory[effect.request] = effect.timestamp }
        switch step.kind {
        case .commit where wasPrepared, .adopt where wasPrepared: events.append(.committed(id, command.timestamp))
        case .abort where wasPrepared, .undo where wasPrepared: events.append(.voided(id))
        case .prepare, .commit, .adopt, .abort, .undo, .promise, .forget, .erase: break
        }
    }

    // MARK: Requests

    /// - Returns: the answer; `nil` if it comes later.
    mutating func confirm(upTo timestamp: Timestamp) -> ModelCall.Reply {
        guard holdsPreconditions else { return .failed(.rowsChanged) }
        floor = max(floor, timestamp)
        promised = max(promised, timestamp)
        return .confirmed
    }

    /// - Returns: the answer; `nil` if it comes later. `isBlocked`: another attempt holds the same rows.
    mutating func prepare(
        _ id: TransactionID, _ preparation: CommitStep.Preparation, mayBeRepeated: Bool, call: ModelCall.ID
    ) -> (reply: ModelCall.Reply?, isBlocked: Bool) {
        if let refusal = refusal(of: preparation.participants.first { $0.range == self.id }?.generation) {
            return (refusal, false)
        }
        if let found = held[id] {
            if found.isCommitted {
                return (.prepared(at: found.timestamp, candidate: found.preparation.candidate), false)
            }
            held[id]?.waiting.append(call)
            return (nil, false)
        }
        if forbidden.contains(id) || resolving[id] != nil { return (.failed(.givenUp), false) }
        if let other = held.keys.filter({ $0.request == id.request }).min(), let found = held[other] {
            return mayBeRepeated ? (.inDoubt(other, found.preparation.participants), false) : (nil, true)
        }
        if let timestamp = memory[id.request] { return (.committedBefore(timestamp), false) }
        guard memory[id.abortion] == nil, holdsPreconditions, !isOverloaded else {
            return (.failed(.rowsChanged), false)
        }
        let timestamp = max(preparation.candidate, floor.next)
        held[id] = Held(
            timestamp: timestamp, preparation: preparation, isCommitted: false,
            promised: Ballot(of: preparation.participants), waiting: [call])
        propose(id, .prepare(preparation), timestamp, isPrepare: true)
        return (nil, false)
    }

    private func refusal(of generation: Generation?) -> ModelCall.Reply? {
        guard let generation, generation != self.generation else { return nil }
        return self.generation < generation ? .notLeaseholder : .failed(.superseded)
    }

    mutating func resolve(_ request: ModelResolve, call: ModelCall.ID, at now: Timestamp) -> ModelCall.Reply? {
        if let refusal = refusal(of: request.generation) { return refusal }
        let id = request.id
        if request.resolution == .forget {
            if table.decided[id] != nil, forgettable.insert(id).inserted {
                propose(id, .forget([id]), now, isPrepare: false)
            }
            return .standing(.over)
        }
        if let decided = table.decided[id] { return .standing(.committed(decided.timestamp)) }
        if table.undone[id] != nil { return .standing(.aborted) }
        if resolving[id] != nil {
            resolving[id]?.waiting.append(Asked(request: request, call: call))
            return nil
        }
        guard let found = held[id] else { return resolveUnknown(request, call: call, at: now) }
        guard request.ballot >= found.promised else { return .failed(.superseded) }
        switch request.resolution {
        case .commit(let timestamp): log(request, .commit, timestamp, call)
        case .abort, .forbid: log(request, .abort, now, call)
        case .undo(let mayBeAcknowledged): log(request, undo(request, mayBeAcknowledged), now, call)
        case .query where !found.isCommitted: held[id]?.asking.append(Asked(request: request, call: call))
        case .query where request.ballot > found.promised: log(request, .promise(request.ballot), nil, call)
        case .query: return .standing(.prepared(at: found.timestamp, found.preparation))
        case .forget: preconditionFailure("handled above")
        }
        return nil
    }

    private func undo(_ request: ModelResolve, _ mayBeAcknowledged: Bool) -> CommitStep.Kind {
        .undo(
            .init(participants: request.participants, candidate: .zero, mayBeAcknowledged: mayBeAcknowledged))
    }

    private mutating func resolveUnknown(
        _ request: ModelResolve, call: ModelCall.ID, at now: Timestamp
    ) -> ModelCall.Reply? {
        let id = request.id
        let decides = request.decidesAnew(in: self.id)
        if request.resolution == .abort {
            forbidden.insert(id)
            return .standing(.aborted)
        }
        if let timestamp = memory[id.commitment] { return .standing(.committed(timestamp)) }
        if memory[id.abortion] != nil, !decides || request.resolution == .query { return .standing(.aborted) }
        switch request.resolution {
        case .commit(let timestamp) where decides: log(request, .adopt(request.participants), timestamp, call)
        case .commit: return .standing(.over)
        case .undo(let mayBeAcknowledged): log(request, undo(request, mayBeAcknowledged), now, call)
        case .abort, .forbid, .query, .forget: log(request, .abort, now, call)
        }
        return nil
    }

    private mutating func log(
        _ request: ModelResolve, _ kind: CommitStep.Kind, _ timestamp: Timestamp?, _ call: ModelCall.ID
    ) {
        var isPromise = false
        if case .promise = kind { isPromise = true }
        resolving[request.id] = Resolving(
            request: request, isPromise: isPromise, waiting: [Asked(request: request, call: call)])
        if let timestamp { floor = max(floor, timestamp) }
        propose(request.id, kind, timestamp ?? floor, isPrepare: false)
    }

    private mutating func propose(
        _ id: TransactionID, _ kind: CommitStep.Kind, _ timestamp: Timestamp, isPrepare: Bool
    ) {
        let command = Command(
            request: id.request, timestamp: timestamp, closed: .zero,
            mutations: isPrepare ? [Mutation(key: Key([UInt8(self.id.rawValue)]), value: [1])] : [],
            step: CommitStep(attempt: id.attempt, kind: kind))
        pending.append(Pending(command: command, isPrepare: isPrepare))
    }
}

/// What `ResolveRequest` is in a node.
struct ModelResolve {
    var id: TransactionID
    var resolution: Resolution
    var participants: [Participant]
    var ballot: Ballot
    var generation: Generation

    func decidesAnew(in range: RangeID) -> Bool {
        ballot != Ballot(of: participants) && participants[ballot.position].range == range
    }
}

/// A question of a gateway to a range, which it asks until it is answered or its time is up.
struct ModelCall {
    typealias ID = Int

    enum Body {
        case prepare(TransactionID, CommitStep.Preparation, mayBeRepeated: Bool)
        case confirm(upTo: Timestamp)
        case resolve(ModelResolve)

        /// Which history of its range is meant; any, if that is not said.
        var generation: Generation? {
            switch self {
            case .prepare, .confirm: nil
            case .resolve(let request): request.generation
            }
        }
    }

    enum Owner {
        case coordinator(Int)
        case recovery(TransactionID)
    }

    enum Reply {
        case prepared(at: Timestamp, candidate: Timestamp)
        case committedBefore(Timestamp)
        case inDoubt(TransactionID, [Participant])
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
    static let superseded = MeridianError(.conflict, "the rows have failed over")
    static let givenUp = MeridianError(.conflict, "the attempt was given up")
    static let late = MeridianError(.deadlineExceeded, "no answer in time")
}
