import MeridianClock
import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianTransactions

/// Leases and closed timestamps of quiescent ranges, by one message for each pair of nodes instead of one for each
/// range.
///
/// A quiescent range sends no heartbeats, so its leases would run out, and without a lease nothing can be closed: idle
/// rows would be the ones that cannot be read near by. Five times a second a node tells each other node which quiescent
/// ranges it leads there, what is closed in them, and until when it asks for leases. Both sides do for each range what
/// a heartbeat and its answer do; only the list is sent when it has changed alone, and named by its digest otherwise.
///
/// Promises: a lease is counted only for ranges that the answer stands for: the receiver made the promise in exactly
/// the ranges of the list of that digest, except those that it names. Nothing is inferred from a range's silence.
///
/// A range with a lease serves strong reads without waking. What wakes a quiescent range is as before
/// (`Raft+Heartbeat`).
struct QuietPeers: Sendable {
    struct Sent: Sendable {
        var ranges: [QuietRanges.Range]
        /// Where their replicas stand here.
        var slots: [Int]
        var digest: UInt64
        var isKnown = false
    }

    struct Heard: Sendable {
        var digest: UInt64
        var ranges: [QuietRanges.Range]
        /// Where their replicas stand here, if there are any.
        var slots: [Int?]
    }

    /// What each peer was sent last.
    var sent: [NodeID: Sent] = [:]
    /// What each peer has sent last.
    var heard: [NodeID: Heard] = [:]
    var nextRound: Instant = .zero

    /// Nodes are stepped for their keepalives, so a round comes when the next of these does.
    static let intervalNanoseconds = ClusterTiming.quietIntervalNanoseconds
}

extension NodeCore {
    mutating func tellQuietRanges(at now: Moment, _ effects: inout StepEffects) {
        guard now.instant >= quiet.nextRound else { return }
        quiet.nextRound = now.instant.advanced(byNanoseconds: QuietPeers.intervalNanoseconds)
        guard now.clock.isKnown else { return }
        let closed = now.clock.latest
        var lists: [(peer: NodeID, ranges: [QuietRanges.Range], slots: [Int])] = []
        var unclosed: [RangeID] = []
        for slot in replicas.indices where replicas[slot].raft.isQuiescent && replicas[slot].isServing {
            guard let lease = replicas[slot].raft.renewLease(at: now) else { continue }
            if !replicas[slot].close(exactly: closed) { unclosed.append(replicas[slot].descriptor.id) }
            let range = QuietRanges.Range(
                range: replicas[slot].descriptor.id, position: replicas[slot].raft.lastPosition,
                term: replicas[slot].raft.term,
                leaseNanoseconds: lease.rawValue - now.clock.earliest.rawValue)
            for member in replicas[slot].raft.membership.members where member.node != configuration.node {
                if let place = lists.firstIndex(where: { $0.peer == member.node }) {
                    lists[place].ranges.append(range)
                    lists[place].slots.append(slot)
                } else {
                    lists.append((member.node, [range], [slot]))
                }
            }
        }
        for (peer, ranges, slots) in lists {
            let digest = ranges.digest
            let isKnown = quiet.sent[peer].map { $0.digest == digest && $0.isKnown } ?? false
            quiet.sent[peer] = QuietPeers.Sent(ranges: ranges, slots: slots, digest: digest, isKnown: isKnown)
            let message = QuietRanges(
                digest: digest, ranges: isKnown ? nil : ranges, base: now.clock.earliest, closed: closed,
                unclosed: unclosed)
            effects.send(.quiet(message), to: peer)
        }
    }

    mutating func receive(
        _ message: QuietRanges, from sender: NodeID, at now: Moment, _ effects: inout StepEffects
    ) {
        if let ranges = message.ranges {
            quiet.heard[sender] = QuietPeers.Heard(
                digest: message.digest, ranges: ranges, slots: ranges.map { slots[$0.range] })
        }
        var reply = QuietRangesReply(digest: message.digest, base: message.base, refused: [], isUnknown: false)
        guard let heard = quiet.heard[sender], heard.digest == message.digest else {
            reply.isUnknown = true
            effects.send(.quietReply(reply), to: sender)
            return
        }
        for (range, slot) in zip(heard.ranges, heard.slots) {
            // The replica may have departed, or gone on in another generation, since the list came.
            guard let slot, replicas[slot].descriptor.id == range.range, replicas[slot].accepts(range.term) else {
                reply.refused.append(range.range)
                continue
            }
            let lease = message.base.advanced(byNanoseconds: range.leaseNanoseconds)
            if !replicas[slot].raft.acceptLease(lease, of: sender, in: range.term, at: now) {
                reply.refused.append(range.range)
            }
            if !message.unclosed.isEmpty, message.unclosed.contains(range.range) { continue }
            let promise = ClosedTimestamp(timestamp: message.closed, position: range.position)
            replicas[slot].noteClosed(promise, at: now, &effects)
            // A read that was waiting for it may now wait for the clock, or has its rows looked up.
            if !replicas[slot].local.waiting.isEmpty { markDirty(slot) }
        }
        effects.send(.quietReply(reply), to: sender)
    }

    mutating func receive(_ reply: QuietRangesReply, from sender: NodeID) {
        guard let sent = quiet.sent[sender], sent.digest == reply.digest else { return }
        quiet.sent[sender]?.isKnown = !reply.isUnknown
        guard !reply.isUnknown else { return }
        for (range, slot) in zip(sent.ranges, sent.slots) {
            if !reply.refused.isEmpty, reply.refused.contains(range.range) { continue }
            guard replicas[slot].descriptor.id == range.range else { continue }
            let lease = reply.base.advanced(byNanoseconds: range.leaseNanoseconds)
            replicas[slot].raft.noteLease(lease, of: sender, in: range.term)
        }
    }
}
