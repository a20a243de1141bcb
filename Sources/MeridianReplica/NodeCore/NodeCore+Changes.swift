import MeridianClock
import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianTransactions

/// What a node does when the catalog says that a range it holds is another one than before.
///
/// - **Other members or another rule**, in the same generation: the replica follows (`Replica+Reconfiguration`). A node
///   that is new to the range makes an empty replica, which waits for the leader and founds nothing.
/// - **A fence**: a failover is about to begin the next generation, and the replica seals itself.
/// - **The next generation**: the replica that it continues reseeds itself, and those that hold nothing behind the fork
///   follow it. Every other one holds a history that ends here: it departs, and comes back empty if the node is still a
///   member.
/// - **No member any more**: the replica departs.
///
/// All of it is decided by comparing the descriptor with what the replica has, never by what was decided before, so a
/// node that crashes on the way, or that sleeps through several changes, does the same when it looks again. In
/// particular a replica's term says which generation its log is of: terms above a generation's seal occur in replicas
/// that have taken part in it alone.
extension NodeCore {
    /// Follows a range that the catalog has changed.
    mutating func follow(_ range: RangeDescriptor, at now: Moment, _ effects: inout StepEffects) {
        guard departures[range.id] == nil else { return }
        guard let slot = slots[range.id] else { return addReplica(range, isNew: false, at: now) }
        replicas[slot].raft.acquaintances = range.hosts.map(\.node)
        let isGlobal = catalog.isGlobal(range)
        replicas[slot].follow(range, configuration.raft(for: range, isGlobal: isGlobal), at: now)
        if isGlobal { replicas[slot].closeLeadNanoseconds = configuration.closeLeadNanoseconds(of: range) }
        grantAuthority(slot)
        settleHistory(slot, at: now, &effects)
        markDirty(slot)
    }

    /// Does with a replica what its descriptor means for what it holds: it goes on, begins the range's generation,
    /// makes room for it, or leaves.
    ///
    /// Until a new home's voters have the rows there may be one copy of them in the new history. Should it be lost,
    /// what others hold of the old one is all there is. So only who is to vote makes room at once; the others, sealed,
    /// keep what they have until those are in place.
    mutating func settleHistory(_ slot: Int, at now: Moment, _ effects: inout StepEffects) {
        let range = replicas[slot].descriptor
        guard isOfEarlierHistory(slot) else {
            guard !range.isHosted(by: configuration.node) else { return }
            if replicas[slot].isStored, !knowsAllEarlierRecords(at: now) {
                undecided.insert(range.id)
            } else {
                depart(slot, as: .left, at: now, &effects)
            }
            return
        }
        // A snapshot that is being written is of the history that ends here. What the replica holds when it has been
        // written decides (`resumeChange`); until then it takes nothing more.
        guard replicas[slot].snapshots.isAtRest else {
            return replicas[slot].raft.seal(for: range.generation, at: now)
        }
        if reseed(slot, at: now) { return }
        let raft = replicas[slot].raft
        if range.isHosted(by: configuration.node), !raft.isRecovering,
            raft.lastPosition.index <= range.commonIndex(with: raft.lastPosition.term.generation)
        {
            replicas[slot].raft.join(range.generation, at: now)
            replicas[slot].closed.forgetWaiting()
            return
        }
        if !range.keepsEarlierHistory || range[configuration.node]?.role == .voter {
            depart(slot, as: .superseded, at: now, &effects)
        } else {
            replicas[slot].raft.seal(for: range.generation, at: now)
        }
    }

    /// Whether the catalog has every record that this node can have applied before it was started.
    ///
    /// After a crash the catalog is read from files that may be behind, and records come again from the log one by one.
    /// One of them can say that the node is no member of a range that a later one has made it a member of: what it
    /// holds of that range must not go. The system range's closed timestamp tells when all of them have come.
    private mutating func knowsAllEarlierRecords(at now: Moment) -> Bool {
        if startedAt == nil, now.clock.isKnown { startedAt = now.clock.latest }
        guard let startedAt, let slot = slots[Catalog.systemRange] else { return false }
        return replicas[slot].closed.usable > startedAt
    }

    /// Looks again at what could not be decided before.
    mutating func decideWhoLeaves(at now: Moment, _ effects: inout StepEffects) {
        guard !undecided.isEmpty, knowsAllEarlierRecords(at: now) else { return }
        let ranges = undecided.sorted()
        undecided = []
        for range in ranges { if let slot = slots[range] { settleHistory(slot, at: now, &effects) } }
    }

    /// Goes on with a change of generation that waited for a snapshot to be written.
    mutating func resumeChange(_ slot: Int, at now: Moment, _ effects: inout StepEffects) {
        guard replicas[slot].snapshots.isAtRest, isOfEarlierHistory(slot) else { return }
        settleHistory(slot, at: now, &effects)
    }

    /// Whether the replica holds a log, and has had no part in the generation that its range is in. Its term tells.
    private func isOfEarlierHistory(_ slot: Int) -> Bool {
        let (range, raft) = (replicas[slot].descriptor, replicas[slot].raft)
        return range.generation > .first && raft.lastPosition.index > .zero && raft.term <= range.generation.seal
    }

    /// Begins the range's generation here, if this is the replica that it continues.
    private mutating func reseed(_ slot: Int, at now: Moment) -> Bool {
        let range = replicas[slot].descriptor
        guard let seed = range.seed, seed.node == configuration.node, !replicas[slot].raft.isRecovering,
            replicas[slot].raft.term(at: seed.fork.index) == seed.fork.term,
            replicas[slot].raft.commitIndex <= seed.fork.index
        else { return false }
        let members = range.hosts.map { member in
            Member(
                node: member.node, region: member.region,
                role: member.node == configuration.node ? .voter : .learner)
        }
        replicas[slot].raft.reseed(
            range.generation, fork: seed.fork, membership: Membership(members: members), at: now)
        replicas[slot].closed.forgetWaiting()
        replicas[slot].raft.receive(.campaign, at: now)
        return true
    }

    /// Hands the replicas up to when their ranges may be served.
    mutating func grantAuthorities() {
        for slot in replicas.indices { grantAuthority(slot) }
    }

    /// Hands the replicas what nobody may collect.
    mutating func protectTimestamps() {
        for slot in replicas.indices {
            replicas[slot].protectedTimestamp = catalog.protectedTimestamp(of: replicas[slot].descriptor)
        }
    }

    mutating func grantAuthority(_ slot: Int) {
        replicas[slot].authority = catalog.authority(over: replicas[slot].descriptor)
    }
}
