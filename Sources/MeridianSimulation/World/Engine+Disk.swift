import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianRuntime
import MeridianStorage

/// What the node's log and state threads do in production, with the disk's time and faults. The two queues of the shell
/// say what is done, in which order and with what result; here is when.
extension Engine {
    /// Begins to write what has gathered: one transaction and one sync for all of it (group commit).
    func writeLog(_ node: SimulatedNode) {
        guard let log = node.shell?.log, log.begin() else { return }
        let delay = timing.diskNanoseconds / 2 + below(timing.diskNanoseconds)
        schedule(.logWritten(node: node.position, incarnation: node.incarnation), after: delay)
        if let doom = node.doom { crashAmidWrite(node, log, doom, within: delay) }
    }

    private func crashAmidWrite(
        _ node: SimulatedNode, _ log: LogQueue, _ doom: SimulatedNode.Doom, within delay: Int64
    ) {
        let hasVote = log.batch.contains { $0.hardState?.vote != nil }
        guard doom == .write || hasVote else { return }
        let incarnation = node.incarnation
        after(below(delay)) { [unowned self] in
            // Unless the fault has ended in the meantime.
            guard node.incarnation == incarnation, node.doom != nil else { return }
            node.doom = nil
            crash(node)
        }
    }

    func logWritten(_ node: SimulatedNode) {
        if node.stalledUntil > now {
            // The stall may be ended early.
            let wait = min(node.stalledUntil - now, 20_000_000)
            return schedule(.logWritten(node: node.position, incarnation: node.incarnation), after: wait)
        }
        guard let log = node.shell?.log else { return }
        let written = log.perform()
        if !written.writes.isEmpty { invariants?.written(node, written.writes) }
        let stall = node.storage.takeStallNanoseconds()
        if stall > 0 { node.stalledUntil = max(node.stalledUntil, now + stall) }
        // A frame that waited for the disk is sent by the log's thread, which a pause stops as well.
        if node.isPaused, !written.frames.isEmpty {
            let incarnation = node.incarnation
            after(node.pausedUntil - now) { [unowned self] in
                if node.incarnation == incarnation { for frame in written.frames { send(frame) } }
            }
        } else {
            for frame in written.frames { send(frame) }
        }
        if log.store.pendingCheckpointByteCount > 4 << 20, !log.isDead { try? log.store.checkpoint() }
        if written.isToBeTriedAgain {
            schedule(
                .logWritten(node: node.position, incarnation: node.incarnation), after: ShellTiming.fullDiskNanoseconds)
        }
        if case .logFailed(let cause)? = written.events.first {
            trace?("\(node.id) cannot write its log: \(cause.code)")
        }
        give(node, written.events)
        if node.isRunning, !written.isToBeTriedAgain { writeLog(node) }
    }

    // MARK: The state queue

    /// Begins with the next item of the state queue.
    func workOnState(_ node: SimulatedNode) {
        guard let work = node.shell?.state.begin() else { return }
        let delay = timing.diskNanoseconds / 2 + below(timing.diskNanoseconds)
        switch work {
        // The picture is taken at once, and durable at the end.
        case .checkpoint: stateWorked(node, work)
        case .write, .collect, .inspect, .scrub:
            schedule(
                .stateWorked(node: node.position, incarnation: node.incarnation, work),
                after: delay + below(settings.exclusiveNanoseconds))
        case .apply, .read, .keep:
            schedule(.stateWorked(node: node.position, incarnation: node.incarnation, work), after: delay)
        }
    }

    func stateWorked(_ node: SimulatedNode, _ work: StateWork) {
        guard let state = node.shell?.state else { return }
        let outcome = isRefused(work, node) ?? state.perform(work)
        if case .snapshotWritten(let result)? = outcome.events.first, case .installed(let index) = result.progress {
            trace?("\(node.id) has \(result.write.range) up to \(index) after a snapshot")
        }
        guard case .checkpoint = work else { return stateEnded(node, work, outcome) }
        // What is applied from now on is not in it, though the node hears of it later.
        schedule(
            .stateEnded(node: node.position, incarnation: node.incarnation, work, outcome),
            after: below(settings.checkpointNanoseconds))
    }

