import MeridianCore

/// Brings a transaction to its end whose coordinator has fallen silent, whatever it had done (DESIGN §9).
///
/// 1. The **anchor** is asked. Without a staging record the transaction never commits: the question has forbidden it.
///    If the anchor has decided, that is it.
/// 2. With a staging record and no decision, every **participant** is asked whether it has prepared; one that has not
///    is forbidden to, in its log.
/// 3. If all have prepared, the transaction is committed: at the staging record's candidate if all have prepared at
///    exactly that, because then the client may have been told; else at the highest, unless ranges that were only read
///    would have to promise more. Otherwise it is aborted. The anchor's log decides, since somebody else may recover it
///    too, or the coordinator may live; what it says holds.
/// 4. All participants are told, and the anchor may forget.
///
/// Any number of recoveries may run at once, beside the coordinator.
package struct Recovery: Sendable {
    package enum Action: Hashable, Sendable {
        case resolve(RangeID, Resolution)
        case finish
    }

    private enum Phase: Hashable, Sendable {
        case askingAnchor
        case askingParticipants
        case deciding
        case telling(Resolution)
        case over
    }

    package let id: TransactionID
    package let anchor: RangeID
    /// Where the transaction was met.
    private let origin: RangeID
    private var phase = Phase.askingAnchor
    private var staging: CommitStep.Preparation?
    private var prepared: [RangeID: Timestamp] = [:]
    private var participants: [RangeID] = []
    private var untold: Set<RangeID> = []
    /// What the anchor's log says: a commit or an abort; `nil` until it is known.
    package private(set) var decision: Resolution?

    /// - Parameter origin: a range that has prepared it, or was to.
    package init(id: TransactionID, anchor: RangeID, metIn origin: RangeID) {
        self.id = id
        self.anchor = anchor
        self.origin = origin
    }

    /// The end of a recovery: the anchor has decided for a commit, and some participant may not know.
    package init(of decided: DecidedTransaction, anchor: RangeID) {
        self.init(id: decided.id, anchor: anchor, metIn: anchor)
        participants = decided.participants
        phase = .telling(.commit(at: decided.timestamp))
    }

    package var isOver: Bool { phase == .over }

    package mutating func begin() -> [Action] {
        if case .telling(let resolution) = phase { return tell(resolution) }
        return [.resolve(anchor, .query)]
    }

    /// An answer to another question than the present one changes nothing. It can come: a node that gives a recovery up
    /// and begins it anew still hears what the first one has asked.
    /// - Parameter resolution: what the range was told or asked.
    package mutating func received(
        _ standing: Standing, from range: RangeID, after resolution: Resolution
    ) -> [Action] {
        switch phase {
        case .askingAnchor:
            guard range == anchor, resolution == .query else { return [] }
            return anchorStands(standing)
        case .askingParticipants:
            guard range != anchor, resolution == .query else { return [] }
            return participantStands(standing, in: range)
        case .deciding:
            // Other participants' answers to the question before do not matter any more.
            guard range == anchor, resolution.decides else { return [] }
            if case .committed(let timestamp) = standing { return tell(.commit(at: timestamp)) }
            return tell(.abort)
        case .telling(let told):
            guard told == resolution, untold.remove(range) != nil, untold.isEmpty else { return [] }
            phase = .over
            guard case .commit = told, !participants.isEmpty else { return [.finish] }
            return [.resolve(anchor, .forget), .finish]
        case .over: return []
        }
    }

    /// A range did not answer in time. Whoever still waits for the transaction begins again.
    package mutating func failed() -> [Action] {
        phase = .over
        return [.finish]
    }

    private mutating func anchorStands(_ standing: Standing) -> [Action] {
        switch standing {
        case .committed(let timestamp): return tell(.commit(at: timestamp))
        case .aborted, .over: return tell(.abort)
        case .prepared(let timestamp, let preparation):
            guard preparation.isStaging else { return tell(.abort) }
            staging = preparation
            participants = preparation.participants
            prepared[anchor] = timestamp
            phase = .askingParticipants
            let others = participants.filter { $0 != anchor }
            return others.isEmpty ? decide() : others.map { .resolve($0, .query) }
        }
    }

    private mutating func participantStands(_ standing: Standing, in range: RangeID) -> [Action] {
        switch standing {
        case .prepared(let timestamp, _):
            prepared[range] = timestamp
            return prepared.count == participants.count ? decide() : []
        case .committed, .aborted, .over:
            // Committed: the anchor has decided in the meantime, and says so.
            phase = .deciding
            return [.resolve(anchor, .forbid)]
        }
    }

    private mutating func decide() -> [Action] {
        guard let staging else { preconditionFailure("\(id): a decision without a staging record") }
        phase = .deciding
        let highest = prepared.values.reduce(staging.candidate) { max($0, $1) }
        let isPushed = prepared.values.contains { $0 != staging.candidate }
        if isPushed, staging.readsElsewhere { return [.resolve(anchor, .forbid)] }
        if Planted.isOn(.recoveryAborts) { return [.resolve(anchor, .forbid)] }
        return [.resolve(anchor, .commit(at: highest))]
    }

    private mutating func tell(_ resolution: Resolution) -> [Action] {
        phase = .telling(resolution)
        decision = resolution
        let others = participants.isEmpty ? [origin] : participants
        untold = Set(others.filter { $0 != anchor })
        guard !untold.isEmpty else {
            phase = .over
            guard case .commit = resolution, !participants.isEmpty else { return [.finish] }
            return [.resolve(anchor, .forget), .finish]
        }
        return others.filter { $0 != anchor }.map { .resolve($0, resolution) }
    }
}
