import MeridianClock
import MeridianConsensus
import MeridianCore

/// A clock gone bad (DESIGN §5): how a node finds out that its own clock lies, and what it does then.
///
/// Every frame carries its sender's clock, and an echo of the last frame that came the other way, so the time that it
/// was on its way is bounded by a measurement. Twice a second the node asks `ClockAgreement` whether a majority of the
/// clocks can be right together with its own. One that is outvoted gives up its leases at once and asks for no more: it
/// leads on, serves every read through a quorum, and takes its timestamps from an interval that covers what the
/// majority says. Two polls in a row that agree bring the leases back. Nobody has to restart anything.
///
/// A clock that jumps contradicts itself, and is not believed for a moment (`ClockAgreement.admit`).
///
/// HAZARD: of one that drifts out of its bound, stands still or is wrong from the start, the lie is believed until the
/// next poll after the first honest sample, half a second each. What can break in that time is in docs/CONSISTENCY.md.
extension NodeCore {
    /// Notes that a frame came, and takes in what it says about the time.
    mutating func hear(_ frame: NodeFrame, at instant: Instant) {
        precondition(frame.to == configuration.node, "\(configuration.node) got a frame for \(frame.to)")
        // While this node did not run, frames waited for it: their clocks' readings are old, and nobody knows how old.
        let wantsClock = frame.clock != nil && !hasStalled
        guard peers.noteHeard(frame, at: instant, wantsClock: wantsClock), let clock = frame.clock else { return }
        agreement.observe(clock, from: frame.from, requestSentAt: earliestSending(of: frame, at: instant), at: instant)
    }

    /// An instant of ours before which the frame was not sent: the echoed frame went out, travelled, and was held.
    ///
    /// `nil` when nothing was echoed. An echo from before this machine was started anew is of another count of
    /// instants, which began earlier, so it seems to come from the future: it says nothing either.
    private func earliestSending(of frame: NodeFrame, at instant: Instant) -> Instant? {
        guard let echo = frame.echo, echo.heldNanoseconds >= 0 else { return nil }
        let mismeasured = agreement.configuration.drift.errorNanoseconds(over: echo.heldNanoseconds)
        let earliest = echo.sent.advanced(byNanoseconds: echo.heldNanoseconds - mismeasured)
        return earliest <= instant ? earliest : nil
    }

    /// Judges this node's clock, and takes its leases away or gives them back.
    mutating func judgeClock(at instant: Instant) {
        // By the clock's own reading: what an outvoted node goes by agrees with everybody.
        let verdict = agreement.poll(at: Moment(instant: instant, clock: ownClock))
        if verdict.finding == .agrees { vouchedTime = max(vouchedTime ?? ownClock.earliest, ownClock.earliest) }
        if agreement.mayLead != isClockTrusted { noteTrust() }
    }

    /// Takes the leases away or gives them back.
    mutating func noteTrust() {
        isClockTrusted = agreement.mayLead
        for slot in replicas.indices { replicas[slot].raft.isClockTrusted = isClockTrusted }
    }

    /// What a reading of this node's clock between two steps is worth to its clients.
    package var clockTrust: ClockTrust { agreement.trust }

    /// As of when old versions may be collected: the retention ago, on a clock that others vouch for; `nil` when there
    /// is none.
    var collectableTime: Timestamp? {
        guard isClockTrusted else { return nil }
        return vouchedTime?.advanced(byNanoseconds: -configuration.retentionNanoseconds)
    }
}
