import MeridianConsensus
import MeridianCore

/// How a scenario's output names things: positions are `index/term`, times are milliseconds.
extension ScenarioWorld {
    static func milliseconds(_ nanoseconds: Int64) -> String {
        if nanoseconds % 1_000_000 == 0 { return "\(nanoseconds / 1_000_000)ms" }
        return "\(nanoseconds / 1_000_000)+ms"
    }

    static func position(_ position: LogPosition) -> String { "\(position.index.rawValue)/\(position.term.rawValue)" }

    static func describe(_ entries: [Entry]) -> String {
        guard entries.count > 6 else { return "[" + entries.map(describe).joined(separator: ", ") + "]" }
        return "[" + describe(entries[0]) + " ... " + describe(entries[entries.count - 1]) + ": \(entries.count)]"
    }

    static func describe(_ entry: Entry) -> String {
        switch entry.payload {
        case .empty: "\(position(entry.position)) -"
        case .membership(let membership): "\(position(entry.position)) \(describe(membership))"
        case .readmission(let node, let life): "\(position(entry.position)) readmits \(node) \(life)"
        case .collect(let threshold): "\(position(entry.position)) collects below \(threshold)"
        case .compare: "\(position(entry.position)) compares"
        case .command(let command):
            "\(position(entry.position)) \(String(decoding: command.mutations.first?.key.bytes ?? [], as: UTF8.self))"
        }
    }

    static func describe(_ membership: Membership) -> String {
        let members = membership.members.map { member in
            let mark =
                switch member.role {
                case .voter: ""
                case .learner: " learner"
                case .witness: " witness"
                }
            return "\(member.node)\(mark)"
        }
        let leaving = membership.outgoing.map { "\($0.node)" }
        return "{" + members.joined(separator: ", ") + (leaving.isEmpty ? "" : " | " + leaving.joined(separator: ", "))
            + "}"
    }

    static func describe(_ message: RaftMessage) -> String {
        "\(message.from)>\(message.to) \(message.term) " + describe(message.body)
    }

    private static func lease(_ lease: Timestamp?) -> String {
        lease.map { " lease \(milliseconds($0.rawValue))" } ?? ""
    }

    private static func describe(_ body: RaftMessage.Body) -> String {
        switch body {
        case .requestVote(let request):
            return "\(request.isPreVote ? "pre-vote?" : "vote?") last \(position(request.last))"
                + (request.isTransfer ? " transfer" : "")
        case .vote(let vote):
            return (vote.isPreVote ? "pre-vote " : "vote ") + (vote.isGranted ? "granted" : "refused")
        case .append(let append):
            return
                "append after \(position(append.previous)) \(describe(append.entries)) commit \(append.commit.rawValue)"
                + lease(append.lease)
        case .appendReply(let reply):
            switch reply.result {
            case .accepted(let index): return "accepted \(index.rawValue)" + lease(reply.lease)
            case .rejected(let previous, let hint):
                return "rejected \(previous.rawValue), try \(position(hint))" + lease(reply.lease)
            }
        case .heartbeat(let heartbeat):
            return "heartbeat commit \(heartbeat.commit.rawValue)" + lease(heartbeat.lease)
                + (heartbeat.readRound > 0 ? " round \(heartbeat.readRound)" : "")
                + (heartbeat.quiesce ? " quiesce" : "")
        case .heartbeatReply(let reply):
            return "heartbeat reply" + lease(reply.lease) + (reply.readRound > 0 ? " round \(reply.readRound)" : "")
        case .recoveryCall(let life): return "lost its disk \(life)"
        case .timeoutNow(let order):
            return "campaign now, floor \(milliseconds(order.floor.rawValue))"
        }
    }

    static func describe(_ job: PersistJob) -> String {
        var parts = ["#\(job.token.rawValue)"]
        if let state = job.hardState { parts.append("\(state.term) vote \(state.vote?.description ?? "none")") }
        if let reset = job.reset { parts.append("log reset to \(position(reset))") }
        if !job.entries.isEmpty { parts.append(describe(job.entries)) }
        return parts.joined(separator: ", ")
    }

