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

    private var queue = EventQueue()
    /// What nodes looked like before inputs that were not flushed yet.
    private var unflushed: [Invariants.Before?] = []
    private var blocked: Set<Link> = []
    private var nextProposal: UInt64 = 1
    private var nextRead: UInt64 = 1
    private var clockErrors: [Int64] = []
    private var clockless: [Bool] = []
    private(set) var committedOutcomes = 0
    private(set) var events = 0

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

    private static func voting(_ member: Member) -> Member {
        Member(node: member.node, region: member.region, role: .voter)
    }

    private func slot(_ node: NodeID) -> Int { Int(node.rawValue) - 1 }

    /// Monotonic clocks start anywhere and run a little fast or slow.
    private func instant(_ slot: Int) -> Instant {
        Instant(rawValue: time + time / 10_000 * Int64(slot - 2) + Int64(slot) * 77_000_000)
    }

    /// The true time at which a node's monotonic clock shows `instant`, or a little later.
    private func trueTime(_ instant: Instant, _ slot: Int) -> Int64 {
        let target = instant.rawValue - Int64(slot) * 77_000_000
        var estimate = target
        while estimate + estimate / 10_000 * Int64(slot - 2) < target {
            estimate += max(1, (target - estimate - estimate / 10_000 * Int64(slot - 2)))
        }
        return estimate
    }

    private mutating func moment(_ slot: Int) -> Moment {
        guard !clockless[slot] else { return Moment(instant: instant(slot), clock: .unknown) }
        let error = UInt64(clockErrors[slot]) + 1
        let before = Int64(random.below(error))
        let after = Int64(random.below(error))
        let clock = ClockInterval(
            earliest: Timestamp(rawValue: time - before), latest: Timestamp(rawValue: time + after))
        return Moment(instant: instant(slot), clock: clock)
    }

    private mutating func schedule(_ event: Event, in delay: Int64) {
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

    private mutating func step(_ slot: Int, _ input: RaftInput) {
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

    private mutating func send(_ message: RaftMessage) {
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

    private mutating func handle(_ event: Event) {
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

    private mutating func isolate(_ slot: Int) {
        for other in nodes.indices where other != slot {
            blocked.insert(Link(from: nodes[slot].id, to: nodes[other].id))
            blocked.insert(Link(from: nodes[other].id, to: nodes[slot].id))
        }
        schedule(.healLinks, in: Int64(random.below(400)) * Self.millisecond)
    }

    /// Everybody but the leader restarts at once and is asked to campaign, while the leader still holds its lease.
    private mutating func forgetPromises() {
        guard let leader = nodes.firstIndex(where: { $0.isUp && $0.raft.leaseExpiration != nil }) else { return }
        for other in nodes.indices where other != leader {
            blocked.insert(Link(from: nodes[leader].id, to: nodes[other].id))
            blocked.insert(Link(from: nodes[other].id, to: nodes[leader].id))
            guard nodes[other].isUp else { continue }
            nodes[other].crash()
            unflushed[other] = nil
            schedule(.restart(nodes[other].id), in: 1)
            schedule(.campaign(nodes[other].id), in: Int64(random.below(20) + 1) * Self.millisecond)
        }
        schedule(.healLinks, in: Int64(random.below(300)) * Self.millisecond)
    }

    private mutating func restart(_ slot: Int) {
        guard !nodes[slot].isUp else { return }
        let lowest = nodes[slot].checkpoint.rawValue
        let survived = lowest + random.below(nodes[slot].appliedIndex.rawValue - lowest + 1)
        let now = moment(slot)
        nodes[slot].restart(applied: LogIndex(survived), at: now)
        step(slot, .tick)
    }

    private mutating func snapshot(from sender: Int, to receiver: Int, life: Int, fails: Bool) {
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

    private mutating func actAsClient() {
        let slot = Int(random.below(UInt64(nodes.count)))
        let target = nodes.firstIndex { $0.isUp && $0.raft.role == .leader && random.below(8) != 0 } ?? slot
        guard nodes[target].isUp else { return }
        switch random.below(20) {
        case 0..<12:
            var proposals: [Proposal] = []
            for _ in 0...random.below(4) {
                proposals.append(Proposal(id: ProposalID(rawValue: nextProposal), payload: .numbered(nextProposal)))
                invariants.propose(ProposalID(rawValue: nextProposal))
                nextProposal += 1
            }
            step(target, .propose(proposals))
        case 12..<16:
            let id = ReadID(rawValue: nextRead)
            nextRead += 1
            invariants.read(id)
            step(target, .readIndex(id))
        case 16 where !isCalm:
            step(target, .transferLeadership(to: NodeID(UInt32(random.below(UInt64(nodes.count)) + 1))))
        case 17 where options.changesMembers && !isCalm:
            changeMembers(target)
        case 18:
            nodes[target].checkpoint = nodes[target].appliedIndex
            let index = LogIndex(nodes[target].appliedIndex.rawValue * 3 / 4)
            guard index <= nodes[target].raft.appliedIndex else { return }
            nodes[target].compact(through: index)
            step(target, .compact(index))
        case 19 where !isCalm:
            step(target, .unreachable(NodeID(UInt32(random.below(UInt64(nodes.count)) + 1))))
        default:
            step(target, .wake)
        }
    }

    private mutating func changeMembers(_ slot: Int) {
        let current = nodes[slot].raft.membership
        var target: [Member] = []
        let regions: [Region] = ["eu", "us", "ap"]
        for number in 1...options.nodes {
            let node = NodeID(number)
            let region = regions[Int(number - 1) % 3]
            // The last node is only ever a witness, since one cannot become anything else.
            let isWitness = number == options.nodes
            switch (current[node]?.role, random.below(4)) {
            case (let role?, 0..<3):
                target.append(Member(node: node, region: region, role: role == .learner ? .voter : role))
            case (nil, 0..<2): target.append(Member(node: node, region: region, role: isWitness ? .witness : .learner))
            case (.voter?, _) where random.below(2) == 0:
                target.append(Member(node: node, region: region, role: .learner))
            default: break
            }
        }
        let id = ProposalID(rawValue: nextProposal)
        nextProposal += 1
        invariants.propose(id)
        step(slot, .changeMembership(MembershipChange(target: target), id))
    }

    private mutating func injectFault() {
        let slot = Int(random.below(UInt64(nodes.count)))
        switch random.below(7) {
        case 6:
            forgetPromises()
        case 0, 1:
            guard nodes[slot].isUp else { return }
            nodes[slot].crash()
            unflushed[slot] = nil
            schedule(.restart(nodes[slot].id), in: Int64(random.below(300)) * Self.millisecond)
        case 2:
            isolate(slot)
        case 3:
            for other in nodes.indices where other != slot && random.below(2) == 0 {
                blocked.insert(Link(from: nodes[slot].id, to: nodes[other].id))
            }
            schedule(.healLinks, in: Int64(random.below(400)) * Self.millisecond)
        case 4:
            for other in nodes.indices where other != slot && random.below(2) == 0 {
                blocked.insert(Link(from: nodes[other].id, to: nodes[slot].id))
            }
            schedule(.healLinks, in: Int64(random.below(400)) * Self.millisecond)
        default:
            clockless[slot] = random.below(3) == 0
            clockErrors[slot] = Int64(random.below(40)) * Self.millisecond
        }
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
                "\(node.id) \(node.isUp ? "up" : "down") \(raft.role) \(raft.term) leader \(raft.leader?.description ?? "-") "
                + "commit \(raft.commitIndex) last \(raft.lastPosition) [\(members)] leaving [\(outgoing)]"
                + "\(raft.hasLostEntries ? " lost entries" : "")"
        }.joined(separator: "\n")
    }

    var leader: TestNode? { nodes.first { $0.isUp && $0.raft.role == .leader && $0.raft.leader == $0.id } }
}

/// Events by time; those of the same time in the order of their making.
struct EventQueue {
    private struct Item {
        var time: Int64
        var sequence: UInt64
        var event: SimulatedCluster.Event

        static func < (lhs: Item, rhs: Item) -> Bool { (lhs.time, lhs.sequence) < (rhs.time, rhs.sequence) }
    }

    private var heap: [Item] = []
    private var sequence: UInt64 = 0

    var nextTime: Int64? { heap.first?.time }

    mutating func push(_ event: SimulatedCluster.Event, at time: Int64) {
        sequence += 1
        heap.append(Item(time: time, sequence: sequence, event: event))
        var child = heap.count - 1
        while child > 0, heap[child] < heap[(child - 1) / 2] {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func pop() -> SimulatedCluster.Event {
        heap.swapAt(0, heap.count - 1)
        let item = heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child] < heap[least] {
                least = child
            }
            if least == parent { return item.event }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
