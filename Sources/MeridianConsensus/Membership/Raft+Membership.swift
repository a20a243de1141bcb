import MeridianCore

/// Changing the members (Raft §6, thesis §4): the protocol around the algebra of `Membership+Change.swift`.
///
/// A membership is in force from the moment it is appended, in every log that has it. A change that moves more than
/// one vote passes through joint consensus, which the leader leaves by itself; its outcome is reported when the last
/// entry of it is committed.
extension Raft {
    mutating func changeMembership(_ change: MembershipChange, id: ProposalID, at now: Moment) {
        if let reason = reasonToReject() {
            effects.outcomes.append(ProposalOutcome(id: id, result: .rejected(reason)))
            return
        }
        do {
            let step = try nextStep(to: change)
            let position = appendMembership(step.membership, at: now)
            effects.outcomes.append(ProposalOutcome(id: id, result: .appended(position)))
            switch step {
            case .simple: lead.proposals.append(.init(index: position.index, id: id))
            case .joint: lead.jointChange = id
            }
        } catch {
            effects.outcomes.append(ProposalOutcome(id: id, result: .rejected(.membership(error.description))))
        }
    }

    private func nextStep(to change: MembershipChange) throws(MembershipError) -> MembershipStep {
        // Without this a single-step change of a new leader may not intersect one that an older leader left in some
        // logs (Ongaro's correction of thesis §4.1, raft-dev 2015).
        guard hasCommittedInTerm else { throw MembershipError("no entry of this term is committed yet") }
        guard history.currentIndex <= commitIndex else { throw MembershipError("another change is under way") }
        return try membership.step(
            to: change, rule: change.rule ?? configuration.commitRule,
            isCaughtUp: { change.takesStragglers || isCaughtUp($0) })
    }

    /// Whether a follower's log is near enough to the leader's that it may vote.
    package func isCaughtUp(_ node: NodeID) -> Bool {
        guard role == .leader, let slot = lead.progress.slot(of: node), lead.progress[slot].state == .replicate else {
            return false
        }
        let lag = UInt64(max(0, configuration.maximumPromotionLag))
        return lead.progress[slot].counted.rawValue + lag >= commitIndex.rawValue
    }

    private mutating func appendMembership(_ membership: Membership, at now: Moment?) -> LogPosition {
        let payload = EntryPayload.membership(membership)
        let position = append(payload, byteCount: payload.byteCount)
        history.append(membership, at: position.index)
        membershipChanged(at: now)
        return position
    }

    /// The leader ends joint consensus once a quorum of both configurations has its entry.
    mutating func leaveJointIfCommitted() {
        guard role == .leader, membership.isJoint, history.currentIndex <= commitIndex, hasCommittedInTerm,
            lead.transfer == nil
        else { return }
        let position = appendMembership(membership.leavingJoint, at: nil)
        if let id = lead.jointChange {
            lead.jointChange = nil
            lead.proposals.append(.init(index: position.index, id: id))
        }
    }

    /// Finds the memberships among the entries from `index` on.
    /// - Returns: whether there was one.
    @discardableResult
    mutating func adoptMemberships(from first: LogIndex) -> Bool {
        var isFound = false
        var index = first
        while index <= log.lastIndex {
            if case .membership(let membership) = log[index].payload {
                history.append(membership, at: index)
                isFound = true
            }
            index = index.next
        }
        if isFound { renewQuorums() }
        return isFound
    }

    /// Another membership is in force.
    mutating func membershipChanged(at now: Moment?) {
        renewQuorums()
        guard role == .leader else { return }
        updateProgress(at: now)
    }

    private mutating func renewQuorums() {
        quorum = JointQuorum(membership)
        commitQuorum = CommitQuorum(rule: configuration.commitRule, membership: membership)
    }

    /// Who is new counts as just heard from, so that check-quorum gives it an election timeout to answer.
    mutating func updateProgress(at now: Moment?) {
        let contact = now?.instant ?? lead.progress.members.map(\.lastContact).max() ?? .zero
        let next = log.lastIndex.next
        let persisted = log.persisted
        lead.progress.update(to: membership) { node, isWitness in
            let inflights = Inflights(
                maximumMessages: configuration.maximumInflightMessages,
                maximumBytes: configuration.maximumInflightBytes)
            var progress = Progress(
                node: node, isWitness: isWitness, next: next, contact: contact, inflights: inflights)
            if node == configuration.node { progress.persist(persisted) }
            return progress
        }
    }
}
