import MeridianConsensus
import MeridianCore

/// A cluster under a seeded hostile world: messages are lost, doubled and late, disks stall, nodes crash and forget
/// what was not durable, links break one way, clocks are off within their bounds or know nothing, members change.
///
/// The true time is `time`; every clock interval contains it. After every event the invariants are checked.
struct SimulatedCluster {
    struct Options {
        var nodes: UInt32 = 5
        var rule: CommitRule = .majority
        var faults = true
        var changesMembers = true
        var leaseNanoseconds: Int64 = 120_000_000
        var quiesceAfterNanoseconds: Int64 = 0
    }

    static let millisecond: Int64 = 1_000_000

    let options: Options
    var random: SplitMix64
    var time: Int64 = 1_000_000_000
    var nodes: [TestNode] = []
    var invariants = Invariants()
    var isCalm = false

    var queue = EventQueue()
    /// What nodes looked like before inputs that were not flushed yet.
    var unflushed: [Invariants.Before?] = []
    var blocked: Set<Link> = []
    var nextProposal: UInt64 = 1
    var nextRead: UInt64 = 1
    var clockErrors: [Int64] = []
    var clockless: [Bool] = []
    var committedOutcomes = 0
    var events = 0

    struct Link: Hashable {
        var from: NodeID
        var to: NodeID
    }

    enum Event {
        case deliver(RaftMessage)
        case persist(NodeID, life: Int)
        case apply(NodeID, life: Int, [Entry])
        case restart(NodeID)
        case campaign(NodeID)
        case isolate(NodeID)
        case snapshot(from: NodeID, to: NodeID, life: Int, fails: Bool)
        case client
        case fault
        case healLinks
    }

    init(seed: UInt64, options: Options = Options()) {
        self.options = options
        self.random = SplitMix64(seed: seed)
        let regions: [Region] = ["eu", "us", "ap"]
        let all = (1...options.nodes).map { number in
            Member(
                node: NodeID(number), region: regions[Int(number - 1) % 3], role: number <= 3 ? .voter : .learner)
        }
        let bootstrap = Membership(members: options.changesMembers ? Array(all.prefix(3)) : all.map(Self.voting))
        for member in all {
            var configuration = RaftConfiguration(
                node: member.node, commitRule: options.rule, electionTimeoutNanoseconds: 100 * Self.millisecond,
                heartbeatIntervalNanoseconds: 20 * Self.millisecond,
                leaseDurationNanoseconds: options.leaseNanoseconds, seed: seed)
            configuration.maximumEntriesPerMessage = 4
            configuration.maximumInflightMessages = 4
            configuration.maximumPromotionLag = 8
            configuration.quiesceAfterNanoseconds = options.quiesceAfterNanoseconds
            clockErrors.append(Int64(random.below(15)) * Self.millisecond)
            clockless.append(false)
            unflushed.append(nil)
            let moment = Moment(instant: Instant(rawValue: time), clock: .unknown)
            nodes.append(TestNode(configuration: configuration, bootstrap: bootstrap, at: moment))
        }
        schedule(.client, in: 1)
        if options.faults { schedule(.fault, in: 50 * Self.millisecond) }
    }

    static func voting(_ member: Member) -> Member {
        Member(node: member.node, region: member.region, role: .voter)
    }

    func slot(_ node: NodeID) -> Int { Int(node.rawValue) - 1 }

    /// Monotonic clocks start anywhere and run a little fast or slow.
    func instant(_ slot: Int) -> Instant {
        Instant(rawValue: time + time / 10_000 * Int64(slot - 2) + Int64(slot) * 77_000_000)
    }

    /// The true time at which a node's monotonic clock shows `instant`, or a little later.
    func trueTime(_ instant: Instant, _ slot: Int) -> Int64 {
        let target = instant.rawValue - Int64(slot) * 77_000_000
        var estimate = target
        while estimate + estimate / 10_000 * Int64(slot - 2) < target {
            estimate += max(1, (target - estimate - estimate / 10_000 * Int64(slot - 2)))
        }
        return estimate
    }

