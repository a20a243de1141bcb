import MeridianCore

/// Where inputs come in.
extension Raft {
    /// Takes an input in. Effects gather until `flush`, so that many inputs cost one write and one message a peer.
    package mutating func receive(_ input: RaftInput, at now: Moment) {
        observe(now)
        switch input {
        case .tick:
            tick(at: now)
        case .message(let message):
            receive(message, at: now)
        case .propose(let proposals):
            wake(at: now)
            propose(proposals)
        case .upkeep(let payload):
            if isQuiescent { wake(at: now) }
            if reasonToReject() == nil { append(payload, byteCount: payload.byteCount) }
        case .changeMembership(let change, let id):
            wake(at: now)
            changeMembership(change, id: id, at: now)
        case .readIndex(let id):
            wake(at: now)
            readIndex(id)
        case .persisted(let token):
            persisted(token, at: now)
        case .applied(let index):
            applied(index)
        case .compact(let index):
            compact(through: index)
        case .transferLeadership(let target):
            wake(at: now)
            transferLeadership(to: target, at: now)
        case .campaign:
            wake(at: now)
            campaign(at: now)
        case .snapshotSent(let follower, let result):
            snapshotSent(to: follower, result)
        case .snapshotInstalled(let metadata, let sender):
            snapshotInstalled(metadata, from: sender, at: now)
        case .unreachable(let node):
            unreachable(node)
        case .wake:
            wake(at: now)
        }
    }

    /// One input, and its effects.
    package mutating func step(_ input: RaftInput, at now: Moment) -> RaftOutput {
        receive(input, at: now)
        return flush(at: now)
    }

    mutating func observe(_ now: Moment) {
        promise.resolve(at: now)
        if now.clock.isKnown { highestTimestamp = max(highestTimestamp, now.clock.latest) }
    }

    /// Terms first (Raft §5.1): a newer one is adopted, an older one is answered with ours, and only then the
    /// message counts.
    private mutating func receive(_ message: RaftMessage, at now: Moment) {
        precondition(message.to == configuration.node, "\(configuration.node) got a message for \(message.to)")
        precondition(message.from != configuration.node, "\(configuration.node) got a message from itself")
        if isQuiescent, ends(quiescenceFor: message) { wake(at: now) }
        if case .requestVote(let request) = message.body {
            receive(request, message, at: now)
            return
        }
        if case .recoveryCall(let incarnation) = message.body {
            receiveRecoveryCall(incarnation, message, at: now)
            return
        }
        if case .vote(let answer) = message.body, answer.isPreVote, answer.isGranted || message.term <= term {
            // A granted pre-vote bears the term that was asked for, which nobody has entered.
            receivePreVote(answer, message, at: now)
            return
        }
        if message.term > term {
            becomeFollower(term: message.term, leader: message.isFromLeader ? message.from : nil, at: now)
        } else if message.term < term {
            if message.isFromLeader { tellNewerTerm(to: message) }
            return
        }
        switch message.body {
        case .requestVote, .recoveryCall:
            preconditionFailure("answered before terms are compared: \(message.body)")
        case .vote(let answer):
            receiveVote(answer, message, at: now)
        case .append(let append):
            receive(append, message, at: now)
        case .appendReply(let reply):
            receive(reply, message, at: now)
        case .heartbeat(let heartbeat):
            receive(heartbeat, message, at: now)
        case .heartbeatReply(let reply):
            receive(reply, message, at: now)
        case .timeoutNow(let order):
            receive(order, message, at: now)
        }
    }

    /// A leader of an older term must learn that it is deposed; nobody else may need to (etcd raft: without this a
    /// node that voted in a newer term could never rejoin, since it takes nothing from the old leader).
    private mutating func tellNewerTerm(to message: RaftMessage) {
        let hint = LogPosition(term: log.term(at: commitIndex)!, index: commitIndex)
        send(
            .appendReply(.init(result: .rejected(previous: .zero, hint: hint), lease: nil, life: life)),
            to: message.from)
    }

    /// To be sent with the next flush, whatever the disk does.
    mutating func send(_ body: RaftMessage.Body, to node: NodeID, term other: Term? = nil) {
        precondition(node != configuration.node, "\(node) sends to itself")
        effects.messages.append(
            RaftMessage(from: configuration.node, to: node, term: other ?? term, body: body))
    }
}

extension RaftMessage {
    /// Only a leader sends these, so their term has one, and it is the sender.
    var isFromLeader: Bool {
        switch body {
        case .append, .heartbeat, .timeoutNow: true
        case .requestVote, .vote, .appendReply, .heartbeatReply, .recoveryCall: false
        }
    }
}
