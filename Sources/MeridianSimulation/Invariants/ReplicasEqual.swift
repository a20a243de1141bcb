import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianRuntime

/// Replicas that have applied the same index hold the same rows, byte for byte: the state machine is deterministic and
/// nothing is lost between the log and the rows (etcd's corruption checks, and its bugs of 2022, are why: #13766).
///
/// Looking at every row costs time, so it is done now and then and at the end of a run. Old versions are collected at
/// different times, so the newest are compared, and those that reads at the threshold of collection and a little later
/// show. What is remembered
/// of requests belongs to the state as well: the newest of them are asked for.
final class ReplicasEqual: Invariant {
    static let name = "replicas are equal at an equal index"
    static let interest: Interest = .commits

    private var requests: [RangeID: [RequestID]] = [:]
    private static let rememberedRequests = 32

    func check(_ step: StepView, _ effects: borrowing NodeEffects, _ ledger: Ledger) -> String? {
        for (range, _, indexes) in ledger.news {
            for index in indexes {
                guard let id = ledger.entry(range, LogIndex(index))?.request else { continue }
                requests[range, default: []].append(id)
            }
            let surplus = (requests[range]?.count ?? 0) - Self.rememberedRequests
            if surplus > 0 { requests[range]?.removeFirst(surplus) }
        }
        return nil
    }

    func compare(_ engine: Engine) -> String? {
        var seen: [RangeID: [(position: LogPosition, node: NodeID, fingerprint: UInt64)]] = [:]
        let recent = engine.trueTime.advanced(byNanoseconds: -5_000_000_000)
        for node in engine.nodes {
            guard let core = node.core, let shell = node.shell, shell.state.isApplied else { continue }
            let state = shell.state.store
            guard let states = try? state.load() else { continue }
            for replica in core.replicas
            where core.slot(of: replica.descriptor.id) != nil && replica.raft.membership[node.id]?.role != .witness {
                let range = replica.descriptor.id
                guard let applied = states[range], applied.position.index > .zero,
                    let reader = try? state.makeReader()
                else { continue }
                let position = applied.position
                var hash = EventHash()
                hash.mix(UInt64(bitPattern: applied.threshold.rawValue))
                for timestamp in [Timestamp.distantFuture, max(recent, applied.threshold), applied.threshold] {
                    guard
                        let rows = try? reader.scan(
                            replica.descriptor.span, at: timestamp, limit: .max, byteLimit: .max)
                    else { return "\(range): the rows of \(node.id) cannot be read" }
                    for row in rows {
                        hash.mix(row.key.bytes)
                        hash.mix(UInt64(bitPattern: row.version.timestamp.rawValue))
                        hash.mix(row.version.value ?? [])
                    }
                }
                for request in requests[range] ?? [] {
                    let outcome = try? reader.outcome(of: request, in: range)
                    hash.mix(outcome?.index.rawValue ?? 0)
                    hash.mix(UInt64(bitPattern: outcome?.timestamp.rawValue ?? 0))
                }
                if let other = seen[range]?.first(where: { $0.position == position && $0.fingerprint != hash.value }) {
                    return "\(range): \(other.node) and \(node.id) hold other rows at \(position)"
                }
                seen[range, default: []].append((position, node.id, hash.value))
            }
        }
        return nil
    }
}