    mutating func moment(_ slot: Int) -> Moment {
        guard !clockless[slot] else { return Moment(instant: instant(slot), clock: .unknown) }
        let error = UInt64(clockErrors[slot]) + 1
        let before = Int64(random.below(error))
        let after = Int64(random.below(error))
        let clock = ClockInterval(
            earliest: Timestamp(rawValue: time - before), latest: Timestamp(rawValue: time + after))
        return Moment(instant: instant(slot), clock: clock)
    }

    mutating func schedule(_ event: Event, in delay: Int64) {
        queue.push(event, at: time + delay)
    }

    /// Runs until `duration` has passed.
    mutating func run(milliseconds: Int64) {
        let end = time + milliseconds * Self.millisecond
        while true {
            var next = queue.nextTime ?? .max
            var ticking: Int?
            for slot in nodes.indices where nodes[slot].isUp {
                guard let deadline = nodes[slot].raft.nextDeadline else { continue }
                let due = max(time, trueTime(deadline, slot))
                if due < next {
                    next = due
                    ticking = slot
                }
            }
            if next > end { break }
            time = max(time, next)
            events += 1
            if let ticking {
                step(ticking, .tick)
            } else {
                handle(queue.pop())
            }
            invariants.checkLeases(nodes, at: time)
            if events % 500 == 0 { invariants.checkLogMatching(nodes) }
        }
        time = end
        invariants.checkLogMatching(nodes)
    }

    mutating func step(_ slot: Int, _ input: RaftInput) {
        let before = unflushed[slot] ?? Invariants.Before(nodes[slot].raft)
        unflushed[slot] = before
        let now = moment(slot)
        nodes[slot].raft.receive(input, at: now)
        // Now and then several inputs share a flush.
        if random.below(4) == 0, !isCalm { return }
        let output = nodes[slot].raft.flush(at: now)
        unflushed[slot] = nil
        invariants.check(nodes[slot], before: before, output: output, among: nodes, at: time)
        committedOutcomes += output.outcomes.count { if case .committed = $0.result { true } else { false } }
        nodes[slot].enqueue(output)
        let life = nodes[slot].life
        if output.persist != nil {
            let delay = !isCalm && random.below(40) == 0 ? 150 : Int64(random.below(8))
            schedule(.persist(nodes[slot].id, life: life), in: delay * Self.millisecond + 1)
        }
        for message in output.messages { send(message) }
        if !output.committed.isEmpty {
            let delay = Int64(random.below(10)) * Self.millisecond
            // Applying is in order: a batch never passes the one before it, whatever the delay (see `apply`).
            schedule(.apply(nodes[slot].id, life: life, output.committed), in: delay)
        }
        for follower in output.snapshotsWanted {
            let delay = Int64(random.below(60)) * Self.millisecond
            let fails = !isCalm && random.below(4) == 0
            schedule(.snapshot(from: nodes[slot].id, to: follower, life: life, fails: fails), in: delay)
        }
    }

    mutating func send(_ message: RaftMessage) {
        let link = Link(from: message.from, to: message.to)
        guard !blocked.contains(link), slot(message.to) < nodes.count else { return }
        if isCalm {
            schedule(.deliver(message), in: Self.millisecond)
            return
        }
        if random.below(20) == 0 { return }
        let copies = random.below(20) == 0 ? 2 : 1
        // An order to campaign is worth keeping until it was given up.
        if case .timeoutNow = message.body, random.below(3) == 0 {
            let delay = Int64(random.below(200) + 60) * Self.millisecond
            schedule(.deliver(message), in: delay)
            // Whoever gave it does not hear of the election then.
            schedule(.isolate(message.from), in: delay)
            return
        }
        for _ in 0..<copies {
            let delay = random.below(50) == 0 ? random.below(400) : random.below(12)
            schedule(.deliver(message), in: Int64(delay) * Self.millisecond + Int64(random.below(1000)))
        }
    }

