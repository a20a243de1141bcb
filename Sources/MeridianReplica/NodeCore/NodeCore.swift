import HeapModule
import MeridianClock
import MeridianConsensus
import MeridianCore
import MeridianPlacement

/// A whole node as one value: events in, effects out.
///
/// It holds the replicas of many ranges (the range host), the gateway that serves this node's clients, the catalog
/// that says where rows lie, and what is known of the peers. The runtime steps it with real clocks, files and links,
/// the simulator with pretended ones; neither can do anything else to it.
///
/// One step takes any number of events and yields one batch of effects: one frame a peer and one log job, whatever the
/// number of ranges. That is where group commit and coalesced heartbeats come from.
package struct NodeCore: Sendable {
    package let configuration: NodeConfiguration
    package internal(set) var catalog: Catalog
    package internal(set) var replicas: [Replica] = []
    /// Where in `replicas` each range's replica stands.
    package internal(set) var slots: [RangeID: Int] = [:]
    /// The replicas that are leaving this node (`NodeCore+Departures.swift`).
    var departures: [RangeID: Departure] = [:]
    /// Replicas that have to be flushed before the step ends.
    var dirty: [Int] = []
    /// The slots of the replicas that the last step worked on, for whoever watches the node.
    package internal(set) var flushed: [Int] = []
    /// Calls of other nodes' gateways that were refused here. Their clients have been told so: what comes late, or
    /// twice, of such a call must not be done.
    private var refused = RecentSet<ReplyAddress>()
    var gateway = Gateway()
    var transactions = Transactions()
    var peers: Peers
    var quiet = QuietPeers()
    var agreement: ClockAgreement
    /// What this node's own clock said at the present step. Everything but the comparison of clocks goes by
    /// `agreement.interval`.
    var ownClock: ClockInterval
    /// A time that is past: the earliest that this node's clock said when it was compared with the others' last, and a
    /// majority of them agreed.
    var vouchedTime: Timestamp?
    /// Whether this node's clock is not outvoted by the others' (`NodeCore+Clock.swift`).
    package internal(set) var isClockTrusted = true
    private var lastStep: Instant
    /// Whether the present step comes late.
    private(set) var hasStalled = false
    /// When replicas want their next tick; entries of replicas that were rescheduled are stale and harmless.
    var timers = Heap<Timer>()
    /// Why the log or the rows cannot be written at present (`NodeCore+Failures.swift`).
    package internal(set) var logFailure: MeridianError? { didSet { noteFailures() } }
    package internal(set) var stateFailure: MeridianError? { didSet { noteFailures() } }
    /// Whether there is a `failure`.
    var cannotWrite = false
    /// Stored logs of ranges whose tables are not known yet.
    var unclaimedLogs: [RangeID: StoredLog]
    var unclaimedStates: [RangeID: AppliedState]
    /// When this process started, by its clock: as soon as that is known.
    var startedAt: Timestamp?
    /// Ranges that this node may be no member of any more.
    var undecided: Set<RangeID> = []
    /// Ranges of which the files may be of an earlier history than the catalog, until the first step.
    private var unfollowed: [RangeID] = []
    /// Ranges whose rows a crash has left behind amid a departure, until the first step.
    var unfinished: [RangeID] = []

    struct Timer: Comparable, Sendable {
        var at: Instant
        var slot: Int
        static func < (lhs: Timer, rhs: Timer) -> Bool { (lhs.at, lhs.slot) < (rhs.at, rhs.slot) }
    }

    /// - Parameters:
    ///   - logs: what the log store has loaded. A node that lost its disk finds there what `recoveryWrite` put.
    ///   - states: what the state store has loaded.
    ///   - systemRows: the applied rows of `Catalog.storedSpan`.
    package init(
        configuration: NodeConfiguration, logs: [RangeID: StoredLog], states: [RangeID: AppliedState],
        systemRows: [Mutation], at now: Moment
    ) throws(MeridianError) {
        self.configuration = configuration
        let system = try configuration.systemDescriptor()
        self.catalog = try Catalog(system: system)
        self.peers = Peers(configuration, at: now.instant)
        self.agreement = ClockAgreement(
            configuration: .init(clusterSize: max(1, configuration.topology.nodes.count)))
        self.ownClock = now.clock
        self.lastStep = now.instant
        self.unclaimedLogs = logs
        self.unclaimedStates = states
        if now.clock.isKnown { startedAt = now.clock.latest }
        addReplica(system, isNew: states[system.id] == nil, at: now)
        // What is to be thrown away names no ranges: the catalog comes again with the rows.
        for row in unfinished.isEmpty ? systemRows : [] {
            for range in try catalog.learn(row).newRanges {
                addReplica(range, isNew: false, at: now)
                unfollowed.append(range.id)
            }
        }
    }

    /// When the node wants to be stepped next, if nothing happens before. Changes with every step.
    package private(set) var deadline: Instant = .zero

    /// - Returns: what is to be done; `nil`, which costs nothing, when that is nothing.
    package mutating func step(_ events: [NodeEvent], at moment: Moment) -> NodeEffects? {
        hasStalled = moment.instant.nanoseconds(since: lastStep) > Self.stallNanoseconds
        lastStep = moment.instant
        if !flushed.isEmpty { flushed.removeAll(keepingCapacity: true) }
        if let signOfLife = Self.signOfLife(events) {
            hear(signOfLife, at: moment.instant)
            deadline = nextDeadline(at: moment)
            return nil
        }
        ownClock = moment.clock
        agreement.admit(moment)
        if agreement.mayLead != isClockTrusted { noteTrust() }
        var now = moment
        now.clock = agreement.interval(at: moment)
        var effects = StepEffects(node: configuration.node)
        for range in unfollowed {
            if let slot = slots[range] { settleHistory(slot, at: now, &effects) }
        }
        if !unfollowed.isEmpty { unfollowed = [] }
        if !unfinished.isEmpty { finishDepartures(&effects) }
        for event in events { take(event, at: now, &effects) }
        settle(at: now, &effects)
        if !transactions.commitWait.isEmpty { endTransactionWaits(at: now, &effects) }
        for address in effects.refused { refused.insert(address, at: now.instant) }
        deadline = nextDeadline(at: moment)
        return effects.finish(at: moment, &peers, isReadOnly: cannotWrite)
    }

    private mutating func nextDeadline(at moment: Moment) -> Instant {
        var deadline = peers.nextKeepalive
        if let timer = timers.min { deadline = min(deadline, timer.at) }
        if let alarm = gateway.nextDeadline { deadline = min(deadline, alarm) }
        guard !waitingForClock.isEmpty || !transactions.commitWait.isEmpty else { return deadline }
        // The clock that the next step will go by: a wait that only the raw clock calls over would spin.
        let now = Moment(instant: moment.instant, clock: agreement.interval(at: moment))
        for slot in waitingForClock {
            if let wait = replicas[slot].commitWait.nextDeadline(at: now) { deadline = min(deadline, wait) }
        }
        if let wait = transactions.commitWait.nextDeadline(at: now) { deadline = min(deadline, wait) }
        return deadline
    }

    /// The replicas with something that waits for a timestamp to pass; each has `isAwaitingClock` set.
    var waitingForClock: [Int] = []

    private mutating func take(_ event: NodeEvent, at now: Moment, _ effects: inout StepEffects) {
        switch event {
        case .call(let call): self.call(call, at: now, &effects)
        case .frame(let frame): receive(frame, at: now, &effects)
        case .persisted(let confirmations):
            for confirmation in confirmations where !removedLog(confirmation, &effects) {
                with(confirmation.range, at: now) { replica in
                    replica.raft.receive(.persisted(confirmation.token), at: now)
                    replica.durable(through: replica.raft.persistedIndex, at: now)
                }
            }
        case .logFailed(let error): logFailed(error, at: now)
        case .logRecovered: logFailed(nil, at: now)
        case .stateFailed(let error): stateFailed(error, at: now)
        case .stateRecovered: stateFailed(nil, at: now)
        case .systemRows(let rows):
            catalog.beginAnew()
            protectTimestamps()
            for row in rows { learnTables(from: row, isNew: false, at: now, &effects) }
            holdRecovery(false, at: now)
        case .applied(let confirmations):
            for confirmation in confirmations where !cleared(confirmation, at: now) {
                with(confirmation.range, at: now) { $0.applied(through: confirmation.index, at: now, &effects) }
            }
        case .digested(let reports):
            for report in reports {
                with(report.range, at: now) { $0.digested(report, at: now, &effects) }
            }
        case .damaged(let range): with(range, at: now) { $0.foundDamage(at: now, &effects) }
        case .evaluated(let result):
            with(result.range, at: now) { $0.evaluated(result, at: now, &effects) }
        case .checkpointed(let confirmations):
            for confirmation in confirmations {
                with(confirmation.range, at: now) { replica in
                    // What is durable of an earlier replica of the range says nothing of this one.
                    let durable = min(confirmation.index, replica.appliedIndex)
                    replica.durableIndex = max(replica.durableIndex, durable)
                    replica.compactLog(at: now, &effects)
                }
            }
        case .forget(let range, let index):
            with(range, at: now) { replica in
                replica.forgottenIndex = max(replica.forgottenIndex, index)
                replica.compactLog(at: now, &effects)
            }
        case .snapshotRead(let result):
            with(result.stream.range, at: now) { $0.snapshotRead(result, at: now, &effects) }
        case .salvaged(let range): salvaged(range, &effects)
        case .snapshotWritten(let result):
            if answeredSnapshot(result.write.range, &effects) { return }
            with(result.write.range, at: now) { $0.snapshotWritten(result, at: now, &effects) }
            if case .installed = result.progress, result.write.range == Catalog.systemRange {
                effects.node.rereadsCatalog = true
                holdRecovery(true, at: now)
            }
        case .tick: tick(at: now, &effects)
        }
    }

    /// Keepalives step a node several times in this time, so one that was not stepped for so long did not run: frames
    /// have waited for it, and what their senders' clocks said is too old to be compared with its own.
    private static let stallNanoseconds: Int64 = 500_000_000

    /// A frame without messages that has come alone, as most frames between idle nodes do: it causes nothing.
    private static func signOfLife(_ events: [NodeEvent]) -> NodeFrame? {
        guard events.count == 1, case .frame(let frame) = events[0], frame.messages.isEmpty else { return nil }
        return frame
    }

    private mutating func receive(_ frame: NodeFrame, at now: Moment, _ effects: inout StepEffects) {
        hear(frame, at: now.instant)
        for message in frame.messages {
            switch message {
            case .raft(let range, let message):
                with(range, at: now) { if $0.accepts(message) { $0.raft.receive(.message(message), at: now) } }
            case .closed(let range, let promise):
                with(range, at: now) {
                    if $0.accepts(promise.position.term) { $0.noteClosed(promise, at: now, &effects) }
                }
            case .quiet(let ranges): receive(ranges, from: frame.from, at: now, &effects)
            case .quietReply(let reply): receive(reply, from: frame.from)
            case .request(let request): receive(request, from: frame.from, at: now, &effects)
            case .reply(let reply): receive(reply, from: frame.from, at: now, &effects)
            case .snapshotChunk(let chunk):
                with(chunk.range, at: now) {
                    if $0.accepts(chunk.stream.term) { $0.receive(chunk, from: frame.from, at: now, &effects) }
                }
            case .snapshotReply(let reply):
                with(reply.range, at: now) {
                    if $0.accepts(reply.stream.term) { $0.receive(reply, at: now, &effects) }
                }
            case .wound(let id): wound(id, at: now, &effects)
            case .digest(let report, let term):
                with(report.range, at: now) {
                    if $0.accepts(term) { $0.receive(report, from: frame.from, at: now, &effects) }
                }
            case .diverged(let range, let index, let term):
                guard let slot = slots[range], replicas[slot].hasDiverged(at: index, term, from: frame.from) else {
                    continue
                }
                depart(slot, as: .damaged, at: now, &effects)
            }
        }
    }

    mutating func receive(
        _ request: RangeRequest, from gateway: NodeID, at now: Moment, _ effects: inout StepEffects
    ) {
        let address = ReplyAddress(request, from: gateway)
        if refused.contains(address) || effects.refused.contains(address) { return }
        guard let slot = slots[request.range] else {
            effects.reply(noReplica(for: request), to: address, range: request.range)
            return
        }
        if let refusal = refusalFromOutside(request.body, slot, from: gateway) ?? refusalBeyondRecovery(slot) {
            effects.reply(refusal, to: address, range: request.range)
            return
        }
        if cannotWrite, let refusal = refusal(of: request.body, slot, at: now) {
            effects.reply(refusal, to: address, range: request.range)
            return
        }
        with(request.range, at: now) { $0.receive(request, from: gateway, at: now, &effects) }
    }

    private func noReplica(for request: RangeRequest) -> RangeReply.Body {
        guard case .status(of: _?) = request.body else { return .notLeaseholder(leader: nil, term: .zero) }
        let message = "\(configuration.node) holds no replica of \(request.range) at present"
        return .failed(MeridianError(.unavailable, message, retry: .after(.seconds(1))))
    }

    /// Works on one replica and sees that it is flushed. A range that has no replica here is passed over.
    mutating func with(_ range: RangeID, at now: Moment, _ body: (inout Replica) -> Void) {
        guard let slot = slots[range] else { return }
        body(&replicas[slot])
        markDirty(slot)
    }

    mutating func markDirty(_ slot: Int) {
        guard !replicas[slot].isDirty else { return }
        replicas[slot].isDirty = true
        dirty.append(slot)
    }

    /// Flushes what the events touched, until nothing is left.
    private mutating func settle(at now: Moment, _ effects: inout StepEffects) {
        while true {
            while let slot = dirty.popLast() {
                flush(slot, at: now, &effects)
            }
            for range in effects.damaged {
                if let slot = slots[range] { depart(slot, as: .damaged, at: now, &effects) }
            }
            effects.damaged = []
            guard !effects.localReplies.isEmpty || !effects.localWounds.isEmpty || !effects.abandoned.isEmpty else {
                break
            }
            let replies = effects.localReplies
            let wounds = effects.localWounds
            let abandoned = effects.abandoned
            effects.localReplies = []
            effects.localWounds = []
            effects.abandoned = []
            for reply in replies { receive(reply, from: configuration.node, at: now, &effects) }
            for id in wounds { wound(id, at: now, &effects) }
            for transaction in abandoned { takeCare(of: transaction, at: now, &effects) }
        }
    }

    private mutating func flush(_ slot: Int, at now: Moment, _ effects: inout StepEffects) {
        guard slots[replicas[slot].descriptor.id] == slot else { return }
        let firstBatch = effects.node.applies.count
        flushed.append(slot)
        replicas[slot].endCommitWaits(at: now, &effects)
        replicas[slot].flush(at: now, &effects)
        if let leader = replicas[slot].raft.leader, leader != replicas[slot].announcedLeader {
            replicas[slot].announcedLeader = leader
            gateway.learn(leader, leads: replicas[slot].descriptor.id, in: replicas[slot].raft.term)
        }
        if !replicas[slot].isAwaitingClock, !replicas[slot].commitWait.isEmpty {
            replicas[slot].isAwaitingClock = true
            waitingForClock.append(slot)
        }
        if replicas[slot].descriptor.id == Catalog.systemRange {
            learnTables(from: effects.node.applies[firstBatch...], at: now, &effects)
        }
        schedule(slot)
    }

    /// New tables take effect on a node when it applies their record.
    private mutating func learnTables(
        from batches: ArraySlice<ApplyBatch>, at now: Moment, _ effects: inout StepEffects
    ) {
        for batch in batches where batch.range == Catalog.systemRange {
            for indexed in batch.commands {
                for mutation in indexed.command.mutations {
                    learnTables(from: mutation, isNew: true, at: now, &effects)
                }
            }
        }
    }

    private mutating func learnTables(
        from row: Mutation, isNew: Bool, at now: Moment, _ effects: inout StepEffects
    ) {
        // A record that this program cannot read was written by a newer one: its ranges are not hosted.
        guard let news = try? catalog.learn(row) else { return }
        if news.changesAuthority { grantAuthorities() }
        if news.changesProtection { protectTimestamps() }
        guard !(news.newRanges.isEmpty && news.changedRanges.isEmpty) else { return }
        effects.node.directoryChanged = true
        for range in news.newRanges {
            addReplica(range, isNew: isNew, at: now)
            if let slot = slots[range.id] { settleHistory(slot, at: now, &effects) }
        }
        for range in news.changedRanges { follow(range, at: now, &effects) }
    }

    /// Makes this node's replica of a range, if it has one.
    mutating func addReplica(_ range: RangeDescriptor, isNew: Bool, at now: Moment) {
        // What is left of a replica whose departure a crash has cut short departs again.
        let isLeftOver = unclaimedStates[range.id] != nil || unclaimedLogs[range.id]?.isEmpty == false
        guard range.isHosted(by: configuration.node) || isLeftOver, slots[range.id] == nil, departures[range.id] == nil
        else { return }
        if resumeDeparture(range) { return }
        let isStored = unclaimedStates[range.id] != nil || unclaimedLogs[range.id] != nil
        let applied =
            unclaimedStates.removeValue(forKey: range.id)
            ?? AppliedState(position: .zero, membership: firstMembership(of: range), closed: .zero)
        let stored = unclaimedLogs.removeValue(forKey: range.id) ?? unknownPast
        let isGlobal = catalog.isGlobal(range)
        let replica = Replica(
            descriptor: range, configuration: configuration.raft(for: range, isGlobal: isGlobal), stored: stored,
            applied: applied, at: now)
        let slot = replicas.count
        slots[range.id] = slot
        replicas.append(replica)
        replicas[slot].isStored = isStored
        replicas[slot].retainedLogEntries = configuration.retainedLogEntries
        replicas[slot].abandonedAfterNanoseconds = configuration.abandonedAfterNanoseconds
        if isGlobal { replicas[slot].closeLeadNanoseconds = configuration.closeLeadNanoseconds(of: range) }
        replicas[slot].collectionIntervalNanoseconds = configuration.collectionIntervalNanoseconds
        replicas[slot].protectedTimestamp = catalog.protectedTimestamp(of: range)
        replicas[slot].raft.isDiskFull = logFailure?.code == .diskFull
        replicas[slot].raft.isClockTrusted = isClockTrusted
        grantAuthority(slot)
        if let fence = range.fence { replicas[slot].raft.seal(for: fence, at: now) }
        if isNew, range.revision == 0, range.preferredLeaders.first == configuration.node {
            replicas[slot].raft.receive(.campaign, at: now)
        }
        markDirty(slot)
    }

    /// As which members a replica without a log begins: those of the range's making found the group; whoever comes
    /// later waits as a learner until the leader tells.
    private func firstMembership(of range: RangeDescriptor) -> Membership {
        guard range.revision > 0 else { return range.membership }
        let members = range.members.map { member in
            Member(
                node: member.node, region: member.region,
                role: member.node == configuration.node ? .learner : member.role)
        }
        return Membership(members: members)
    }

    private mutating func schedule(_ slot: Int) {
        guard let deadline = replicas[slot].earlierDeadline() else { return }
        timers.insert(Timer(at: deadline, slot: slot))
    }

    private mutating func tick(at now: Moment, _ effects: inout StepEffects) {
        // What falls due soon is done now: heartbeats of many ranges to one peer then share a frame.
        let horizon = now.instant.advanced(byNanoseconds: Self.timerSlackNanoseconds)
        var due: [Int] = []
        while let timer = timers.min, timer.at <= horizon {
            timers.removeMin()
            if replicas[timer.slot].scheduledDeadline == timer.at {
                replicas[timer.slot].scheduledDeadline = .distantFuture
                due.append(timer.slot)
            }
        }
        let later = Moment(instant: horizon, clock: now.clock)
        for slot in due {
            replicas[slot].raft.receive(.tick, at: later)
            replicas[slot].retrySnapshots(at: now, &effects)
            replicas[slot].lookForAbandoned(at: now, &effects)
            replicas[slot].retryLocalReads(at: later, &effects)
            replicas[slot].reconcile(at: later)
            replicas[slot].raiseThreshold(to: cannotWrite ? nil : collectableTime, at: later)
            if cannotWrite { handOver(slot, at: now) } else { replicas[slot].preferHome(peers, at: now) }
            markDirty(slot)
        }
        if !waitingForClock.isEmpty {
            for slot in waitingForClock {
                replicas[slot].endCommitWaits(at: now, &effects)
                replicas[slot].isAwaitingClock = !replicas[slot].commitWait.isEmpty
                markDirty(slot)
            }
            waitingForClock.removeAll { !replicas[$0].isAwaitingClock }
        }
        decideWhoLeaves(at: now, &effects)
        ringAlarms(at: now, &effects)
        watchPeers(at: now, &effects)
        tellQuietRanges(at: now, &effects)
    }

    private static var timerSlackNanoseconds: Int64 { 2_000_000 }
}
