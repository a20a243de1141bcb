import MeridianCore

/// Commits one transaction over several ranges, in one round where that is possible (DESIGN §9; CockroachDB's parallel
/// commits are the model, strictness is ours).
///
/// The gateway picks the **candidate** `c`, at or above its clock's `latest`, and sends every range that is written a
/// prepare. One of them is the **anchor**; its prepare entry is the staging record and names the others. A range
/// prepares at `c`, or higher if it has served a read or closed a timestamp above, and answers when the entry is
/// committed and its timestamp is past everywhere.
///
/// - **One round.** If all have prepared at exactly the anchor's candidate, the transaction *is* committed, at `c`: all
///   that it is lies in the logs, and whoever looks at the staging record comes to the same result (`Recovery`). The
///   client is answered at once.
/// - **Two rounds.** If a range was pushed, nothing is decided yet. The coordinator takes the highest of the prepared
///   timestamps and has the anchor's log decide.
/// - **Unequal ranges.** What is decided by what lies in all logs is as durable as the weakest of them. So where the
///   ranges do not all survive the same, or the client wants it, the anchor's log, the strongest, decides explicitly
///   before the client is answered: two rounds as well.
/// - **Ranges that are only read** prepare nothing. Their leaseholders check what was read and promise to let nobody
///   write at or below `c`, from memory. The staging record is held back until they have, so where it exists the
///   promises were given. After a push they are asked again, up to the new timestamp.
///
/// Afterwards, off the client's path, the anchor's log makes the decision explicit, the other ranges learn it, and the
/// anchor may forget. If the coordinator dies on the way, others finish or abort the transaction.
///
/// HAZARD: an attempt has one coordinator. If a client's gateway dies and another one takes the request up, that is a
/// new attempt, which meets the old one and has it recovered first. With two coordinators of one attempt, the first
/// could have told the anchor to forbid it, with the message still under way, when the second finds all prepared and
/// tells the client that it has committed.
///
/// Why the answer is strictly serializable: the locks of all ranges are held together when the last prepare is
/// committed; `c` lies above the start of the commit on every clock, and is past when the client is answered; nobody
/// reads or writes at the locked keys in between. docs/CONSISTENCY.md has the argument in full.
package struct CommitCoordinator: Sendable {
    package enum Action: Hashable, Sendable {
        case prepare(RangeID)
        /// Check what was read in this range, and promise that nobody writes it at or below a timestamp.
        case confirm(RangeID, upTo: Timestamp)
        case resolve(RangeID, Resolution)
        /// The client's answer. What follows is off its path.
        case finish(Outcome)
        /// An earlier attempt of the same request is open in this range: bring it to its end, then call `recovered`.
        case recover(TransactionID, [Participant], metIn: RangeID)
    }

    package enum Outcome: Hashable, Sendable {
        case committed(Timestamp)
        case failed(MeridianError)
    }

    /// What a range has answered.
    package enum Answer: Hashable, Sendable {
        case prepared(at: Timestamp, candidate: Timestamp)
        /// An earlier attempt of the request has committed.
        case committedBefore(Timestamp)
        case inDoubt(TransactionID, [Participant])
        case confirmed
        case standing(Standing, after: Resolution)
        /// It will not do what it was asked, or did not answer in time.
        /// - Parameter wasRepeated: the range was asked more than once, so that one of the questions can be on its way
        ///   still.
        case failed(MeridianError, Question, wasRepeated: Bool)
    }

    package enum Question: Hashable, Sendable {
        case prepare
        case confirm
        case resolve
    }

    private enum Phase: Hashable, Sendable {
        /// Becomes `decided`, `fixing` or `aborting`.
        case preparing
        /// Some range was pushed, or what is prepared is not enough. Becomes `decided` or `aborting`.
        case fixing(Timestamp)
        /// The anchor's log must say that the transaction can never commit. Becomes `over`, or `decided` if it says
        /// that somebody has committed it.
        case aborting(MeridianError)
        /// The other ranges are being told.
        case decided(Timestamp)
        case over
    }

    package let id: TransactionID
    /// The ranges that are written, in the order in which they would have to decide.
    package let participants: [Participant]
    private let readers: [RangeID]
    private let candidate: Timestamp
    /// The client has asked for the same request before, and does not know what has become of it.
    private let mayBeRepeated: Bool
    /// The client is answered when the anchor's log has decided, and not before.
    package let acknowledgesDecided: Bool
    private var phase = Phase.preparing
    private var prepared: [RangeID: (at: Timestamp, candidate: Timestamp)] = [:]
    /// Ranges that were only read and have not confirmed it.
    private var unconfirmed: Set<RangeID>
    /// Writers that were asked to prepare.
    private var asked: Set<RangeID> = []
    private var untold: Set<RangeID> = []

    /// - Parameters:
    ///   - participants: the ranges that are written, at least one, the anchor first.
    ///   - readers: the ranges that are only read.
    ///   - mayBeRepeated: an earlier attempt of the same request may be open, or have committed.
    ///   - acknowledgesDecided: what all have prepared is not enough for an answer.
    package init(
        id: TransactionID, participants: [Participant], readers: [RangeID], candidate: Timestamp,
        mayBeRepeated: Bool, acknowledgesDecided: Bool = false
    ) {
        precondition(!participants.isEmpty, "\(id) writes nothing")
        precondition(Set(participants.map(\.range)).isDisjoint(with: readers), "a range is written and only read")
        self.id = id
        self.participants = participants
        self.readers = readers
        self.candidate = candidate
        self.mayBeRepeated = mayBeRepeated
        self.acknowledgesDecided = acknowledgesDecided
        unconfirmed = Set(readers)
    }

    package var anchor: RangeID { participants[0].range }
    private var writers: [RangeID] { participants.map(\.range) }

    /// Whether nothing more will come of it.
    package var isOver: Bool { phase == .over }

    package mutating func begin() -> [Action] {
        precondition(asked.isEmpty && phase == .preparing, "\(id) begun twice")
        let first = readers.isEmpty ? writers : writers.filter { $0 != anchor }
        asked = Set(first)
        return first.map { .prepare($0) } + readers.map { .confirm($0, upTo: candidate) }
    }

    package mutating func received(_ answer: Answer, from range: RangeID) -> [Action] {
        switch (phase, answer) {
        case (.preparing, .prepared(let timestamp, let candidate)):
            prepared[range] = (timestamp, candidate)
            return decideIfAllHavePrepared()
        case (.preparing, .confirmed):
            unconfirmed.remove(range)
            guard unconfirmed.isEmpty, asked.insert(anchor).inserted else { return [] }
            return [.prepare(anchor)]
        case (.fixing(let timestamp), .confirmed):
            unconfirmed.remove(range)
            return unconfirmed.isEmpty ? [.resolve(anchor, .commit(at: timestamp))] : []
        case (.preparing, .committedBefore(let timestamp)):
            // Whatever this attempt has prepared is found to be void by whoever meets it.
            phase = .over
            return [.finish(.committed(timestamp)), .recover(id, participants, metIn: range)]
        case (.preparing, .inDoubt(let other, let participants)):
            return [.recover(other, participants, metIn: range)]
        case (.preparing, .failed(let error, _, let wasRepeated)):
            return abort(error, from: range, isCertain: !wasRepeated && !mayBeRepeated)
        case (.fixing, .failed(let error, .confirm, _)):
            return abort(error, from: range, isCertain: false)
        case (.fixing, .failed(let error, .resolve, _)):
            // Nobody knows whether the anchor has decided.
            phase = .over
            return [.finish(.failed(Self.unknown(error)))]
        case (.fixing, .standing(.committed(let timestamp), _)):
            return decided(at: timestamp, isExplicit: true)
        case (.fixing, .standing):
            return abort(Self.aborted, from: anchor, isCertain: true)
        case (.aborting, .standing(.committed(let timestamp), .forbid)):
            return decided(at: timestamp, isExplicit: true)
        case (.aborting(let error), .standing(_, .forbid)):
            return abort(error, from: anchor, isCertain: true)
        case (.aborting, .failed(let error, .resolve, _)):
            phase = .over
            return [.finish(.failed(Self.unknown(error)))]
        case (.decided(let timestamp), .standing(let standing, .commit)):
            if range == anchor, untold.contains(anchor), standing != .committed(timestamp) {
                // Another range was given up with what it had prepared, and a recovery has found it so first. What the
                // anchor's log says holds for all ranges.
                phase = .over
                return []
            }
            return told(range, timestamp)
        case (.decided, .failed):
            // The anchor's leaseholder brings it to its end.
            phase = .over
            return []
        default:
            return []
        }
    }

    /// The earlier attempt that was met in a range is over.
    package mutating func recovered(in range: RangeID) -> [Action] {
        phase == .preparing && asked.contains(range) ? [.prepare(range)] : []
    }

    /// An older transaction wants what this one has prepared. It makes way, unless it is decided or the anchor has been
    /// asked to.
    package mutating func wound() -> [Action] {
        switch phase {
        case .preparing: break
        // What was only read may be held by the older one, so that each would wait for the other.
        case .fixing where !unconfirmed.isEmpty: break
        case .fixing, .aborting, .decided, .over: return []
        }
        return abort(Self.wounded, from: nil, isCertain: false)
    }

    private mutating func decideIfAllHavePrepared() -> [Action] {
        guard prepared.count == writers.count, let staging = prepared[anchor] else { return [] }
        let highest = prepared.values.reduce(staging.at) { max($0, $1.at) }
        let isPushed = prepared.values.contains { $0.at != staging.candidate } && !Planted.isOn(.pushIgnored)
        guard isPushed || acknowledgesDecided else { return decided(at: staging.candidate, isExplicit: false) }
        phase = .fixing(highest)
        // Up to the candidate they have confirmed it already.
        guard !isPushed || readers.isEmpty else {
            unconfirmed = Set(readers)
            return readers.map { .confirm($0, upTo: highest) }
        }
        return [.resolve(anchor, .commit(at: highest))]
    }

    private mutating func decided(at timestamp: Timestamp, isExplicit: Bool) -> [Action] {
        phase = .decided(timestamp)
        untold = Set(writers)
        let finish = Action.finish(.committed(timestamp))
        return isExplicit ? [finish] + told(anchor, timestamp) : [finish, .resolve(anchor, .commit(at: timestamp))]
    }

    /// A range knows that the transaction has committed. The anchor comes first: until its log says so, the others must
    /// keep what they have prepared.
    private mutating func told(_ range: RangeID, _ timestamp: Timestamp) -> [Action] {
        guard untold.remove(range) != nil else { return [] }
        if range == anchor, !untold.isEmpty {
            return writers.filter { $0 != anchor }.map { .resolve($0, .commit(at: timestamp)) }
        }
        guard untold.isEmpty else { return [] }
        phase = .over
        return writers.map { .resolve($0, .forget) }
    }

    /// Gives the transaction up.
    ///
    /// HAZARD: a range must not be told to abort what the anchor may have committed, since a recovery comes to its own
    /// result. Where that is possible the anchor's log is asked first, and its answer holds.
    /// - Parameter isCertain: some range has refused and cannot take the question up any more, or the anchor has: so
    ///   nobody can commit it.
    private mutating func abort(_ error: MeridianError, from range: RangeID?, isCertain: Bool) -> [Action] {
        let isUnstaged = !asked.contains(anchor)
        let isImpossible = isCertain || (isUnstaged && !mayBeRepeated)
        guard isImpossible || Planted.isOn(.abortUnasked) else {
            phase = .aborting(error)
            return [.resolve(anchor, .forbid)]
        }
        phase = .over
        // Of this attempt nothing comes. An earlier one, which a repeated request asks for, may have committed.
        var error = error
        if mayBeRepeated { error.commitOutcome = .unknown }
        return [.finish(.failed(error))]
            + writers.filter { asked.contains($0) && $0 != range }.map { .resolve($0, .abort) }
    }

    private static func unknown(_ error: MeridianError) -> MeridianError {
        MeridianError(
            .commitStatusUnknown,
            "the range that decides did not answer (\(error.code)); the commit can have happened: ask again with the "
                + "same request id, which tells",
            retry: .after(.seconds(1)), commitOutcome: .unknown)
    }

    private static var aborted: MeridianError {
        MeridianError(.conflict, "the transaction was aborted by another one; run it again", retry: .immediately)
    }

    private static var wounded: MeridianError {
        MeridianError(.conflict, "an older transaction wants the same rows; run it again", retry: .immediately)
    }
}
