import MeridianConsensus
import MeridianCore
import MeridianPlacement

/// How a replica leaves a node, and what is kept of it.
///
/// What it holds lies in two files, which no write reaches together. So each step is durable before the next begins,
/// and after a crash anywhere the files say which step is to be done again:
///
/// 1. **Salvage.** A replica whose history was superseded may hold commits that were acknowledged and that the new
///    history lacks. They are handed to the host (`Salvage`), which keeps them as a report. Of those that the log has
///    no more, because the replica went on for long without its followers, the host adds the rows. Nothing is removed
///    before that report is durable. *A crash before or after it finds the whole replica: it departs again, and what
///    is salvaged the second time is at most the same.*
/// 2. **The log goes**, and in the same write the replica is marked as departing. *From now on a start finds the mark,
///    makes no replica of what the state file has, and goes on here.* What stays is the term and the vote, since a node
///    that becomes a member again must not vote twice in a term, and where the log ended (`HardState.floor`).
/// 3. **The rows go.** *A crash before this is durable finds them all, and the mark: never again are they taken for a
///    member's.*
/// 4. **The mark goes.** *A crash before this finds the mark and no rows: nothing is done twice.* If the node is still
///    a member, or has become one meanwhile, an empty replica takes the place.
///
/// The **floor** is for those who never heard of any change. Let A, B and C be members until D, E and F take over, and
/// let C sleep through it. A and B depart, and come back as learners, empty. Now C wakes and asks for their votes with
/// a log in which it is a member, and they two. Their logs say nothing against it; what they acknowledged once does:
/// they had the entry that replaced them, and C has not. So whoever has departed votes for no log that ends before the
/// one that it has let go of, and does not campaign with one. Nobody is held up by it for good: a leader of a later
/// term has an entry of that term.
///
/// A replica that leaves because its rows are **damaged** goes the same way, without a report: what it had committed a
/// quorum of others has. What stays of it says that it is recovering. So does one whose rows end before its log begins:
/// its files are good, each by itself, but not together (a disk has brought an older state of one of them back), so
/// nobody knows what else is missing. Both get everything from their peers.
struct Departure: Sendable {
    enum Reason: Hashable, Sendable {
        /// The range has gone on in another generation.
        case superseded
        /// The node is no member any more.
        case left
        /// Its rows are not what a quorum of the others has (`Replica+Comparison.swift`). The node remains a member and
        /// begins a new life with the range, which is recovering.
        case damaged
    }

    enum Stage: Hashable, Sendable {
        case salvaging
        case removingLog
        /// Snapshots that the state store has been given are answered first: one that is installed late would bring the
        /// rows back.
        case awaitingSnapshots
        case clearing
        case removingMark
    }

    var span: KeySpan
    var stage: Stage
    /// Writes of snapshots that were not answered yet.
    var snapshotWrites = 0
    /// What the node must remember of the replica if it comes back.
    var hardState: HardState
}

/// Commits of a history that has ended, to be kept.
package struct Salvage: Sendable {
    package var range: RangeID
    package var table: TableID
    package var partition: Region
    /// The generation in which they were made.
    package var generation: Generation
    /// Where the histories part.
    package var fork: LogIndex
    /// The entries behind the fork, as far as the log still has them.
    package var entries: [Entry]
    /// Up to where this replica knew them to be committed.
    package var committed: LogIndex
    /// How many entries behind the fork the log has no more.
    package var compacted: UInt64
    /// Where the rows of these are, and since when: everything committed up to then is in both histories.
    package var span: KeySpan
    package var completeTo: Timestamp
    /// What the entries that are gone have left (`addRows`).
    package var rows: [KeyedVersion] = []

    /// Looks for what the log cannot tell any more: the newest version of each row that was written since the fork, or
    /// shortly before.
    package mutating func addRows(from reader: any StateReader) throws {
        guard compacted > 0 else { return }
        rows = []
        // At the lower bound there is no row, but the mark of an erasure.
        var rest: KeySpan? = KeySpan(lower: span.lower.successor, upper: span.upper)
        while let left = rest {
            let limits = PageLimits.node
            let page = try reader.newest(in: left, since: completeTo, limit: limits.rows, byteLimit: limits.bytes)
            rows += page.rows
            rest = if case .key(let next)? = page.resume { left.from(next) } else { nil }
        }
    }
}

extension NodeCore {
    /// Takes a replica out of service, for good.
    mutating func depart(_ slot: Int, as reason: Departure.Reason, at now: Moment, _ effects: inout StepEffects) {
        let range = replicas[slot].descriptor
        precondition(departures[range.id] == nil, "\(range.id) departs twice")
        // Whoever waits for an answer gets one.
        switch reason {
        case .superseded: replicas[slot].raft.seal(for: range.generation, at: now)
        case .left, .damaged: replicas[slot].raft.abdicate(at: now)
        }
        replicas[slot].flush(at: now, &effects)
        replicas[slot].endSnapshots(&effects)
        let salvage = reason == .superseded ? salvage(slot) : nil
        departures[range.id] = Departure(
            span: range.span, stage: salvage == nil ? .removingLog : .salvaging,
            snapshotWrites: replicas[slot].snapshots.unanswered,
            hardState: reason == .damaged
                ? replicas[slot].raft.hardStateWithoutLog.nextLife : replicas[slot].raft.hardStateWithoutLog)
        slots[range.id] = nil
        flushed.removeAll { $0 == slot }
        if replicas[slot].announcedLeader == configuration.node { gateway.leaseholders[range.id] = nil }
        replicas[slot] = .placeholder(range, node: configuration.node, at: now)
        if let salvage { effects.node.salvages.append(salvage) } else { removeLog(of: range.id, &effects) }
    }

