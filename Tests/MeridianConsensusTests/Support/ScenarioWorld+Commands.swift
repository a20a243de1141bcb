import MeridianConsensus
import MeridianCore

extension ScenarioWorld {
    mutating func perform(_ command: String, _ arguments: Arguments) {
        switch command {
        case "cluster": makeCluster(arguments)
        case "cluster-reset": self = ScenarioWorld()
        case "spare": makeNode(NodeID(UInt32(arguments.plain[0])!), bootstrap: Membership(members: []))
        case "log": presetLog(arguments)
        case "campaign": step(arguments.node(0), .campaign)
        case "elect": elect(arguments.node(0))
        case "propose": propose(arguments)
        case "change": change(arguments)
        case "read":
            step(arguments.node(0), .readIndex(ReadID(rawValue: nextRead)))
            nextRead += 1
        case "reads": readSeveral(arguments)
        case "transfer": step(arguments.node(0), .transferLeadership(to: arguments.node(1)))
        case "tick": step(arguments.node(0), .tick)
        case "wake": step(arguments.node(0), .wake)
        case "unreachable": step(arguments.node(0), .unreachable(arguments.node(1)))
        case "compact": compact(arguments)
        case "advance": advance(Arguments.nanoseconds(arguments.plain[0]), delivering: false)
        case "run": advance(Arguments.nanoseconds(arguments.plain[0]), delivering: true)
        case "stabilize": stabilize()
        case "deliver": deliver(arguments)
        case "drop": drop(arguments)
        case "hold": held += take(arguments, removing: true)
        case "release":
            network += held
            held = []
        case "duplicate": network += take(arguments, removing: false)
        case "reverse": network.reverse()
        case "network": for message in network { print(Self.describe(message)) }
        case "block": setBlocked(arguments, true)
        case "unblock": setBlocked(arguments, false)
        case "isolate": for node in nodes.map(\.id) where node != arguments.node(0) { cut(node, arguments.node(0)) }
        case "heal": blocked = []
        case "disk":
            for node in arguments.nodes(from: 1) {
                if arguments.plain[0] == "hold" { heldDisks.insert(node) } else { heldDisks.remove(node) }
            }
        case "persist":
            for _ in 0..<(arguments.number("jobs") ?? nodes[slot(arguments.node(0))].jobs.count) {
                completeJob(arguments.node(0))
            }
        case "crash": nodes[slot(arguments.node(0))].crash()
        case "restart": restart(arguments.node(0))
        case "wipe": nodes[slot(arguments.node(0))].loseDisk(beginning: Incarnation(UInt64(arguments.plain[1])!))
        case "snapshot": snapshot(arguments)
        case "clock": setClock(arguments)
        case "status": for node in nodes { print(Self.status(node)) }
        case "logs": for node in nodes { print("\(node.id): " + Self.log(node)) }
        case "applied": for node in nodes { print("\(node.id): " + Self.applied(node)) }
        case "members":
            for node in nodes where node.isUp { print("\(node.id): " + Self.describe(node.raft.membership)) }
        case "progress": describeProgress(arguments.node(0))
        case "leases": describeLeases()
        case "deadline":
            let deadline = nodes[slot(arguments.node(0))].raft.nextDeadline
            print("\(arguments.node(0)): " + (deadline.map { "@\(Self.milliseconds($0.rawValue))" } ?? "none"))
        default: fatalError("no command \(command)")
        }
    }

    private mutating func makeCluster(_ arguments: Arguments) {
        options = arguments.named
        let members = arguments.plain.map(Arguments.member)
        for member in members { makeNode(member.node, bootstrap: Membership(members: members)) }
    }

    private mutating func makeNode(_ node: NodeID, bootstrap: Membership) {
        let words = Arguments(options.map { "\($0.key)=\($0.value)" })
        var configuration = RaftConfiguration(
            node: node, commitRule: Self.rule(options["rule"] ?? "majority"),
            electionTimeoutNanoseconds: words.duration("election") ?? 1_000_000_000,
            heartbeatIntervalNanoseconds: words.duration("heartbeat") ?? 100_000_000,
            leaseDurationNanoseconds: words.duration("lease") ?? 0, seed: 1)
        configuration.maximumEntriesPerMessage = words.number("entries") ?? 1024
        configuration.maximumBytesPerMessage = words.number("bytes") ?? 1 << 20
        configuration.maximumInflightMessages = words.number("inflight") ?? 256
        configuration.maximumInflightBytes = words.number("inflight-bytes") ?? 16 << 20
        configuration.maximumUncommittedBytes = words.number("uncommitted") ?? 64 << 20
        configuration.maximumPromotionLag = words.number("lag") ?? 256
        configuration.quiesceAfterNanoseconds = words.duration("quiesce") ?? 0
        if let delay = words.duration("delay\(node.rawValue)") { configuration.electionDelayNanoseconds = delay }
        if let error = words.duration("clock-error") { clockErrors[node] = error }
        nodes.append(TestNode(configuration: configuration, bootstrap: bootstrap, at: moment(node)))
    }

    private static func rule(_ text: String) -> CommitRule {
        let parts = text.split(separator: ":").map(String.init)
        return switch parts[0] {
        case "diverse": .regionDiverse(minimumRegions: Int(parts[1])!)
        case "semisync": .semiSynchronous(home: Region(parts[1]), remoteRegions: Int(parts[2])!)
        case "async": .asynchronous(home: Region(parts[1]))
        default: .majority
        }
    }

