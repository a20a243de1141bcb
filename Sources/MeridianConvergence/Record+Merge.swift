import MeridianCore

/// Joins what two copies know of a row: the one join that there is, for merges, comparisons and reports alike.
///
/// A record is the product of lattices: cells and the writes seen (`Dots`), registers (a chain by stamps), the life (a
/// chain by stamp, then by what is settled of a deletion). Before all of these stands the erasure, also a chain: a
/// record that has not seen an erasure is below every record that has, whatever it holds (`Record.erasure`). So there
/// is no state, stripped or not, of which the join depends on the order in which copies hear of it.
///
/// No comparison of what was *seen* can stand for the join: a deletion that is stripped has seen what it had seen
/// before.
extension Record {
    /// - Parameter other: of the same row.
    /// - Returns: whether this record has changed.
    package mutating func merge(
        _ other: Record, _ shape: RecordShape, onConflict: (Conflict) -> Void = { _ in }
    ) -> Bool {
        let before = self
        guard erasure == other.erasure || Planted.isOn(.erasureForgotten) else {
            if erasure < other.erasure { self = other }
            return self != before
        }
        // Who has seen all that the other has, has overwritten it knowingly.
        let isConcurrent = !seen.covers(other.seen) && !other.seen.covers(seen)
        let report = { (conflict: Conflict) in if isConcurrent { onConflict(conflict) } }
        for position in cells.indices {
            cells[position] = merged(before, other, position, report)
        }
        mergeLife(before, other, shape, report)
        seen.merge(other.seen)
        return self != before
    }

    private func merged(
        _ mine: Record, _ other: Record, _ position: Int, _ onConflict: (Conflict) -> Void
    ) -> Cell {
        switch (mine.cells[position], other.cells[position]) {
        case (.register(let left), .register(let right)):
            if left == right { return .register(left) }
            let winner = left.merged(with: right)
            let (loser, seen) = winner == left ? (right, mine.seen) : (left, other.seen)
            // Whoever has seen the loser has overwritten it knowingly, or recorded it.
            // Also where both wrote the same: two that count to 6 have lost one.
            if winner.stamp != loser.stamp, !loser.content.isEmpty, !seen.contains(loser.stamp.dot),
                loser.stamp.dot.counter > 0
            {
                onConflict(
                    Conflict(
                        kind: .overwritten, field: position, winner: winner.stamp, loser: loser.stamp,
                        content: loser.content))
            }
            return .register(winner)
        case (.counter(let left), .counter(let right)):
            return .counter(left.merged(with: right, seen: mine.seen, otherSeen: other.seen))
        case (.set(let left), .set(let right)):
            return .set(left.merged(with: right, seen: mine.seen, otherSeen: other.seen))
        case (.siblings(let left), .siblings(let right)):
            let set = left.merged(with: right, seen: mine.seen, otherSeen: other.seen)
            guard let latest = set.siblings.last else { return .siblings(set) }
            // Not by the number of siblings: where one is new, another may have been replaced.
            for sibling in set.siblings.dropLast() where isNews(sibling.stamp, latest.stamp, mine, other) {
                onConflict(
                    Conflict(
                        kind: .kept, field: position, winner: latest.stamp, loser: sibling.stamp,
                        content: sibling.content))
            }
            return .siblings(set)
        default:
            preconditionFailure("two records of one row have cells of different kinds")
        }
    }

    /// Whether no side knew both writes.
    private func isNews(_ first: WriteStamp, _ second: WriteStamp, _ mine: Record, _ other: Record) -> Bool {
        !(mine.seen.contains(first.dot) && mine.seen.contains(second.dot))
            && !(other.seen.contains(first.dot) && other.seen.contains(second.dot))
    }

    private mutating func mergeLife(
        _ mine: Record, _ other: Record, _ shape: RecordShape, _ onConflict: (Conflict) -> Void
    ) {
        let (winner, loser) = mine.life.stamp < other.life.stamp ? (other, mine) : (mine, other)
        life = winner.life
        if mine.life.stamp == other.life.stamp { life.settled = max(mine.life.settled, other.life.settled) }
        guard winner.isAlive != loser.isAlive else { return }
        // Who deletes what it has seen may not have seen all that the row holds elsewhere: a write with an earlier
        // stamp leaves no trace in the life.
        let isNews = !winner.seen.contains(loser.life.stamp.dot) || (loser.isAlive && cells != winner.cells)
        guard isNews else { return }
        onConflict(
            Conflict(
                kind: winner.isAlive ? .revived : .deleted, field: nil, winner: winner.life.stamp,
                loser: loser.life.stamp, content: winner.isAlive ? [] : loser.row(shape)))
    }
}
