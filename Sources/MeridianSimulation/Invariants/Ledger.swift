import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianRuntime

/// What has been committed, as the world saw it first: the yardstick of several invariants.
final class Ledger {
    struct Committed {
        var term: Term
        /// Zero where the entry carries no command.
        var fingerprint: UInt64 = 0
        var request: RequestID?
        var timestamp: Timestamp?
        var closed: Timestamp?
        /// It forbids an attempt of a transaction, which may be done more than once.
        var isAbortion = false
    }

    struct Range {
        /// The entries from index 1 on; those not seen yet are `nil`.
        var entries: [Committed?] = []
        var highest = LogPosition.zero
        /// The history that these are of: the latest that was seen.
        var generation = Generation.first
    }

    private(set) var ranges: [RangeID: Range] = [:]
    /// What the present step has committed for the first time.
    private(set) var news: [(range: RangeID, slot: Int, indexes: ClosedRange<UInt64>)] = []
    private(set) var conflict: String?

    func highest(_ range: RangeID) -> LogPosition { ranges[range]?.highest ?? .zero }
    func entry(_ range: RangeID, _ index: LogIndex) -> Committed? {
        guard let entries = ranges[range]?.entries, index.rawValue > 0, index.rawValue <= entries.count else {
            return nil
        }
        return entries[Int(index.rawValue) - 1]
    }

    /// Takes in what a node applies, which is what it takes for committed.
    func observe(_ step: StepView, _ effects: borrowing NodeEffects) {
        if !news.isEmpty { news.removeAll(keepingCapacity: true) }
        for batch in effects.applies { observe(batch, step) }
    }

    private func observe(_ batch: ApplyBatch, _ step: StepView) {
        let core = step.core
        guard let slot = core.slot(of: batch.range) else { return }
        var known = ranges.removeValue(forKey: batch.range) ?? Range()
        let last = batch.state.position.index.rawValue
        let fork = core.replicas[slot].descriptor.seed?.fork
        let generation = batch.state.position.term.generation
        if generation > known.generation, let fork {
            // What the earlier history has behind the fork is not part of this one.
            known.generation = generation
            if known.entries.count > fork.index.rawValue {
                known.entries.removeLast(known.entries.count - Int(fork.index.rawValue))
            }
            if known.highest.index > fork.index { known.highest = fork }
        } else if generation < known.generation, core.replicas[slot].generation < known.generation {
            ranges[batch.range] = known
            return
        }
        let before = known.highest.index.rawValue
        var previous = LogIndex.zero
        for indexed in batch.commands {
            // The anchor's commit has a second effect at the same index, which follows from the first.
            defer { previous = indexed.index }
            if indexed.index == previous { continue }
            let place = Int(indexed.index.rawValue) - 1
            while known.entries.count <= place { known.entries.append(nil) }
            let fingerprint = indexed.command.fingerprint
            if let first = known.entries[place] {
                if first.fingerprint != 0, first.fingerprint != fingerprint, conflict == nil {
                    conflict = "\(batch.range): \(step.node.id) applies another command at \(indexed.index)"
                }
                continue
            }
            known.entries[place] = Committed(
                term: core.replicas[slot].raft.term(at: indexed.index) ?? .zero, fingerprint: fingerprint,
                request: indexed.command.request, timestamp: indexed.command.timestamp, closed: indexed.command.closed,
                isAbortion: indexed.command.step?.kind == .abort)
        }
        if last > before {
            news.append((batch.range, slot, (before + 1)...last))
            known.highest = batch.state.position
        }
        ranges[batch.range] = known
    }
}

extension Command {
    /// Equal for equal commands; never zero.
    var fingerprint: UInt64 {
        var hash = EventHash()
        hash.mix(request.high)
        hash.mix(request.low)
        hash.mix(UInt64(bitPattern: timestamp.rawValue))
        hash.mix(UInt64(bitPattern: closed.rawValue))
        for mutation in mutations {
            hash.mix(mutation.key.bytes)
            if let value = mutation.value { hash.mix(value) } else { hash.mix(UInt64.max) }
        }
        return hash.value | 1
    }
}

extension EventHash {
    /// Bytes, eight at a time.
    mutating func mix(_ bytes: [UInt8]) {
        mix(UInt64(bytes.count))
        bytes.withUnsafeBytes { buffer in
            var offset = 0
            while offset + 8 <= buffer.count {
                mix(UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
                offset += 8
            }
            var rest: UInt64 = 0
            while offset < buffer.count {
                rest = rest << 8 | UInt64(buffer[offset])
                offset += 1
            }
            mix(rest)
        }
    }
}
