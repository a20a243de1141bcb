import MeridianCore

/// In which history a participant is, and whether it is the whole of what it was when the transaction began.
package struct Presence: Hashable, Sendable {
    package var generation: Generation
    /// A failover since then has cut off the end of the log.
    package var hasLost: Bool

    package init(_ generation: Generation, hasLost: Bool = false) {
        self.generation = generation
        self.hasLost = hasLost
    }
}

/// Brings a transaction to its end whose coordinator has fallen silent, whatever it had done (DESIGN §9).
///
/// **The anchor is in the history in which the transaction began**, and was not given up:
/// 1. It is asked. Without a staging record the transaction never commits: the question has forbidden it. If it has
///    decided, that is it.
/// 2. With a staging record and no decision, every participant is asked whether it has prepared; one that has not is
///    forbidden to, in its log.
/// 3. If all have prepared, the transaction is committed: at the staging record's candidate if all have prepared at
///    exactly that, because then the client may have been told; else at the highest, unless ranges that were only read
///    would have to promise more. Otherwise it is aborted. The anchor's log decides, since somebody else may recover it
///    too, or the coordinator may live; what it says holds.
/// 4. All participants are told, and then that they may forget.
///
/// **The anchor is in a later history, or was given up** (`Ballot`): what it had decided may be lost with the end of
/// its log, while some participant has heard of it.
/// 1. All participants are asked at once, each in its present history; what has only prepared promises in its log to
///    follow no lower ballot any more, so no message of an earlier decision is taken in from there on.
/// 2. If one has taken a commit in, that was decided, and is decided again. Else, if the failover has lost nothing and
///    all have prepared, as above. Else it is aborted, with a record, since its client may have been told that it had
///    committed. It may have been told of the contrary as well, by an end of the anchor's log that is lost: that must
///    not become untrue, while losses are what the weaker modes allow.
/// 3. The log of the range whose turn it is decides, and all are told, as above.
///
/// A participant that is given up counts as one that has nothing, and is told nothing. One in a later history is asked
/// as any other. If what is missing is missing for such a reason, the transaction can have been acknowledged in one
/// round: it is aborted with a record, which is kept until somebody has reported it (`undone`).
///
/// Any number of recoveries may run at once, beside the coordinator. docs/internals/transactions.md has the argument.
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
    package let participants: [Participant]
    /// Where each participant is now; `nil` for one that was given up.
    private let present: [Presence?]
    package let ballot: Ballot
    /// Where the transaction was met.
    private let origin: RangeID
    /// When it has committed, if that is known from where it was met.
    private let committed: Timestamp?
    private var phase = Phase.askingAnchor
    private var preparation: CommitStep.Preparation?
    private var prepared: [RangeID: Timestamp] = [:]
    /// Participants that have nothing of it, and do not prepare it any more.
    private var missing: Set<RangeID> = []
    private var untold: Set<RangeID> = []

    /// - Parameters:
    ///   - present: where each participant is now, in the same order; `nil` for one that was given up.
    ///     All as one state of the system range has them.
    ///   - origin: a range that has prepared it, or was to, or has taken it in, in the history that says so.
    ///   - committed: when it has committed, as `origin` says.
    /// - Returns: `nil` if all have been given up: nobody can decide, and nobody cares. And if `origin` speaks for a
    ///   history that has ended: the one that goes on asks for itself.
    package init?(
        id: TransactionID, participants: [Participant], present: [Presence?], metIn origin: Participant,
        committed: Timestamp? = nil
    ) {
        precondition(participants.count == present.count, "\(participants.count) participants, \(present.count) known")
        guard let position = present.firstIndex(where: { $0 != nil }), let generation = present[position]?.generation
        else {
            return nil
        }
        let place = participants.firstIndex { $0.range == origin.range }
        if let presence = place.map({ present[$0] }) {
            guard presence?.generation == origin.generation || presence == nil && committed == nil else { return nil }
        }
        self.id = id
        self.participants = participants
        self.present = present
        self.origin = origin.range
        self.committed = committed
        ballot = Ballot(position: position, generation: generation)
        for (participant, presence) in zip(participants, present) where presence == nil {
            missing.insert(participant.range)
        }
    }

    package var isOver: Bool { phase == .over }

    /// The range whose log decides.
    package var decider: RangeID { participants[ballot.position].range }

    /// In which history a range is asked and told.
    package func generation(of range: RangeID) -> Generation {
        guard let position = participants.firstIndex(where: { $0.range == range }) else { return .first }
        return present[position]?.generation ?? participants[position].generation
    }

    private var isFirstBallot: Bool { ballot == Ballot(of: participants) || Planted.isOn(.lostDecisionIgnored) }

    private var live: [RangeID] {
        zip(participants, present).compactMap { $1 == nil ? nil : $0.range }
    }

    package mutating func begin() -> [Action] {
        if let committed {
            phase = .deciding
            return [.resolve(decider, .commit(at: committed))]
        }
        guard !isFirstBallot else { return [.resolve(decider, .query)] }
        phase = .askingParticipants
        return live.map { .resolve($0, .query) }
    }

    /// An answer to another question than the present one changes nothing. It can come: a node that gives a recovery up
    /// and begins it anew still hears what the first one has asked.
    /// - Parameter resolution: what the range was told or asked.
    package mutating func received(
        _ standing: Standing, from range: RangeID, after resolution: Resolution
    ) -> [Action] {
        switch phase {
        case .askingAnchor:
            guard range == decider, resolution == .query else { return [] }
            return anchorStands(standing)
        case .askingParticipants:
            guard live.contains(range), range != decider || !isFirstBallot, resolution == .query else { return [] }
            return participantStands(standing, in: range)
        case .deciding:
            // Other participants' answers to the question before do not matter any more.
            guard range == decider, resolution.decides else { return [] }
            switch standing {
            case .committed(let timestamp): return tell(.commit(at: timestamp))
            case .over: return tell(committed.map { .commit(at: $0) } ?? .abort)
            case .aborted: return tell(.abort)
            case .prepared: return failed()
            }
        case .telling(let told):
            guard told == resolution else { return [] }
            // It has promised a higher ballot meanwhile.
            if case .prepared = standing { return failed() }
            guard untold.remove(range) != nil, untold.isEmpty else { return [] }
            return end(told)
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
            self.preparation = preparation
            prepared[decider] = timestamp
            phase = .askingParticipants
            let others = live.filter { $0 != decider }
            return others.isEmpty ? decide() : others.map { .resolve($0, .query) }
        }
    }

    private mutating func participantStands(_ standing: Standing, in range: RangeID) -> [Action] {
        switch standing {
        case .prepared(let timestamp, let preparation):
            prepared[range] = timestamp
            // Of these, the promises of the ranges that were only read rest on the anchor's alone.
            if self.preparation == nil { self.preparation = preparation }
        case .committed(let timestamp):
            phase = .deciding
            return [.resolve(decider, .commit(at: timestamp))]
        case .aborted, .over:
            missing.insert(range)
            // Nobody was told that it has committed, since this range, which has lost nothing, did not prepare.
            if isFirstBallot, !hasLost(range) { return forbid(.forbid) }
        }
        return prepared.count + missing.count == participants.count ? decide() : []
    }

    /// Whether a range can have lost what it had prepared.
    private func hasLost(_ range: RangeID) -> Bool {
        zip(participants, present).contains { $0.range == range && $1?.hasLost != false }
    }

    private mutating func decide() -> [Action] {
        guard missing.isEmpty, let preparation else {
            // Whoever acknowledges explicit decisions alone has told nobody, unless such a decision is lost.
            let isUntold = isFirstBallot && preparation?.acknowledgesDecided == true
            let isCertain = isUntold || !missing.allSatisfy(hasLost)
            // A ballot after the first decides by its record alone.
            return forbid(isCertain && isFirstBallot ? .forbid : .undo(mayBeAcknowledged: !isCertain))
        }
        if hasLost(decider), !isFirstBallot { return forbid(.undo(mayBeAcknowledged: true)) }
        phase = .deciding
        let highest = prepared.values.reduce(preparation.candidate) { max($0, $1) }
        let isPushed = prepared.values.contains { $0 != preparation.candidate }
        if isPushed, preparation.readsElsewhere {
            return forbid(isFirstBallot ? .forbid : .undo(mayBeAcknowledged: false))
        }
        if Planted.isOn(.recoveryAborts) { return forbid(.forbid) }
        return [.resolve(decider, .commit(at: highest))]
    }

    private mutating func forbid(_ resolution: Resolution) -> [Action] {
        phase = .deciding
        return [.resolve(decider, resolution)]
    }

    private mutating func tell(_ resolution: Resolution) -> [Action] {
        phase = .telling(resolution)
        let others = participants.map(\.range).filter { $0 != decider && (live.contains($0) || $0 == origin) }
        untold = Set(others)
        return others.isEmpty ? end(resolution) : others.map { .resolve($0, resolution) }
    }

    private mutating func end(_ told: Resolution) -> [Action] {
        phase = .over
        guard case .commit = told else { return [.finish] }
        return live.map { .resolve($0, .forget) } + [.finish]
    }
}
