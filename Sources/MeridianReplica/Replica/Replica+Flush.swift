import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianTransactions

/// Turns what consensus wants into what the node does.
extension Replica {
    /// Gathers the effects of everything since the last flush. Answering one may cause another, so it goes on until
    /// nothing comes any more.
    mutating func flush(at now: Moment, _ effects: inout StepEffects) {
        isDirty = false
        var rounds = 0
        var hasHeartbeats = false
        // Of requests that wait for one key each may be refused in a round of its own.
        let limit = 64 + (serving?.requests.count ?? 0)
        while true {
            guard raft.prepareFlush(at: now) else { break }
            let output = raft.takeOutput()
            rounds += 1
            precondition(rounds < limit, "\(descriptor.id) does not come to rest")
            if let job = output.persist { effects.persist(job, range: descriptor.id) }
            for message in output.messages { effects.send(.raft(descriptor.id, message), to: message.to) }
            if !hasHeartbeats { hasHeartbeats = output.messages.contains(where: \.isHeartbeat) }
            for outcome in output.outcomes { concluded(outcome, at: now, &effects) }
            if !output.committed.isEmpty { dispatch(output.committed, at: now, &effects) }
            if output.leadershipChanged { leadershipChanged(at: now, &effects) }
            for read in output.reads { confirmed(read, at: now, &effects) }
            for follower in output.snapshotsWanted { sendSnapshot(to: follower, at: now, &effects) }
            if !output.committed.isEmpty { becomeReadyIfPossible(at: now, &effects) }
        }
        writeSnapshots(&effects)
        if raft.role == .leader { sendClosed(withHeartbeats: hasHeartbeats, at: now, &effects) }
    }

    /// Gives committed entries to the state store.
    private mutating func dispatch(_ entries: [Entry], at now: Moment, _ effects: inout StepEffects) {
        guard let last = entries.last else { return }
        precondition(
            entries[0].index == dispatched.position.index.next,
            "\(descriptor.id) committed \(entries[0].index) after \(dispatched.position)")
        let isWitness = raft.membership[node]?.role == .witness
        var commands: [IndexedCommand] = []
        commands.reserveCapacity(entries.count)
        for entry in entries {
            dispatched.position = entry.position
            switch entry.payload {
            case .empty, .readmission: break
            case .membership(let membership): dispatched.membership = membership
            case .collect(let threshold): dispatched.threshold = max(dispatched.threshold, threshold)
            case .compare:
                beginComparison(at: entry.index)
                if isWitness { continue }
                var batch = ApplyBatch(range: descriptor.id, commands: commands, state: dispatched)
                batch.isCompared = true
                effects.apply(batch)
                commands = []
            case .command(let command):
                lastCommand = entry.index
                dispatched.close(command.closed)
                let isSkipped =
                    Planted.isOn(.applySkipsCommand) && raft.role != .leader && entry.index.rawValue % 16 == 0
                let effects = dispatched.transactions.apply(command)
                for effect in effects { recent.note(effect.timestamp, earliest: now.clock.earliest) }
                if isWitness || isSkipped { continue }
                for effect in effects { commands.append(IndexedCommand(index: entry.index, command: effect)) }
            }
        }
        closed.note(
            ClosedTimestamp(timestamp: dispatched.closed, position: last.position), applied: appliedIndex)
        effects.apply(ApplyBatch(range: descriptor.id, commands: commands, state: dispatched))
        if lastCommand > lastComparison { noteCollection(at: now) }
    }

    /// Cuts the log behind what is durably applied, keeping some for followers that lag a little, unless something in
    /// it was erased.
    mutating func compactLog(at now: Moment, _ effects: inout StepEffects) {
        let mustForget = forgottenIndex > raft.basePosition.index
        let retained = mustForget ? 0 : retainedLogEntries
        let durable = (Planted.isOn(.compactBeforeCheckpoint) ? appliedIndex : min(durableIndex, raft.appliedIndex))
            .rawValue
        guard durable > retained, !mustForget || durable >= forgottenIndex.rawValue else { return }
        let index = LogIndex(durable - retained)
        guard index.rawValue >= raft.basePosition.index.rawValue + retained / 4 else { return }
        raft.receive(.compact(index), at: now)
        effects.compact(raft.basePosition, range: descriptor.id)
    }
}
