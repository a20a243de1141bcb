import MeridianConsensus
import MeridianCore

/// One Raft group in all orders: its real `Raft` values, their disks, the messages between them, and a host that
/// changes members and begins a generation.
///
/// - **Messages** wait in a pool and come in any order, or never. So loss and reordering cost nothing; a repetition is
///   paid from the bound. Messages that are equal are one.
/// - **Disks** make one job durable at a choice, in order. A crash loses what waits; with it the rows applied since the
///   beginning, or not, as the choice says (a state store is durable up to any checkpoint).
/// - **Time** is each node's own. A follower's timer runs out, a leader's heartbeat is due, or time passes on one node
///   (so that it forgets that it has heard from a leader): each a choice that is paid from `timeouts`.
/// - **The host** (`NodeCore+Changes`, `FailoverProcedure`, for a group whose majority is asked): fences, seals each
///   replica at a moment of its own, chooses the longest log of a sealed majority, and lets each node hear of the new
///   generation at a moment of its own.
///
/// Ghosts: who led each term, and what was committed with the lowest term in which it was. The rules are those of Raft
/// figure 3, durability on a majority's disks at the moment of the commit, and monotonic terms and commits.
///
/// Cuts: no leases (their times are not relative), no quiescence, no transfer of the leadership, no readmission, no
/// compaction; small worlds that have those are worlds of their own.
package struct RaftWorld: ExplorableWorld {
    /// What may happen, how often. The start is a calm group: node 1 leads term 1 and has committed its first entry.
    package struct Bound: Hashable, Sendable, CustomStringConvertible {
        package enum Change: String, Hashable, Sendable {
            /// Voters 1, 2, 3 become 1, 2: one entry.
            case removal
            /// Voters 1, 2 and learner 3 become voters 1, 3: joint consensus.
            case replacement
        }

        package var timeouts = 0
        package var proposals = 0
        package var crashes = 0
        package var repetitions = 0
        package var change: Change?
        package var generations = 0

        package init(
            timeouts: Int = 0, proposals: Int = 0, crashes: Int = 0, repetitions: Int = 0, change: Change? = nil,
            generations: Int = 0
        ) {
            self.timeouts = timeouts
            self.proposals = proposals
            self.crashes = crashes
            self.repetitions = repetitions
            self.change = change
            self.generations = generations
        }

        package var description: String {
            "timeouts \(timeouts), proposals \(proposals), crashes \(crashes), repetitions \(repetitions), "
                + "change \(change?.rawValue ?? "none"), generations \(generations)"
        }
    }

    package enum Choice: Hashable, Sendable, CustomStringConvertible {
        case deliver(RaftMessage, staysUnderWay: Bool)
        case persist(NodeID)
        case timeout(NodeID)
        case timePasses(NodeID)
        case propose(NodeID)
        case change(NodeID)
        case crash(NodeID, losesRows: Bool)
        case fence
        case seal(NodeID)
        case choose(seed: NodeID)
        case begin(NodeID)

        package var description: String {
            switch self {
            case .deliver(let message, let stays):
                "\(Self.text(message))\(stays ? ", and once more" : "")"
            case .persist(let node): "the disk of \(node) has its oldest job"
            case .timeout(let node): "the timer of \(node) runs out"
            case .timePasses(let node): "an election timeout passes on \(node)"
            case .propose(let node): "\(node) is given a proposal"
            case .change(let node): "\(node) is told to change the members"
            case .crash(let node, let losesRows): "\(node) crashes and starts\(losesRows ? ", without its rows" : "")"
            case .fence: "the host fences the range"
            case .seal(let node): "\(node) hears of the fence"
            case .choose(let seed): "the host chooses \(seed) to begin the next generation"
            case .begin(let node): "\(node) hears of the next generation"
            }
        }

        private static func text(_ message: RaftMessage) -> String {
            let what =
                switch message.body {
                case .requestVote(let request):
                    "\(request.isPreVote ? "pre-vote" : "vote") asked with a log up to \(request.last)"
                case .vote(let vote):
                    "\(vote.isPreVote ? "pre-vote" : "vote") \(vote.isGranted ? "granted" : "refused")"
                case .append(let append):
                    "append \(append.entries.map(\.position)) after \(append.previous), commit \(append.commit)"
                case .appendReply(let reply): "append \(reply.result)"
                case .heartbeat(let heartbeat): "heartbeat, commit \(heartbeat.commit)"
                case .heartbeatReply: "heartbeat answered"
                case .timeoutNow: "campaign at once"
                case .recoveryCall: "recovery called"
                }
            return "\(message.from) to \(message.to) in \(message.term): \(what)"
        }
    }

    struct Node {
        var raft: Raft
        var disk = StoredLog()
        var jobs: [PersistJob] = []
        /// Applied rows, by how far the log has gone into them. They are durable, or all lost.
        var applied: LogIndex = .zero
        var now: Int64 = 0
        /// It has left the group for good.
        var hasDeparted = false

        var moment: Moment { Moment(instant: Instant(rawValue: now), clock: .unknown) }
    }

    /// What the host has decided.
    struct Host: Hashable {
        var isFenced = false
        var seed: NodeID?
        var fork: LogPosition = .zero
        var heard: [NodeID] = []
    }

    static let electionTimeout: Int64 = 1_000_000_000
    static let region: Region = "r"

    private(set) var bound: Bound
    private let target: [Member]
    private let bootstrap: Membership
    private(set) var nodes: [Node] = []
    private(set) var messages: [RaftMessage] = []
    private var host = Host()
    private var nextProposal: UInt64 = 1

    // Ghosts.
    private var leaders: [Term: NodeID] = [:]
    private(set) var committed: [Entry] = []
    private var committedIn: [Term] = []
    private var violation: String?

    package init(_ bound: Bound) {
        self.bound = bound
        func member(_ number: UInt32, _ role: ReplicaRole = .voter) -> Member {
            Member(node: NodeID(number), region: Self.region, role: role)
        }
        let isReplacement = bound.change == .replacement
        bootstrap = Membership(members: [member(1), member(2), member(3, isReplacement ? .learner : .voter)])
        target = isReplacement ? [member(1), member(3)] : [member(1), member(2)]
        for number in UInt32(1)...3 {
            nodes.append(
                Node(
                    raft: Raft(
                        configuration: Self.configuration(NodeID(number)), stored: StoredLog(),
                        applied: AppliedState(position: .zero, membership: bootstrap, closed: .zero),
                        at: Moment(instant: .zero, clock: .unknown))))
        }
        elect()
    }

    private static func configuration(_ node: NodeID) -> RaftConfiguration {
        // Heartbeats take no time that matters: an age is either nothing or an election timeout.
        var configuration = RaftConfiguration(
            node: node, commitRule: .majority, electionTimeoutNanoseconds: electionTimeout,
            heartbeatIntervalNanoseconds: 1, leaseDurationNanoseconds: 0, seed: 1)
        configuration.quiesceAfterNanoseconds = 0
        configuration.maximumPromotionLag = 2
        return configuration
    }

    /// Node 1 leads, and all have its first entry, durable and committed.
    private mutating func elect() {
        bound.timeouts += 1
        _ = take(.timeout(NodeID(1)))
        for _ in 0..<100 {
            if let node = nodes.first(where: { !$0.jobs.isEmpty }) {
                _ = take(.persist(node.raft.configuration.node))
            } else if let message = messages.first {
                _ = take(.deliver(message, staysUnderWay: false))
            }
        }
        precondition(
            nodes[0].raft.role == .leader && nodes.allSatisfy { $0.raft.commitIndex == nodes[0].raft.commitIndex },
            "the small world does not begin calm")
        // Nobody remembers when that was.
        for slot in nodes.indices { nodes[slot].now = 0 }
        for slot in nodes.indices { nodes[slot].now += Self.electionTimeout }
    }

    // MARK: Choices

    package func choices() -> [Choice] {
        var choices: [Choice] = []
        for message in messages {
            choices.append(.deliver(message, staysUnderWay: false))
            if bound.repetitions > 0 { choices.append(.deliver(message, staysUnderWay: true)) }
        }
        for node in nodes where !node.hasDeparted {
            let raft = node.raft
            let id = raft.configuration.node
            if !node.jobs.isEmpty { choices.append(.persist(id)) }
            if bound.timeouts > 0, raft.nextDeadline != nil { choices.append(.timeout(id)) }
            if bound.timeouts > 0 { choices.append(.timePasses(id)) }
            if bound.proposals > 0, raft.role == .leader { choices.append(.propose(id)) }
            if bound.change != nil, raft.role == .leader { choices.append(.change(id)) }
            if bound.crashes > 0 {
                choices.append(.crash(id, losesRows: false))
                if node.applied > .zero { choices.append(.crash(id, losesRows: true)) }
            }
            if host.isFenced, host.seed == nil, !raft.isSealed { choices.append(.seal(id)) }
            if host.seed != nil, !host.heard.contains(id) { choices.append(.begin(id)) }
        }
        if bound.generations > 0 { choices.append(.fence) }
        if host.isFenced, host.seed == nil, let seed = chosenSeed { choices.append(.choose(seed: seed)) }
        return choices
    }

    /// The longest log of those that have sealed themselves, if they are a majority of its members.
    private var chosenSeed: NodeID? {
        let sealed = nodes.filter { !$0.hasDeparted && $0.raft.isSealDurable }
        let longest = sealed.max { first, second in
            (first.raft.lastPosition, first.raft.configuration.node)
                < (second.raft.lastPosition, second.raft.configuration.node)
        }
        guard let longest else { return nil }
        let ids = sealed.map(\.raft.configuration.node)
        let result = JointQuorum(longest.raft.membership).voteResult { ids.contains($0) }
        return result == .won ? longest.raft.configuration.node : nil
    }

    private func slot(_ node: NodeID) -> Int { Int(node.rawValue) - 1 }

    // MARK: What happens

    package mutating func take(_ choice: Choice) -> String? {
        violation = nil
        switch choice {
        case .deliver(let message, let stays):
            if stays { bound.repetitions -= 1 } else { messages.removeAll { $0 == message } }
            step(slot(message.to), .message(message))
        case .persist(let id):
            let slot = slot(id)
            let job = completeJob(slot)
            send(job.messagesAfter)
            step(slot, .persisted(job.token))
        case .timeout(let id):
            bound.timeouts -= 1
            let slot = slot(id)
            guard let deadline = nodes[slot].raft.nextDeadline else { break }
            let isLeader = nodes[slot].raft.role == .leader
            let patience = isLeader ? 0 : nodes[slot].now + Self.electionTimeout
            nodes[slot].now = max(nodes[slot].now, deadline.rawValue, patience)
            step(slot, .tick)
        case .timePasses(let id):
            bound.timeouts -= 1
            nodes[slot(id)].now += Self.electionTimeout
        case .propose(let id):
            bound.proposals -= 1
            let command = Command(
                request: RequestID(high: 0, low: nextProposal), timestamp: .zero, closed: .zero, mutations: [])
            let proposal = Proposal(id: ProposalID(rawValue: nextProposal), payload: .command(command))
            nextProposal += 1
            step(slot(id), .propose([proposal]))
        case .change(let id):
            bound.change = nil
            step(slot(id), .changeMembership(MembershipChange(target: target), ProposalID(rawValue: 1_000)))
        case .crash(let id, let losesRows):
            bound.crashes -= 1
            restart(slot(id), losesRows: losesRows)
        case .fence:
            bound.generations -= 1
            host.isFenced = true
        case .seal(let id):
            let slot = slot(id)
            nodes[slot].raft.seal(for: .first.next, at: nodes[slot].moment)
            flush(slot)
        case .choose(let seed):
            host.seed = seed
            host.fork = nodes[slot(seed)].raft.lastPosition
        case .begin(let id):
            begin(slot(id))
        }
        return violation
    }

    /// As `NodeCore.settleHistory` has it: the seed goes on, who has nothing behind the fork follows, others depart.
    private mutating func begin(_ slot: Int) {
        let id = nodes[slot].raft.configuration.node
        host.heard.append(id)
        let now = nodes[slot].moment
        if id == host.seed {
            let members = bootstrap.members.map { member in
                Member(node: member.node, region: member.region, role: member.node == id ? .voter : .learner)
            }
            nodes[slot].raft.reseed(
                .first.next, fork: host.fork, membership: Membership(members: members), at: now)
            nodes[slot].raft.receive(.campaign, at: now)
        } else if nodes[slot].raft.lastPosition.index <= host.fork.index {
            nodes[slot].raft.join(.first.next, at: now)
        } else {
            nodes[slot].hasDeparted = true
            nodes[slot].jobs = []
            messages.removeAll { $0.to == id }
            return
        }
        flush(slot)
    }

    private mutating func step(_ slot: Int, _ input: RaftInput) {
        if nodes[slot].hasDeparted { return }
        if case .message(let message) = input, !accepts(message, slot) { return }
        nodes[slot].raft.receive(input, at: nodes[slot].moment)
        flush(slot)
    }

    /// As `Replica.accepts`: what comes of another generation is not for this replica.
    private func accepts(_ message: RaftMessage, _ slot: Int) -> Bool {
        let generation: Generation = host.heard.contains(nodes[slot].raft.configuration.node) ? .first.next : .first
        return message.term.generation == generation
    }

    private mutating func flush(_ slot: Int) {
        let before = nodes[slot].raft.commitIndex
        let output = nodes[slot].raft.flush(at: nodes[slot].moment)
        if let job = output.persist { nodes[slot].jobs.append(job) }
        send(output.messages)
        check(slot, before: before, output.committed)
        guard let last = output.committed.last else { return }
        nodes[slot].applied = max(nodes[slot].applied, last.index)
        step(slot, .applied(last.index))
    }

    private mutating func send(_ new: [RaftMessage]) {
        for var message in new {
            // A hint for timers, and timers run out whenever they like.
            if case .vote(var vote) = message.body {
                vote.boundNanoseconds = 0
                message.body = .vote(vote)
            }
            guard !nodes[slot(message.to)].hasDeparted, !messages.contains(message) else { continue }
            messages.append(message)
        }
    }

    private mutating func completeJob(_ slot: Int) -> PersistJob {
        let job = nodes[slot].jobs.removeFirst()
        if let reset = job.reset {
            nodes[slot].disk.base = reset
            nodes[slot].disk.entries = []
        }
        if let first = job.entries.first {
            let kept = Int(first.index.rawValue - nodes[slot].disk.base.index.rawValue) - 1
            nodes[slot].disk.entries.removeLast(nodes[slot].disk.entries.count - kept)
            nodes[slot].disk.entries += job.entries
        }
        if let state = job.hardState { nodes[slot].disk.hardState = state }
        return job
    }

    private mutating func restart(_ slot: Int, losesRows: Bool) {
        nodes[slot].jobs = []
        // What a checkpoint has not written is replayed from the log; the log is never cut here.
        if losesRows { nodes[slot].applied = .zero }
        var membership = bootstrap
        let rows = committed.prefix(Int(nodes[slot].applied.rawValue))
        for entry in rows { if case .membership(let other) = entry.payload { membership = other } }
        nodes[slot].raft = Raft(
            configuration: Self.configuration(nodes[slot].raft.configuration.node), stored: nodes[slot].disk,
            applied: AppliedState(position: rows.last?.position ?? .zero, membership: membership, closed: .zero),
            at: nodes[slot].moment)
        flush(slot)
    }

    // MARK: Rules

    private mutating func check(_ slot: Int, before: LogIndex, _ new: [Entry]) {
        let raft = nodes[slot].raft
        let id = raft.configuration.node
        if raft.role == .leader {
            if let other = leaders[raft.term], other != id {
                violation = "election safety: \(other) and \(id) lead in \(raft.term)"
            }
            if leaders.updateValue(id, forKey: raft.term) == nil {
                for (entry, term) in zip(committed, committedIn)
                where term < raft.term && entry.index > raft.basePosition.index
                    && raft.term(at: entry.index) != entry.term
                {
                    violation = "leader completeness: \(id) leads \(raft.term) without \(entry.position)"
                }
            }
            if raft.commitIndex > before { checkDurability(slot) }
        }
        for entry in new { note(entry, in: raft.term, id) }
        checkLogMatching(slot)
    }

    private mutating func note(_ entry: Entry, in term: Term, _ id: NodeID) {
        let offset = Int(entry.index.rawValue) - 1
        if offset == committed.count {
            committed.append(entry)
            committedIn.append(term)
        } else if offset > committed.count {
            violation = "state machine safety: \(id) skips to \(entry.index)"
        } else {
            committedIn[offset] = min(committedIn[offset], term)
            if committed[offset] != entry {
                violation = "state machine safety: \(id) has \(entry.position), others \(committed[offset].position)"
            }
        }
    }

    private mutating func checkDurability(_ slot: Int) {
        let raft = nodes[slot].raft
        guard let term = raft.term(at: raft.commitIndex) else { return }
        if term != raft.term {
            violation = "commits of the own term: \(raft.configuration.node) in \(raft.term) committed one of \(term)"
        }
        let index = raft.commitIndex
        let isHeld = [raft.membership, raft.membership(at: index)].contains { membership in
            JointQuorum(membership).voteResult { voter in
                let disk = nodes[self.slot(voter)].disk
                // What lies behind the base is in the rows.
                guard index > disk.base.index else { return true }
                let offset = Int(index.rawValue - disk.base.index.rawValue) - 1
                return offset < disk.entries.count && disk.entries[offset].term == term
            } == .won
        }
        if !isHeld { violation = "durability: \(raft.configuration.node) committed \(index), which no quorum holds" }
    }

    private mutating func checkLogMatching(_ slot: Int) {
        let raft = nodes[slot].raft
        for other in nodes where other.raft.configuration.node != raft.configuration.node && !other.hasDeparted {
            var index = min(raft.lastPosition.index, other.raft.lastPosition.index)
            let lowest = max(raft.basePosition.index, other.raft.basePosition.index)
            var mustAgree = false
            while index > lowest {
                let doAgree = raft.term(at: index) == other.raft.term(at: index)
                if mustAgree, !doAgree {
                    violation = "log matching: \(raft.configuration.node), \(other.raft.configuration.node) at \(index)"
                }
                mustAgree = mustAgree || doAgree
                index = index.previous
            }
        }
    }

    // MARK: Fingerprint

    package func fingerprint(into hasher: inout Hasher) {
        hasher.combine(bound)
        hasher.combine(host.isFenced)
        hasher.combine(host.seed)
        hasher.combine(host.fork)
        for node in nodes {
            hasher.combine(node.hasDeparted)
            guard !node.hasDeparted else { continue }
            node.raft.fingerprint(into: &hasher, at: node.moment)
            hasher.combine(node.disk)
            hasher.combine(node.applied)
            hasher.combine(host.heard.contains(node.raft.configuration.node))
            for job in node.jobs {
                hasher.combine(job.hardState)
                hasher.combine(job.reset)
                hasher.combine(job.entries)
                hasher.combine(job.messagesAfter)
            }
        }
        // In no order.
        var pool = 0
        for message in messages {
            var one = Hasher()
            one.combine(message)
            pool &+= one.finalize()
        }
        hasher.combine(pool)
        hasher.combine(messages.count)
        hasher.combine(leaders)
        hasher.combine(committed.count)
        hasher.combine(committedIn)
    }
}
