import MeridianConsensus
import MeridianCore
import MeridianReplica
import MeridianRuntime

/// If two logs contain an entry with the same index and term, then the logs are identical in all entries up through
/// the given index (Raft, figure 3: Log Matching; §5.3). Checked where entries are written: the same place holds the
/// same command, behind an entry of the same term.
final class LogMatching: Invariant {
    static let name = "log matching"
    static let interest: Interest = .logWrites

    private struct Place: Hashable {
        var range: RangeID
        var position: UInt64
        var term: Term
    }

    private struct Content: Equatable {
        var previous: Term
        /// Zero for an entry without a command: a witness keeps none.
        var fingerprint: UInt64
    }

    private var contents: [Place: Content] = [:]

    func check(_ step: StepView, _ effects: borrowing NodeEffects, _ ledger: Ledger) -> String? {
        let core = step.core
        for write in effects.log.writes {
            guard let first = write.entries.first, let slot = core.slot(of: write.range) else { continue }
            var previous = core.replicas[slot].raft.term(at: first.index.previous)
            for entry in write.entries {
                defer { previous = entry.term }
                guard let before = previous else { continue }
                var fingerprint: UInt64 = 0
                if case .command(let command) = entry.payload { fingerprint = command.fingerprint }
                let place = Place(range: write.range, position: entry.index.rawValue, term: entry.term)
                guard let known = contents[place] else {
                    contents[place] = Content(previous: before, fingerprint: fingerprint)
                    continue
                }
                if known.previous != before {
                    return "\(write.range): \(entry.position) follows \(known.previous) in one log and \(before) in "
                        + "that of \(step.node.id)"
                }
                if known.fingerprint == 0 { contents[place]?.fingerprint = fingerprint }
                if known.fingerprint != 0, fingerprint != 0, known.fingerprint != fingerprint {
                    return "\(write.range): \(entry.position) holds another command at \(step.node.id)"
                }
            }
        }
        return nil
    }
}
