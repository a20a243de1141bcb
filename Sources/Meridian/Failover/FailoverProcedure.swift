import MeridianCore
import MeridianPlacement
import MeridianReplica

/// A forced failover: how the rows of a lost home region go on in another one.
///
/// For tables whose voters all stand at home: there consensus cannot elect anybody elsewhere, and somebody must decide.
/// The decision is made by commits to the system range, which survives the loss of a region, so all nodes agree on it
/// and on its order with everything else.
///
/// 1. **Fence.** The record says that the next generation is about to begin. Every replica that hears of it seals
///    itself: it takes no further part in the old history, and what it reports of its log stays true.
/// 2. **Ask.** All replicas are asked until they are sealed: those of the lost home as long as an answer takes, the
///    others longer, by `window`.
/// 3. **Choose** the replica that has the most, and where the old history ends in it (the *fork*).
///    - *Semi-synchronous*, n of the n + 1 remote regions: an acknowledged commit is durable in n of them. When so many
///      have been sealed that fewer than n are left, then none can be acknowledged any more, and of those that were one
///      of the sealed has each. The most up-to-date log has them all, by the argument of Raft's elections (Raft
///      §5.4.1): so its end is the fork. Nothing is lost.
///    - *Asynchronous*: the remote copies may lag. Their known committed part is the fork: what lies behind it may have
///      been overwritten at home, and its client told that it did not happen.
///    - *A majority of the voters* has been sealed, whatever the mode: then nothing is acknowledged any more, and the
///      most up-to-date log has everything. Amid a joint change, a majority of each of the two sets: who was to be
///      replaced may have lost the change with a crash, and gone on alone.
/// 4. **Begin.** The record gets the generation, its seed, and the members that the mode plans for the new home. The
///    seed's node begins the new history alone, and serves; the others get its rows and then votes, as in any change of
///    members. Replicas of the old history that hold nothing behind the fork follow; all others depart, and what they
///    hold behind it is reported.
///
/// Each step is a commit on condition that the record is as it was: read with the authority, then as the step before
/// has written it. So the procedure asks the system range's leaseholder, who may be an ocean away, three times; only
/// when somebody else has changed the record does it read again.
///
/// A caller that stops in between leaves a fenced range, which serves nobody. Whoever calls next goes on from there.
///
/// HAZARD: a fence that the old home does not hear of does not stop it. It goes on acknowledging commits of a history
/// that has ended, until it hears; they are in the report then. With `FailoverPolicy.automatic` it has stopped before
/// (`Authority`).
struct FailoverProcedure {
    let database: Database
    let table: String
    /// The range as the caller has seen it: what is given up is this home in this generation, and no other.
    let seen: RangeDescriptor
    /// Where the rows go; `nil`: where the seed is.
    let destination: Region?
    /// Condition of the fence: the lost region's authority is over, and was not renewed since this read.
    let authority: Lapsed?
    let acceptsLoss: Bool
    let end: Instant
    /// The table's record, if the caller has just read it.
    var known: Database.DatedRecord?

    /// An authority that is over.
    struct Lapsed {
        var until: Timestamp
        var condition: Precondition
    }

    /// How much longer those that should live are waited for than those of the lost home.
    static let window = Duration.milliseconds(1_700)

    private var range: RangeID { seen.id }

    func run() async throws -> FailoverReport {
        let begun = database.host.now
        let old = if let known { known } else { try await database.datedRecord(table, end: end) }
        guard let before = old.record.ranges.first(where: { $0.id == range }) else { throw gone }
        guard isAsSeen(before) else { throw overtaken }
        guard !before.isGivenUp else { throw givenUp }
        if let destination { try check(destination, old.record) }
        let (record, fenced) = try await fence(old)
        let statuses = await sealedReplicas(of: fenced)
        let choice = try choose(among: statuses, fenced, mode: record.record.descriptor.mode)
        let fencedAt =
            authority?.until ?? (choice.isLossless ? database.host.latestTimestamp(in: database.region) : nil)
        var report = FailoverReport(
            table: table, partition: fenced.partition.rawValue, from: before.home.rawValue, to: "",
            generation: fenced.generation.next.rawValue, seed: name(of: choice.seed.node),
            isLossless: choice.isLossless, completeTo: choice.seed.complete.rawValue, fencedAt: fencedAt?.rawValue,
            milliseconds: 0)
        let begin = try await begin(choice, record, fenced, &report)
        _ = try await database.read(range, [], at: nil, end: end)
        report.to = begin.home.rawValue
        report.milliseconds = Double(database.host.now.nanoseconds(since: begun)) / 1e6
        return report
    }

    private var gone: MeridianError {
        MeridianError(.rowNotFound, "table \(table) has no range \(range) any more")
    }

    private var givenUp: MeridianError {
        MeridianError(
            .placementImpossible, "table \(table): its rows in \(seen.home) were given up for good, and cannot go on")
    }

