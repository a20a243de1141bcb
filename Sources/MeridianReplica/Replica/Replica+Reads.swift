import MeridianClock
import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianTransactions

/// Strong reads: under a lease without asking anybody, otherwise when their timestamp is past, after a round of
/// ReadIndex.
extension Replica {
    /// The latches of a read are granted: nothing at or below its timestamp is under way on its keys.
    mutating func serve(
        _ read: ReadRequest, at timestamp: Timestamp, _ ticket: Latches.Ticket, now: Moment,
        _ effects: inout StepEffects
    ) {
        // No later commit may slip in below what is read.
        allocator.observeRead(timestamp)
        raft.noteTimestamp(timestamp)
        if hasLease(at: now), let expiration = raft.leaseExpiration,
            timestamp <= expiration || Planted.isOn(.leaseNeverEnds)
        {
            evaluate(read, at: timestamp, ticket, &effects)
            return
        }
        // Without a lease another leader may be elected at any time, and it assigns what its clock says, which can lie
        // below a timestamp that is still future somewhere. So the timestamp passes first, and only then a quorum is
        // asked: whoever is elected after that round began assigns above it.
        guard now.clock.earliest > timestamp else {
            let token = nextProposal
            nextProposal += 1
            serving?.future[token] = ticket
            commitWait.insert(timestamp, token)
            return
        }
        guard var serving else { return }
        let id = ReadID(rawValue: serving.nextReadID)
        serving.nextReadID += 1
        serving.unconfirmed[id] = ticket
        self.serving = serving
        raft.receive(.readIndex(id), at: now)
    }

    /// Whether reads need no quorum. HAZARD: it rests on this node's `latest`; see MeridianClock.
    func hasLease(at now: Moment) -> Bool {
        guard now.clock.isKnown, let expiration = raft.leaseExpiration else { return false }
        return now.clock.latest < expiration || Planted.isOn(.leaseNeverEnds)
    }

    private mutating func evaluate(
        _ read: ReadRequest, at timestamp: Timestamp, _ ticket: Latches.Ticket, _ effects: inout StepEffects
    ) {
        effects.evaluate(
            Evaluation(
                range: descriptor.id, mark: descriptor.span.lower, ticket: ticket, term: raft.term,
                body: .read(read.operations, at: timestamp, read.preconditions, lookUp: read.lookUp),
                pageLimits: pageLimits))
    }

    mutating func confirmed(_ outcome: ReadOutcome, at now: Moment, _ effects: inout StepEffects) {
        guard let ticket = serving?.unconfirmed.removeValue(forKey: outcome.id) else { return }
        switch outcome.result {
        case .confirmed(let index):
            if appliedIndex >= index {
                serveConfirmed(ticket, &effects)
            } else {
                serving?.awaitingApply.append((index, ticket))
            }
        case .rejected:
            guard let served = serving?.requests[ticket] else { return }
            finishRead(notLeaseholder, served, ticket: ticket, at: now, &effects)
        }
    }

    mutating func serveAppliedReads(at now: Moment, _ effects: inout StepEffects) {
        guard let waiting = serving?.awaitingApply, !waiting.isEmpty else { return }
        serving?.awaitingApply = waiting.filter { $0.index > appliedIndex }
        for element in waiting where element.index <= appliedIndex { serveConfirmed(element.ticket, &effects) }
    }

    private mutating func serveConfirmed(_ ticket: Latches.Ticket, _ effects: inout StepEffects) {
        guard let served = serving?.requests[ticket], case .read(let read, let timestamp) = served.body else { return }
        evaluate(read, at: timestamp, ticket, &effects)
    }

    mutating func finishRead(
        _ body: RangeReply.Body, _ served: Serving.Served, ticket: Latches.Ticket, at now: Moment,
        _ effects: inout StepEffects
    ) {
        serving?.requests[ticket] = nil
        let body = isAuthorized(at: now) ? body : notLeaseholder
        effects.reply(body, to: served.address, range: descriptor.id)
        release(ticket, at: now, &effects)
    }
}
