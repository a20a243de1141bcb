import MeridianClock
import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianTransactions

/// As of when a client can read near by: the one timestamp of a read-only transaction that may be stale.
///
/// The latest at which this node's replicas can serve without waiting. The ranges that are asked for hold it back down
/// to the bound that the client gave; others, which the transaction may read next, only while they lag as replicas
/// usually do, so that one range without a quorum does not make all reads old. Where the client's region has several
/// nodes, some rows lie on others, whose replicas can be a little behind: a heartbeat for what may be read next, two
/// where the ranges that are asked for lie there. It is also past on every clock, so that nothing is seen that a later
/// reader elsewhere could miss.
///
/// It is a choice, not a promise: each range checks for itself what it can serve.
extension NodeCore {
    func freshestTimestamp(_ question: FreshnessQuestion, at now: Moment) -> Timestamp? {
        guard now.clock.isKnown else { return nil }
        var freshest = now.clock.earliest.advanced(byNanoseconds: -1)
        let usual = freshest.advanced(byNanoseconds: -Self.usualLagNanoseconds)
        let asked = Set(question.ranges)
        for replica in replicas
        where replica.raft.membership[configuration.node]?.role != .witness && !replica.raft.isSealed {
            let usable = replica.closed.usable
            // Nobody must be led into what may be collected before it is read.
            let kept = replica.dispatched.threshold.advanced(byNanoseconds: configuration.retentionNanoseconds / 8)
            let oldest = max(question.notBefore, kept)
            let bound = asked.contains(replica.descriptor.id) ? oldest : max(oldest, usual)
            if usable >= bound { freshest = min(freshest, usable) }
        }
        freshest = freshest.advanced(byNanoseconds: -neighboursLagNanoseconds(question.ranges))
        return max(question.notBefore, freshest)
    }

    private func neighboursLagNanoseconds(_ ranges: [RangeID]) -> Int64 {
        guard let region = configuration.topology.node(configuration.node)?.region,
            configuration.topology.nodes(in: region).count > 1
        else { return 0 }
        let isElsewhere = ranges.contains { id in
            guard slots[id] == nil, let range = catalog.directory[id] else { return false }
            return range.members.contains { $0.region == region }
        }
        return isElsewhere ? 2 * Peers.keepaliveNanoseconds : Peers.keepaliveNanoseconds
    }

    private static var usualLagNanoseconds: Int64 { 1_000_000_000 }

    /// Answers for the gateway itself.
    mutating func answer(
        _ question: FreshnessQuestion, _ id: GatewayRequestID, at now: Moment, _ effects: inout StepEffects
    ) {
        let body: GatewayAnswer.Body
        if let timestamp = freshestTimestamp(question, at: now) {
            body = .read(ReadResult(timestamp: timestamp, term: .zero, pages: []))
        } else {
            body = .failed(
                MeridianError(
                    .unavailable, "\(configuration.node) has no usable clock; retry", retry: .after(.seconds(1))))
        }
        effects.node.answers.append(GatewayAnswer(id: id, body: body))
    }
}