    mutating func describe(_ output: RaftOutput, _ node: NodeID, before: Before) {
        let raft = nodes[slot(node)].raft
        if raft.role != before.role || raft.term != before.term
            || (raft.leader != before.leader && raft.role == .follower)
        {
            let leader = raft.role == .follower ? ", leader \(raft.leader?.description ?? "none")" : ""
            print("  \(node) is \(raft.role) in \(raft.term)\(leader)")
        }
        if raft.membership != before.membership { print("  \(node) has members \(Self.describe(raft.membership))") }
        if raft.isQuiescent != before.isQuiescent { print("  \(node) \(raft.isQuiescent ? "falls silent" : "wakes")") }
        if raft.commitIndex != before.commit { print("  \(node) commits up to \(raft.commitIndex.rawValue)") }
        for outcome in output.outcomes {
            if case .appended = outcome.result { continue }
            print("  \(node) answers \(labels[outcome.id] ?? "?"): \(Self.describe(outcome.result))")
        }
        for read in output.reads {
            switch read.result {
            case .confirmed(let index): print("  \(node) answers read \(read.id.rawValue): at \(index.rawValue)")
            case .rejected(let leader):
                print(
                    "  \(node) answers read \(read.id.rawValue): rejected, leader \(leader?.description ?? "unknown")")
            }
        }
        for follower in output.snapshotsWanted { print("  \(node) wants a snapshot for \(follower)") }
    }

    private static func describe(_ result: ProposalOutcome.Result) -> String {
        switch result {
        case .appended(let at): return "appended \(position(at))"
        case .committed(let at): return "committed \(position(at))"
        case .unknown: return "unknown"
        case .rejected(.notLeader(let leader)): return "rejected, leader \(leader?.description ?? "unknown")"
        case .rejected(.transferring(let target)): return "rejected, transferring to \(target)"
        case .rejected(.tooManyUncommittedBytes): return "rejected, too many uncommitted bytes"
        case .rejected(.membership(let why)): return "rejected: \(why)"
        case .rejected(.replaced): return "rejected, replaced"
        }
    }

    static func status(_ node: TestNode) -> String {
        guard node.isUp else { return "\(node.id): down" }
        let raft = node.raft
        return "\(node.id): \(raft.role) \(raft.term) leader \(raft.leader?.description ?? "none") "
            + "commit \(raft.commitIndex.rawValue) last \(position(raft.lastPosition))"
            + (raft.isQuiescent ? " quiescent" : "") + (raft.isRecovering ? " recovering" : "")
    }

    static func log(_ node: TestNode) -> String {
        let raft = node.raft
        var terms: [String] = []
        var index = raft.basePosition.index.next
        while index <= raft.lastPosition.index {
            terms.append("\(raft.term(at: index)!.rawValue)")
            index = index.next
        }
        return "after \(position(raft.basePosition)) terms " + terms.joined(separator: " ")
    }

    static func applied(_ node: TestNode) -> String { node.appliedEntries.map(describe).joined(separator: ", ") }

    mutating func describeProgress(_ node: NodeID) {
        for peer in nodes[slot(node)].raft.peers where peer.node != node {
            print(
                "\(peer.node): \(peer.state)\(peer.isPaused ? " paused" : "") match \(peer.match.rawValue) "
                    + "next \(peer.next.rawValue) inflight \(peer.inflightMessages) messages")
        }
    }

    mutating func describeLeases() {
        print("true time \(Self.milliseconds(time))")
        for node in nodes where node.isUp {
            let lease = node.raft.leaseExpiration.map { Self.milliseconds($0.rawValue) } ?? "none"
            let promise = node.raft.promisedUntil.map { Self.milliseconds($0.rawValue) } ?? "none"
            let holds = node.raft.leaseExpiration.map { moment(node.id).clock.latest < $0 } ?? false
            print("\(node.id): promised until \(promise), lease \(lease)" + (holds ? ", valid" : ""))
        }
    }
}