    func stateEnded(_ node: SimulatedNode, _ work: StateWork, _ outcome: StateOutcome) {
        guard let state = node.shell?.state else { return }
        state.end(work, outcome)
        give(node, outcome.events)
        guard outcome.isToBeTriedAgain else { return workOnState(node) }
        let incarnation = node.incarnation
        after(ShellTiming.fullDiskNanoseconds) { [unowned self] in
            if node.incarnation == incarnation { workOnState(node) }
        }
    }

    /// What needs space on a full disk. Stores in memory know nothing of it.
    private func isRefused(_ work: StateWork, _ node: SimulatedNode) -> StateOutcome? {
        guard node.storage.trouble.isFull else { return nil }
        switch work {
        case .write, .checkpoint:
            return node.shell?.state.refuse(work, because: MeridianError(.diskFull, "no space for the rows"))
        case .apply, .read, .keep, .collect, .inspect, .scrub: return nil
        }
    }

    /// A row of a replica changes or goes, in memory or on the disk, without anybody's knowledge.
    /// - Returns: whether there was one.
    func damage(_ range: RangeID, at node: SimulatedNode, _ damage: SilentDamage) -> Bool {
        guard let span = node.core?.catalog.directory[range]?.span, let state = node.state as? any Damageable else {
            return false
        }
        let choice = UInt64(below(.max))
        guard (try? state.damage(span, damage, choice: choice)) == true else { return false }
        node.rotten.insert(range)
        trace?("\(node.id): a row of \(range) is damaged (\(damage))")
        return true
    }

    /// Commits of a history that has ended: the report is durable when the node hears of it.
    func keep(_ salvage: Salvage, _ node: SimulatedNode) {
        trace?(
            "\(node.id) keeps \(salvage.entries.count) entries and \(salvage.rows.count) rows of \(salvage.range), "
                + "behind \(salvage.fork)")
        node.salvaged.append(salvage)
    }
}

// MARK: - What a shell needs of the world

extension SimulatedNode: NodePort {
    func takeEvents(_ events: inout [NodeEvent]) {
        takenAt = cameAt
        if events.isEmpty {
            swap(&events, &inbox)
        } else {
            events.append(contentsOf: inbox)
            inbox.removeAll(keepingCapacity: true)
        }
    }

    func now() -> Moment { engine.moment(self) }
    func send(_ frame: NodeFrame) { engine.send(frame) }
    func logWaits() { engine.writeLog(self) }
    func stateWaits() { engine.workOnState(self) }

    func answer(_ answers: [GatewayAnswer]) {
        for answer in answers {
            engine.hash.note(5, engine.now, answer.id.rawValue)
            engine.onAnswer?(self, answer)
        }
    }

    func willStep(_ eventCount: Int) {
        engine.stepCount &+= 1
        engine.hash.note(4, engine.now, UInt64(position) << 32 | UInt64(eventCount) << 16)
    }

    func stepped(_ effects: borrowing NodeEffects, at moment: Moment) {
        engine.hash.mix(UInt64(effects.frames.count))
        stepClock = moment.clock
        // By what the clocks say now, when the effects happen: the step may have been held up.
        for divergence in effects.divergences { engine.note(divergence, foundBy: self) }
        if let core { engine.invariants?.check(self, core, effects, engine.moment(self)) }
    }

    func delays(_ results: [NodeEvent]) -> Bool {
        guard engine.timing.evaluationNanoseconds > 0 else { return false }
        engine.schedule(
            .completed(node: position, incarnation: incarnation, results),
            after: engine.below(engine.timing.evaluationNanoseconds))
        return true
    }

    func note(_ error: any Error, while activity: String) {
        engine.trace?("\(id): trouble while \(activity): \(error)")
    }
}