    private func isAsSeen(_ range: RangeDescriptor) -> Bool {
        range.home == seen.home && range.generation == seen.generation || Planted.isOn(.keeperActsOnStaleRecord)
    }

    private func name(of node: NodeID) -> String { database.host.topology.node(node)?.name ?? "\(node)" }

    private func check(_ destination: Region, _ record: TableRecord) throws {
        var trial = record
        for position in trial.ranges.indices where trial.ranges[position].id == range {
            trial.ranges[position].home = destination
            _ = try ReplicaPlanner(topology: database.host.topology).plan(trial, rangeAt: position)
        }
    }

    // MARK: Fence

    private func fence(_ old: Database.DatedRecord) async throws -> (Database.DatedRecord, RangeDescriptor) {
        let record = try await database.updateRecord(
            table, from: old, end: end, rows: { (authority.map { [$0.condition] } ?? [], []) }
        ) { record in
            guard let position = record.ranges.firstIndex(where: { $0.id == range }) else { throw gone }
            // Whoever knows of the loss from an old copy of the record must not give up the home that has taken over.
            guard isAsSeen(record.ranges[position]) else { throw overtaken }
            // Somebody has begun already: this goes on from there.
            guard record.ranges[position].fence == nil else { return false }
            record.ranges[position].fence = record.ranges[position].generation.next
            record.ranges[position].revision += 1
            return true
        }
        guard let fenced = record.record.ranges.first(where: { $0.id == range }) else { throw gone }
        return (record, fenced)
    }

    // MARK: Ask

    /// Asks every replica until it says that it is sealed. Those of the lost home are not waited for longer than an
    /// answer takes.
    private func sealedReplicas(of fenced: RangeDescriptor) async -> [ReplicaStatus] {
        let host = database.host
        let patience = ClusterTiming.lostHomePatienceNanoseconds(from: database.region, host.topology)
        let whole = host.deadline(after: Self.window + .nanoseconds(patience))
        let short = host.deadline(after: .nanoseconds(patience))
        return await withTaskGroup(of: ReplicaStatus?.self) { group in
            for member in fenced.hosts where member.role != .witness {
                let limit = min(member.region == fenced.home ? short : whole, end)
                group.addTask { await sealedStatus(of: member.node, until: limit) }
            }
            var found: [ReplicaStatus] = []
            for await status in group { if let status { found.append(status) } }
            return found.sorted { $0.node < $1.node }
        }
    }

    private func sealedStatus(of node: NodeID, until limit: Instant) async -> ReplicaStatus? {
        let host = database.host
        while host.now < limit {
            let left = Duration.nanoseconds(limit.nanoseconds(since: host.now))
            let answer = try? await host.call(
                range, .request(.status(of: node)), from: database.region, patience: min(left, .seconds(1)),
                mayBeRepeated: false)
            if case .status(let status)? = answer, status.isSealed || Planted.isOn(.replicasUnsealed) { return status }
            await host.pause(for: .milliseconds(10))
        }
        return nil
    }

    // MARK: Choose

    struct Choice {
        var seed: ReplicaStatus
        var fork: LogPosition
        var isLossless: Bool
    }

    private func choose(
        among all: [ReplicaStatus], _ fenced: RangeDescriptor, mode: ReplicationMode
    ) throws -> Choice {
        // Who was given up by an earlier failover keeps what it has for a time. Where it has committed behind that fork
        // it cannot go on: the history since then has something else there.
        let statuses = all.filter {
            !$0.isRecovering && $0.last.index > .zero
                && $0.committed.index <= fenced.commonIndex(with: $0.committed.term.generation)
        }
        // What the members in force were is what the replica with the longest log says.
        let longest = statuses.max { first, second in
            (first.last, isAtDestination(first) ? 1 : 0, first.node)
                < (second.last, isAtDestination(second) ? 1 : 0, second.node)
        }
        guard var longest else {
            throw unavailable(fenced, "no replica outside of \(fenced.home) has answered")
        }
        if Planted.isOn(.seedNotMostComplete) { longest = statuses.min { $0.last < $1.last } ?? longest }
        // A log without an entry of the present generation says nothing of its members.
        let isPresent = longest.last.term.generation == fenced.generation
        if !isPresent, let begun = fenced.seed, let seed = statuses.first(where: { $0.node == begun.node }) {
            // Nor does the one that was to begin it have any: it never began.
            return Choice(seed: seed, fork: begun.fork, isLossless: true)
        }
        if isPresent, isMajority(statuses, of: longest.membership.members),
            !longest.membership.isJoint || isMajority(statuses, of: longest.membership.outgoing)
        {
            // They are a majority, so the most up-to-date log of all has everything: also what was committed by members
            // before them, since it names these.
            return Choice(seed: longest, fork: longest.last, isLossless: true)
        }
        let rule = fenced.transition?.commitRule ?? fenced.commitRule
        if isPresent, case .semiSynchronous(let home, let needed) = rule {
            let before = longest.membership.isJoint ? fenced.transition?.members ?? [] : []
            let members = longest.membership.members + longest.membership.outgoing + before
            let remote = Set(members.filter { $0.region != home }.map(\.region))
            let sealed = Set(statuses.compactMap { database.host.topology.node($0.node)?.region })
            if remote.subtracting(sealed).count < needed {
                return Choice(seed: longest, fork: longest.last, isLossless: true)
            }
        }
        // What had not been shipped may be lost in this mode, also while members change.
        guard acceptsLoss || mode == .asynchronous else {
            throw unavailable(
                fenced,
                "only \(statuses.map { name(of: $0.node) }.joined(separator: ", ")) answered, which may "
                    + "lack acknowledged commits; start "
                    + "more nodes that hold copies, or accept the loss (acceptingLoss: true)")
        }
        let seed =
            statuses.max { first, second in
                (first.committed, isAtDestination(first) ? 1 : 0, first.node)
                    < (second.committed, isAtDestination(second) ? 1 : 0, second.node)
            } ?? longest
        try checkAge(of: seed, fenced)
        return Choice(seed: seed, fork: seed.committed, isLossless: false)
    }

