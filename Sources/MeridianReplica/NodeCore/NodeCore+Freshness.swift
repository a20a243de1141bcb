import MeridianClock
import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianTransactions

/// As of when a client can read near by: the one timestamp of a read-only transaction that may be stale.
///
/// The latest at which this node's replicas can serve without waiting. The ranges that are asked for hold it back down to
/// the bound that the client gave; others, which the transaction may read next, only while they lag as replicas usually
/// do, so that one range without a quorum does not make all reads old. Where the client's region has several nodes, some
/// of the rows lie on others, whose replicas can be one heartbeat behind. It is also past on every clock, so that nothing
/// is seen that a later reader elsewhere could miss.
///
/// It is a choice, not a promise: each range checks for itself what it can serve.
extension NodeCore {
    func freshestTimestamp(_ question: FreshnessQuestion, at now: Moment) -> Timestamp? {
        guard now.clock.isKnown else { return nil }
        var freshest = now.clock.earliest.advanced(byNanoseconds: -1)
        let usual = freshest.advanced(byNanoseconds: -Self.usualLagNanoseconds)
        let asked = Set(question.ranges)
        for replica in replicas where replica.raft.membership[configuration.node]?.role != .witness {
            let usable = replica.closed.usable
            let bound = asked.contains(replica.descriptor.id) ? question.notBefore : max(question.notBefore, usual)
            if usable >= bound { freshest = min(freshest, usable) }
        }
        if hasNeighbours { freshest = freshest.advanced(byNanoseconds: -Peers.keepaliveNanoseconds) }
        return max(question.notBefore, freshest)
    }

    private var hasNeighbours: Bool {
        guard let region = configuration.topology.node(configuration.node)?.region else { return false }
        return configuration.topology.nodes(in: region).count > 1
    }

    private static var usualLagNanoseconds: Int64 { 1_000_000_000 }

    /// Answers for the gateway itself.
    mutating func answer(
        _ question: FreshnessQuestion, _ id: GatewayRequestID, at now: Moment, _ effects: inout StepEffects
    ) {
        let body: GatewayAnswer.Body
        if let timestamp = freshestTimestamp(question, at: now) {
            body = .read(ReadResult(timestamp: timestamp, term: .zero, rows: []))
        } else {
            body = .failed(
                MeridianError(
                    .unavailable, "\(configuration.node) has no usable clock; retry", retry: .after(.seconds(1))))
        }
        effects.node.answers.append(GatewayAnswer(id: id, body: body))
    }
}
