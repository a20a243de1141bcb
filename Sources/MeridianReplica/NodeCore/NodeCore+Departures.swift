import MeridianConsensus
import MeridianCore
import MeridianPlacement

/// How a replica leaves a node, and what is kept of it.
///
/// 1. **Salvage.** A replica whose history was superseded may hold commits that were acknowledged and that the new
///    history lacks. They are handed to the host (`Salvage`), which keeps them as a report. Of those that the log has
///    no more, because the replica went on for long without its followers, the host adds the rows. Nothing is removed
///    before that report is durable.
/// 2. **The log goes**, durably. What stays is the term and the vote: a node that becomes a member again must not vote
///    twice in a term, and keeps the promises that it may have made.
/// 3. **The rows go.** In this order, because a log that starts behind its rows could not be opened.
/// 4. If the node is still a member, or has become one meanwhile, an empty replica takes the place.
///
/// A replica that leaves because its rows are damaged goes the same way, without a report: what it had committed a
/// quorum of others has. What stays of it says that it is recovering.
///
/// After a crash in between, the stored remains are of an earlier history, and all of it is done again
/// (`NodeCore+Changes.swift`); the report is there already then, and what is salvaged the second time is at most the
/// same.
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
    }

    var span: KeySpan
    var stage: Stage
    /// Writes of snapshots that were not answered yet.
    var snapshotWrites: Int
    /// What the node must remember of the replica if it comes back: in which term it has voted for whom.
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
            hardState: reason == .damaged ? newLife(of: slot, at: now) : replicas[slot].raft.hardState)
        slots[range.id] = nil
        flushed.removeAll { $0 == slot }
        if replicas[slot].announcedLeader == configuration.node { gateway.leaseholders[range.id] = nil }
        replicas[slot] = .placeholder(range, node: configuration.node, at: now)
        if let salvage { effects.node.salvages.append(salvage) } else { removeLog(of: range.id, &effects) }
    }

    /// What a replica remembers that has to begin anew. Its number must differ from that of every earlier life, which
    /// nobody can draw in a pure core: it is mixed from what no two moments of a replica have in common.
    private func newLife(of slot: Int, at now: Moment) -> HardState {
        let raft = replicas[slot].raft
        var hash = RowHash()
        for word in [
            configuration.seed, UInt64(configuration.node.rawValue), raft.incarnation.rawValue,
            replicas[slot].descriptor.id.rawValue, raft.term.rawValue, raft.lastPosition.index.rawValue,
            UInt64(bitPattern: now.instant.rawValue), UInt64(bitPattern: now.clock.latest.rawValue),
        ] { hash.combine(word) }
        var generator = SplitMix64(seed: hash.value)
        var state = raft.hardState
        state.incarnation = Incarnation(using: &generator)
        state.isRecovering = true
        return state
    }

    /// A replica that has to begin anew, whose log is gone, while a crash has kept its rows from going: they must never
    /// be taken for what the range holds. (Rows of a snapshot that such a replica has installed look alike, if the
    /// crash came before its log began behind them. They go too, and come again.)
    /// - Returns: whether it is one. The first step goes on with its departure.
    mutating func resumeDeparture(_ range: RangeDescriptor) -> Bool {
        guard let log = unclaimedLogs[range.id], log.hardState.isRecovering, log.entries.isEmpty,
            log.base == .zero, unclaimedStates[range.id] != nil
        else { return false }
        departures[range.id] = Departure(
            span: range.span, stage: .awaitingSnapshots, snapshotWrites: 0, hardState: log.hardState)
        unclaimedLogs[range.id] = nil
        unclaimedStates[range.id] = nil
        unfinished.append(range.id)
        return true
    }

    mutating func finishDepartures(_ effects: inout StepEffects) {
        for range in unfinished { clearIfPossible(range, &effects) }
        unfinished = []
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
        departures[range]?.stage = .removingLog
        var write = LogWrite(range: range)
        write.remove = true
        write.hardState = departures[range]?.hardState
        effects.node.log.writes.append(write)
        effects.node.log.confirmations.append(PersistConfirmation(range: range, token: Self.removalToken))
    }

    /// No job of a replica has this token.
    private static var removalToken: PersistToken { PersistToken(rawValue: .max) }

    /// - Returns: whether the confirmation was of a departure.
    mutating func removedLog(_ confirmation: PersistConfirmation, _ effects: inout StepEffects) -> Bool {
        guard departures[confirmation.range] != nil else { return false }
        if confirmation.token == Self.removalToken {
            departures[confirmation.range]?.stage = .awaitingSnapshots
            clearIfPossible(confirmation.range, &effects)
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

    /// The rows are gone: the node begins anew with the range, if it is a member.
    /// - Returns: whether the confirmation was of a departure.
    mutating func cleared(_ confirmation: AppliedConfirmation, at now: Moment) -> Bool {
        guard let departure = departures[confirmation.range] else { return false }
        guard departure.stage == .clearing, confirmation.index == .zero else { return true }
        departures[confirmation.range] = nil
        unclaimedLogs[confirmation.range] = StoredLog(hardState: departure.hardState)
        if let range = catalog.directory[confirmation.range] { addReplica(range, isNew: false, at: now) }
        return true
    }
}