    private func salvage(_ slot: Int) -> Salvage? {
        let (range, raft) = (replicas[slot].descriptor, replicas[slot].raft)
        let generation = raft.lastPosition.term.generation
        let fork = range.commonIndex(with: generation)
        guard raft.lastPosition.index > fork, !Planted.isOn(.salvageDropped) else { return nil }
        let base = max(fork, raft.basePosition.index)
        return Salvage(
            range: range.id, table: range.table, partition: range.partition, generation: generation, fork: fork,
            entries: raft.entries(after: base, through: raft.lastPosition.index), committed: raft.commitIndex,
            compacted: base.rawValue - fork.rawValue, span: range.span,
            completeTo: range.commonTime(with: generation))
    }

    /// The report of what was salvaged is durable.
    mutating func salvaged(_ range: RangeID, _ effects: inout StepEffects) {
        guard departures[range]?.stage == .salvaging else { return }
        removeLog(of: range, &effects)
    }

    private mutating func removeLog(of range: RangeID, _ effects: inout StepEffects) {
        writeLog(of: range, .removingLog, isDeparting: true, &effects)
    }

    /// Writes what is remembered of a replica in the place of all that the log store has of it.
    private mutating func writeLog(
        of range: RangeID, _ stage: Departure.Stage, isDeparting: Bool, _ effects: inout StepEffects
    ) {
        guard var departure = departures[range] else { preconditionFailure("\(range) does not depart") }
        departure.stage = stage
        departure.hardState.isDeparting = isDeparting && !Planted.isOn(.departureForgotten)
        departures[range] = departure
        var write = LogWrite(range: range)
        write.remove = true
        write.hardState = departure.hardState
        effects.node.log.writes.append(write)
        effects.node.log.confirmations.append(PersistConfirmation(range: range, token: Self.departureToken))
    }

    /// No job of a replica has this token.
    private static var departureToken: PersistToken { PersistToken(rawValue: .max) }

    /// - Returns: whether the confirmation was of a departure.
    mutating func wrote(
        _ confirmation: PersistConfirmation, at now: Moment, _ effects: inout StepEffects
    ) -> Bool {
        let range = confirmation.range
        guard let departure = departures[range] else { return false }
        guard confirmation.token == Self.departureToken else { return true }
        switch departure.stage {
        case .removingLog:
            departures[range]?.stage = .awaitingSnapshots
            clearIfPossible(range, &effects)
        case .removingMark:
            departures[range] = nil
            unclaimedLogs[range] = StoredLog(hardState: departure.hardState)
            if let descriptor = catalog.directory[range] { addReplica(descriptor, isNew: false, at: now) }
        case .salvaging, .awaitingSnapshots, .clearing:
            preconditionFailure("\(range) is \(departure.stage), and something was written")
        }
        return true
    }

    /// - Returns: whether the result was of a departure.
    mutating func answeredSnapshot(_ range: RangeID, _ effects: inout StepEffects) -> Bool {
        guard departures[range] != nil else { return false }
        departures[range]?.snapshotWrites -= 1
        clearIfPossible(range, &effects)
        return true
    }

    private mutating func clearIfPossible(_ range: RangeID, _ effects: inout StepEffects) {
        guard let departure = departures[range], departure.stage == .awaitingSnapshots, departure.snapshotWrites == 0
        else { return }
        departures[range]?.stage = .clearing
        effects.apply(ApplyBatch(clearing: departure.span, of: range))
    }

    /// The rows are gone, durably.
    /// - Returns: whether the confirmation was of a departure.
    mutating func cleared(_ confirmation: AppliedConfirmation, _ effects: inout StepEffects) -> Bool {
        guard let departure = departures[confirmation.range] else { return false }
        guard departure.stage == .clearing, confirmation.index == .zero else { return true }
        writeLog(of: confirmation.range, .removingMark, isDeparting: false, &effects)
        return true
    }
}

// MARK: - After a crash

extension NodeCore {
    /// Looks whether what was found in the files must go before the node can have a replica of the range.
    /// - Returns: whether it departs, from the next `resumeDepartures` on.
    mutating func resumesDeparture(of range: RangeDescriptor, _ stored: StoredLog, _ state: AppliedState?) -> Bool {
        let applied = state?.position.index ?? .zero
        guard stored.hardState.isDeparting || applied < stored.base.index else { return false }
        var departure = Departure(span: range.span, stage: .removingLog, hardState: stored.hardState)
        if !stored.hardState.isDeparting {
            departure.hardState = stored.hardState.nextLife
            departure.hardState.floor = max(stored.hardState.floor, stored.entries.last?.position ?? stored.base)
            mendings.append(
                MeridianError(
                    .corruption,
                    "\(range.id) of \(configuration.node): its rows end at \(applied) and its log begins after "
                        + "\(stored.base.index): a disk has brought an older state of a file back. The replica gets "
                        + "everything from its peers; watch that disk"))
        }
        departures[range.id] = departure
        interrupted.append(range.id)
        return true
    }

    mutating func resumeDepartures(_ effects: inout StepEffects) {
        for range in interrupted { removeLog(of: range, &effects) }
        interrupted = []
        effects.node.mendings += mendings
        mendings = []
    }
}
