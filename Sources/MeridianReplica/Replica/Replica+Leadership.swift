import MeridianClock
import MeridianConsensus
import MeridianCore
import MeridianPlacement

/// How serving begins and ends with a leadership.
extension Replica {
    mutating func startServingIfNeeded() {
        guard raft.role == .leader, serving?.term != raft.term else { return }
        precondition(serving == nil, "\(descriptor.id) serves \(String(describing: serving?.term)) in \(raft.term)")
        serving = Serving(term: raft.term, readyIndex: raft.lastPosition.index)
    }

    /// Follows a change of role or term.
    mutating func leadershipChanged(at now: Moment, _ effects: inout StepEffects) {
        effects.node.leaderships.append(.init(range: descriptor.id, isHeld: raft.role == .leader))
        if let old = serving, raft.role != .leader || raft.term != old.term { stopServing(old, &effects) }
        startServingIfNeeded()
        becomeReadyIfPossible(at: now, &effects)
    }

    /// Earlier leaders can have committed what is up to `readyIndex`, with timestamps up to the highest applied one.
    /// Serving starts when all that is applied and past, so that this leader's first answer contradicts none of them.
    mutating func becomeReadyIfPossible(at now: Moment, _ effects: inout StepEffects) {
        guard let current = serving, !current.isReady else { return }
        let isApplied = appliedIndex >= current.readyIndex && raft.hasCommittedInTerm
        guard isApplied || Planted.isOn(.newLeaderReadyTooEarly) else { return }
        let highest = dispatched.highestTimestamp
        guard now.clock.earliest > highest else {
            // The wait is a commit wait for a commit that nobody here asked for.
            if !current.isReadinessAwaited { commitWait.insert(highest, Self.readinessToken) }
            serving?.isReadinessAwaited = true
            return
        }
        allocator.raiseFloor(max(highest, raft.timestampFloor))
        // Earlier leaseholders served reads, and closed timestamps, up to the ends of their leases, which are past. A
        // commit lies above them because it takes its timestamp from the clock; a prepare takes its coordinator's.
        if now.clock.isKnown, !Planted.isOn(.prepareBelowEarlierLeases) { allocator.raiseFloor(now.clock.latest) }
        takeOverPrepared(at: now)
        serving?.isReady = true
        nextCollection = now.instant
        serving?.early = []
        for addressed in current.early {
            receive(addressed.request, from: addressed.from, at: now, &effects)
        }
    }

    private mutating func stopServing(_ old: Serving, _ effects: inout StepEffects) {
        for addressed in old.early {
            effects.reply(
                notLeaseholder, to: ReplyAddress(addressed.request, from: addressed.from), range: descriptor.id)
        }
        for blocked in old.blocked {
            let address = ReplyAddress(blocked.addressed.request, from: blocked.addressed.from)
            effects.reply(notLeaseholder, to: address, range: descriptor.id)
        }
        // What was proposed has had its outcome from the core; what was not never reached the log.
        var answered: Set<RequestID> = []
        for ticket in old.requests.keys.sorted() {
            guard let served = old.requests[ticket] else { continue }
            var addresses = [served.address]
            switch served.body {
            case .commit(let commit, _):
                guard answered.insert(commit.id).inserted else { continue }
                addresses = old.commitsByRequest[commit.id]?.addresses ?? addresses
            case .prepare(let prepare):
                addresses = old.transactions.preparing[prepare.id]?.addresses ?? addresses
            case .read, .resolve: break
            }
            for address in addresses { effects.reply(notLeaseholder, to: address, range: descriptor.id) }
        }
        for id in old.commits.keys.sorted() {
            guard let commit = old.commits[id] else { continue }
            if commit.purpose != .commit {
                unknown(commit.purpose, &effects)
                continue
            }
            for address in old.commitsByRequest[commit.request]?.addresses ?? [] {
                effects.reply(.unknown, to: address, range: descriptor.id)
            }
        }
        serving = nil
    }

    /// Hands the leadership to a voter of the home region when it lies elsewhere (DESIGN §6, regional preference).
    mutating func preferHome(_ peers: Peers, at now: Moment) {
        guard raft.role == .leader, now.instant >= nextPreferenceCheck, isServing else { return }
        nextPreferenceCheck = now.instant.advanced(byNanoseconds: Self.preferenceIntervalNanoseconds)
        guard let own = descriptor[node], own.region != descriptor.home else { return }
        let home = descriptor.preferredLeaders.first { candidate in
            raft.membership[candidate].map { $0.role == .voter && $0.region == descriptor.home } == true
                && peers.canLead(candidate)
        }
        if let home { raft.receive(.transferLeadership(to: home), at: now) }
    }

    private static var preferenceIntervalNanoseconds: Int64 { 2_000_000_000 }
}