    /// Gives a node a durable log: `log 1 terms=1,1,4 term=6`.
    private mutating func presetLog(_ arguments: Arguments) {
        let slot = slot(arguments.node(0))
        let terms = (arguments.named["terms"] ?? "").split(separator: ",").map { Term(UInt64($0)!) }
        nodes[slot].disk.entries = terms.enumerated().map { offset, term in
            Entry(term: term, index: LogIndex(UInt64(offset + 1)), payload: .empty)
        }
        let term = arguments.number("term").map { Term(UInt64($0)) } ?? terms.last ?? .zero
        nodes[slot].disk.hardState = HardState(term: term)
        nodes[slot].restart(applied: .zero, at: moment(arguments.node(0)))
    }

    private mutating func elect(_ node: NodeID) {
        isQuiet = true
        step(node, .campaign)
        stabilize()
        isQuiet = false
        let raft = nodes[slot(node)].raft
        print(raft.role == .leader ? "\(node) leads \(raft.term)" : "\(node) is a \(raft.role) of \(raft.term)")
    }

    /// `propose 1 a b c`; `a*100` is a proposal of about 100 bytes.
    private mutating func propose(_ arguments: Arguments) {
        let proposals = arguments.plain.dropFirst().map { word in
            let parts = word.split(separator: "*").map(String.init)
            let id = ProposalID(rawValue: nextProposal)
            nextProposal += 1
            labels[id] = parts[0]
            let bytes = Array(repeating: UInt8(0), count: parts.count > 1 ? Int(parts[1])! : 0)
            let command = Command(
                request: RequestID(high: 0, low: id.rawValue), timestamp: .zero, closed: .zero,
                mutations: [Mutation(key: Key(Array(parts[0].utf8)), value: bytes)])
            return Proposal(id: id, payload: .command(command))
        }
        step(arguments.node(0), .propose(proposals))
    }

    private mutating func change(_ arguments: Arguments) {
        let id = ProposalID(rawValue: nextProposal)
        nextProposal += 1
        labels[id] = "change"
        let target = arguments.plain.dropFirst().map(Arguments.member)
        step(arguments.node(0), .changeMembership(MembershipChange(target: target), id))
    }

    private mutating func readSeveral(_ arguments: Arguments) {
        let inputs = (0..<Int(arguments.plain[1])!).map { offset in
            RaftInput.readIndex(ReadID(rawValue: nextRead + UInt64(offset)))
        }
        nextRead += UInt64(inputs.count)
        step(arguments.node(0), inputs)
    }

    private mutating func compact(_ arguments: Arguments) {
        let slot = slot(arguments.node(0))
        let index = LogIndex(UInt64(arguments.plain[1])!)
        nodes[slot].compact(through: index)
        step(arguments.node(0), .compact(index))
    }

    private mutating func take(_ arguments: Arguments, removing: Bool) -> [RaftMessage] {
        guard !arguments.plain.isEmpty else {
            defer { if removing { network = [] } }
            return network
        }
        let (from, to) = arguments.link(0)
        var rest = arguments.number("count") ?? .max
        let chosen = network.map { message in
            let isChosen = rest > 0 && (from == nil || from == message.from) && (to == nil || to == message.to)
            if isChosen { rest -= 1 }
            return isChosen
        }
        let taken = zip(network, chosen).filter(\.1).map(\.0)
        if removing { network = zip(network, chosen).filter { !$0.1 }.map(\.0) }
        return taken
    }

    private mutating func deliver(_ arguments: Arguments) {
        for message in take(arguments, removing: true) { deliver(message) }
    }

    private mutating func drop(_ arguments: Arguments) {
        for message in take(arguments, removing: true) { print("dropped: \(Self.describe(message))") }
    }

    private mutating func cut(_ one: NodeID, _ other: NodeID) {
        blocked.insert(.init(from: one, to: other))
        blocked.insert(.init(from: other, to: one))
    }

    private mutating func setBlocked(_ arguments: Arguments, _ isBlocked: Bool) {
        for position in arguments.plain.indices {
            let (from, to) = arguments.link(position)
            for one in nodes.map(\.id) where from == nil || from == one {
                for other in nodes.map(\.id) where other != one && (to == nil || to == other) {
                    let link = SimulatedCluster.Link(from: one, to: other)
                    if isBlocked { blocked.insert(link) } else { blocked.remove(link) }
                }
            }
        }
    }

    private mutating func restart(_ node: NodeID) {
        let slot = slot(node)
        // The state store loses nothing here unless it was a crash before the log had it.
        nodes[slot].restart(applied: nodes[slot].appliedIndex, at: moment(node))
        print(Self.status(nodes[slot]))
    }

    /// `snapshot 1>3`, with `fail` that it does not arrive, with `lost` that only the answer does not.
    private mutating func snapshot(_ arguments: Arguments) {
        let (from, to) = arguments.link(0)
        guard let from, let to else { return }
        if arguments.plain.contains("fail") { return step(from, .snapshotSent(to: to, .failed)) }
        let state = nodes[slot(from)].appliedState(at: nodes[slot(from)].appliedIndex)
        if state.position.index > nodes[slot(to)].appliedIndex {
            nodes[slot(to)].appliedEntries = nodes[slot(from)].appliedEntries
            nodes[slot(to)].checkpoint = state.position.index
        }
        print("\(to) installs a snapshot of \(state.position)")
        step(
            to, .snapshotInstalled(SnapshotMetadata(position: state.position, membership: state.membership), from: from)
        )
        print("\(from) hears that it is installed")
        step(from, .snapshotSent(to: to, .installed(state.position.index)))
    }

    private mutating func setClock(_ arguments: Arguments) {
        let node = arguments.node(0)
        if arguments.plain.contains("unknown") { clockless.insert(node) } else { clockless.remove(node) }
        if let error = arguments.duration("error") { clockErrors[node] = error }
        if let offset = arguments.duration("offset") { clockOffsets[node] = offset }
    }
}