    mutating func handle(_ event: Event) {
        switch event {
        case .deliver(let message):
            if nodes[slot(message.to)].isUp { step(slot(message.to), .message(message)) }
        case .persist(let node, let life):
            let slot = slot(node)
            guard nodes[slot].isUp, nodes[slot].life == life, !nodes[slot].jobs.isEmpty else { return }
            let job = nodes[slot].completeJob()
            for message in job.messagesAfter { send(message) }
            step(slot, .persisted(job.token))
        case .apply(let node, let life, let entries):
            let slot = slot(node)
            guard nodes[slot].isUp, nodes[slot].life == life, let first = entries.first else { return }
            guard first.index <= nodes[slot].appliedIndex.next else {
                schedule(event, in: Self.millisecond)
                return
            }
            nodes[slot].apply(entries)
            step(slot, .applied(min(entries[entries.count - 1].index, nodes[slot].appliedIndex)))
        case .restart(let node):
            restart(slot(node))
        case .isolate(let node):
            if !isCalm { isolate(slot(node)) }
        case .campaign(let node):
            if nodes[slot(node)].isUp { step(slot(node), .campaign) }
        case .snapshot(let sender, let follower, let life, let fails):
            snapshot(from: slot(sender), to: slot(follower), life: life, fails: fails)
        case .client:
            actAsClient()
            schedule(.client, in: Int64(random.below(12) + 1) * Self.millisecond)
        case .fault:
            if !isCalm {
                injectFault()
                schedule(.fault, in: Int64(random.below(150) + 20) * Self.millisecond)
            }
        case .healLinks:
            blocked = []
        }
    }

    mutating func restart(_ slot: Int) {
        guard !nodes[slot].isUp else { return }
        let lowest = nodes[slot].checkpoint.rawValue
        let survived = lowest + random.below(nodes[slot].appliedIndex.rawValue - lowest + 1)
        let now = moment(slot)
        nodes[slot].restart(applied: LogIndex(survived), at: now)
        step(slot, .tick)
    }

    mutating func snapshot(from sender: Int, to receiver: Int, life: Int, fails: Bool) {
        guard nodes[sender].isUp, nodes[sender].life == life else { return }
        let follower = nodes[receiver].id
        if fails || !nodes[receiver].isUp || blocked.contains(Link(from: nodes[sender].id, to: follower)) {
            step(sender, .snapshotSent(to: follower, .failed))
            return
        }
        let state = nodes[sender].appliedState(at: nodes[sender].appliedIndex)
        guard state.position.index > .zero else { return step(sender, .snapshotSent(to: follower, .failed)) }
        if state.position.index > nodes[receiver].appliedIndex, state.position.index > nodes[receiver].raft.commitIndex
        {
            nodes[receiver].appliedEntries = nodes[sender].appliedEntries
            nodes[receiver].checkpoint = nodes[receiver].appliedIndex
        }
        let metadata = SnapshotMetadata(position: state.position, membership: state.membership)
        step(receiver, .snapshotInstalled(metadata, from: nodes[sender].id))
        step(sender, .snapshotSent(to: follower, .installed(state.position.index)))
    }

    /// Ends all faults: what follows must work.
    mutating func calm() {
        isCalm = true
        blocked = []
        for slot in nodes.indices {
            clockless[slot] = false
            clockErrors[slot] = 5 * Self.millisecond
            if !nodes[slot].isUp { restart(slot) }
            step(slot, .wake)
        }
    }

    /// For a failure's message.
    var summary: String {
        nodes.map { node in
            let raft = node.raft
            let members = raft.membership.members.map { "\($0.node):\($0.role)" }.joined(separator: " ")
            let outgoing = raft.membership.outgoing.map { "\($0.node)" }.joined(separator: " ")
            return
                "\(node.id) \(node.isUp ? "up" : "down") \(raft.role) \(raft.term) "
                + "leader \(raft.leader?.description ?? "-") "
                + "commit \(raft.commitIndex) last \(raft.lastPosition) [\(members)] leaving [\(outgoing)]"
                + "\(raft.isRecovering ? " recovering" : "")"
        }.joined(separator: "\n")
    }

    var leader: TestNode? { nodes.first { $0.isUp && $0.raft.role == .leader && $0.raft.leader == $0.id } }
}
