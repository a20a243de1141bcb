import MeridianConsensus
import MeridianCore

/// The world of a scenario: replicas, a network that is a list, disks that can be held, one true time.
///
/// Nothing happens unless a command makes it happen; docs/internals/consensus.md lists the commands.
struct ScenarioWorld {
    var nodes: [TestNode] = []
    var time: Int64 = 0
    /// Messages on their way, oldest first.
    var network: [RaftMessage] = []
    /// Messages that a command keeps back.
    var held: [RaftMessage] = []
    var blocked: Set<SimulatedCluster.Link> = []
    var heldDisks: Set<NodeID> = []
    var clockErrors: [NodeID: Int64] = [:]
    var clockOffsets: [NodeID: Int64] = [:]
    var clockless: Set<NodeID> = []
    var labels: [ProposalID: String] = [:]
    var nextProposal: UInt64 = 1
    var nextRead: UInt64 = 1
    var isQuiet = false
    var lines: [String] = []
    var options: [String: String] = [:]

    mutating func print(_ line: String) {
        if !isQuiet { lines.append(line) }
    }

    func slot(_ node: NodeID) -> Int {
        guard let slot = nodes.firstIndex(where: { $0.id == node }) else { fatalError("no node \(node)") }
        return slot
    }

    func moment(_ node: NodeID) -> Moment {
        let instant = Instant(rawValue: time)
        guard !clockless.contains(node) else { return Moment(instant: instant, clock: .unknown) }
        let reading = Timestamp(rawValue: time + (clockOffsets[node] ?? 0))
        return Moment(
            instant: instant, clock: ClockInterval(reading: reading, errorNanoseconds: clockErrors[node] ?? 0))
    }

    /// Runs one command line and returns what it printed.
    mutating func run(_ line: String) -> [String] {
        lines = []
        isQuiet = false
        var words = line.split(separator: " ").map(String.init)
        let command = words.removeFirst()
        if words.last == "quiet" {
            isQuiet = true
            words.removeLast()
        }
        perform(command, Arguments(words))
        return lines
    }

    mutating func step(_ node: NodeID, _ input: RaftInput) {
        step(node, [input])
    }

    /// Several inputs, one flush.
    mutating func step(_ node: NodeID, _ inputs: [RaftInput]) {
        let slot = slot(node)
        guard nodes[slot].isUp else { return print("  \(node) is down") }
        let before = Before(nodes[slot].raft)
        let now = moment(node)
        for input in inputs { nodes[slot].raft.receive(input, at: now) }
        let output = nodes[slot].raft.flush(at: now)
        describe(output, node, before: before)
        nodes[slot].enqueue(output)
        for message in output.messages { send(message) }
        if !output.committed.isEmpty {
            nodes[slot].apply(output.committed)
            nodes[slot].raft.receive(.applied(nodes[slot].appliedIndex), at: now)
        }
    }

    mutating func send(_ message: RaftMessage) {
        if blocked.contains(.init(from: message.from, to: message.to))
            || !nodes.contains(where: { $0.id == message.to })
        {
            print("  lost: \(Self.describe(message))")
            return
        }
        network.append(message)
    }

    mutating func deliver(_ message: RaftMessage) {
        print(Self.describe(message))
        step(message.to, .message(message))
    }

    mutating func completeJob(_ node: NodeID) {
        let slot = slot(node)
        guard nodes[slot].isUp, !nodes[slot].jobs.isEmpty else { return }
        let job = nodes[slot].completeJob()
        print("\(node) disk holds \(Self.describe(job))")
        for message in job.messagesAfter { send(message) }
        step(node, .persisted(job.token))
    }

    /// Delivers and writes until nothing is under way.
    mutating func stabilize() {
        for _ in 0..<1000 {
            let batch = network
            network = []
            for message in batch { deliver(message) }
            var isBusy = !batch.isEmpty
            for node in nodes.map(\.id) where !heldDisks.contains(node) {
                while nodes[slot(node)].isUp, !nodes[slot(node)].jobs.isEmpty {
                    completeJob(node)
                    isBusy = true
                }
            }
            if !isBusy { return }
        }
        print("  never comes to rest")
    }

    /// Lets time pass; who is due ticks.
    mutating func advance(_ nanoseconds: Int64, delivering: Bool) {
        let end = time + nanoseconds
        for _ in 0..<10_000 {
            let due = nodes.filter(\.isUp).compactMap { node in
                node.raft.nextDeadline.map { (max(time, $0.rawValue), node.id) }
            }
            guard let next = due.min(by: { $0 < $1 }), next.0 <= end else { break }
            time = next.0
            print("@\(Self.milliseconds(time)) \(next.1) ticks")
            step(next.1, .tick)
            if delivering { stabilize() }
        }
        time = end
    }

    struct Before {
        var role: Raft.Role
        var term: Term
        var leader: NodeID?
        var commit: LogIndex
        var isQuiescent: Bool
        var membership: Membership
        init(_ raft: Raft) {
            role = raft.role
            term = raft.term
            leader = raft.leader
            commit = raft.commitIndex
            isQuiescent = raft.isQuiescent
            membership = raft.membership
        }
    }
}

/// The words of a command: plain ones in order, and `name=value` ones by name.
struct Arguments {
    var plain: [String] = []
    var named: [String: String] = [:]

    init(_ words: [String]) {
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
            if parts.count == 2 { named[parts[0]] = parts[1] } else { plain.append(word) }
        }
    }

    func node(_ position: Int) -> NodeID { NodeID(UInt32(plain[position])!) }
    func nodes(from position: Int) -> [NodeID] { plain.dropFirst(position).map { NodeID(UInt32($0)!) } }
    func number(_ name: String) -> Int? { named[name].map { Int($0)! } }
    func duration(_ name: String) -> Int64? { named[name].map(Self.nanoseconds) }

    static func nanoseconds(_ text: String) -> Int64 {
        if text.hasSuffix("ms") { return Int64(text.dropLast(2))! * 1_000_000 }
        precondition(text.hasSuffix("s"), "a duration like 20ms or 3s, not \(text)")
        return Int64(text.dropLast())! * 1_000_000_000
    }

    /// `2`, `2:eu`, `2:eu:learner`.
    static func member(_ text: String) -> Member {
        let parts = text.split(separator: ":").map(String.init)
        let role: ReplicaRole =
            switch parts.count > 2 ? parts[2] : "voter" {
            case "learner": .learner
            case "witness": .witness
            default: .voter
            }
        return Member(node: NodeID(UInt32(parts[0])!), region: Region(parts.count > 1 ? parts[1] : "eu"), role: role)
    }

    /// `1>2`; either side may be `*`.
    func link(_ position: Int) -> (NodeID?, NodeID?) {
        let parts = plain[position].split(separator: ">").map { UInt32($0).map { NodeID($0) } }
        return (parts[0], parts[1])
    }
}