    private func isMajority(_ statuses: [ReplicaStatus], of members: [Member]) -> Bool {
        let voters = members.filter { $0.role != .learner }.map(\.node)
        return statuses.count { voters.contains($0.node) } > voters.count / 2
    }

    /// A copy that lags usually lags by moments. One that is older was still getting the rows when they were lost.
    private func checkAge(of seed: ReplicaStatus, _ fenced: RangeDescriptor) throws {
        guard !acceptsLoss, let now = database.host.latestTimestamp(in: database.region) else { return }
        let age = now.rawValue - seed.complete.rawValue
        guard age > Self.oldestCopy.nanoseconds else { return }
        throw unavailable(
            fenced,
            "the most complete copy that answers, of \(name(of: seed.node)), is \(age / 1_000_000_000) s old; "
                + "start more nodes that hold copies, or accept the loss (acceptingLoss: true)")
    }

    private static let oldestCopy = Duration.seconds(60)

    private func isAtDestination(_ status: ReplicaStatus) -> Bool {
        destination != nil && database.host.topology.node(status.node)?.region == destination
    }

    private func unavailable(_ range: RangeDescriptor, _ why: String) -> MeridianError {
        MeridianError(
            .unavailable,
            "table \(table), rows of \(range.partition): \(why). The rows are fenced and serve nobody until the "
                + "failover is called again",
            retry: .after(.seconds(1)))
    }

    // MARK: Begin

    private func begin(
        _ choice: Choice, _ old: Database.DatedRecord, _ fenced: RangeDescriptor, _ report: inout FailoverReport
    ) async throws -> RangeDescriptor {
        let topology = database.host.topology
        guard let place = topology.node(choice.seed.node)?.region else { throw gone }
        let home = destination ?? place
        let grant = Authority.Grant(
            region: home,
            until: (database.host.latestTimestamp(in: database.region) ?? .zero)
                .advanced(byNanoseconds: RegionAuthority.term.nanoseconds))
        report.to = home.rawValue
        let record = try await database.updateRecord(
            table, from: old, end: end,
            rows: {
                ([], [try FailoverHistory.mutation(report)] + (authority == nil ? [] : [try Authority.mutation(grant)]))
            }
        ) { record in
            guard let position = record.ranges.firstIndex(where: { $0.id == range }),
                record.ranges[position].fence == fenced.fence, let generation = fenced.fence
            else { throw overtaken }
            let planned = record.ranges[position]
            record.ranges[position].home = home
            let plan = try ReplicaPlanner(topology: topology).plan(record, rangeAt: position)
            record.ranges[position].setMembers(plan.members)
            record.ranges[position].commitRule = plan.commitRule
            record.ranges[position].preferredLeaders = plan.preferredLeaders
            record.ranges[position].revision = planned.revision + 1
            record.ranges[position].generation = generation
            record.ranges[position].fence = nil
            record.ranges[position].keepsEarlierHistory = true
            record.ranges[position].forks.append(
                .init(
                    index: choice.fork.index, completeTo: choice.seed.complete, isLossless: choice.isLossless))
            record.ranges[position].seed = .init(node: choice.seed.node, fork: choice.fork)
            record.ranges[position].transition = .init(
                members: [Member(node: choice.seed.node, region: place, role: .voter)], commitRule: .majority)
            return true
        }
        guard let begun = record.record.ranges.first(where: { $0.id == range }) else { throw gone }
        return begun
    }

    private var overtaken: MeridianError {
        MeridianError(
            .conflict, "table \(table): somebody else has ended this failover; read `failovers(of:)`",
            retry: .immediately)
    }
}
