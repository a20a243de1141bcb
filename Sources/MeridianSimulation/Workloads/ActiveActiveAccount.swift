import Meridian
import MeridianCore

/// One write of the table of columns.
struct MixedChange: Sendable {
    /// What a column became, and what its writer had seen there.
    struct Replacement: Sendable {
        var new: String
        var priors: [String]
    }

    var witness: Int
    /// The writes that it had seen.
    var seen: Set<Int> = []
    var visits = 0
    var total = 0
    var text: Replacement?
    var note: Replacement?
    /// A tag that was not in the set.
    var added: Int?
    /// A tag that was.
    var removed: Int?
    var isAcknowledged = false

    init(witness: Int) { self.witness = witness }

    mutating func noteNew(_ row: MixedRow) {
        (visits, total) = (row.visits, row.total)
        text = .init(new: row.text, priors: [])
        note = .init(new: row.note, priors: [])
    }
}

/// One write of the table of whole rows.
struct WholeChange: Sendable {
    /// `nil` for a deletion.
    var value: String?
    /// What the writer had seen; `nil` where the row was not there.
    var prior: String?
    var isAcknowledged = false
}

/// What clients of active-active tables were told, what the copies hold in the end, and whether the one follows from
/// the other:
///
/// - every acknowledged write is in its row (its witness is);
/// - a counter is the sum of the changes that happened;
/// - a tag is in the set if some addition of it was not seen by any removal, and only then;
/// - of a register, each acknowledged value is the final one, or was replaced by a writer who had seen it, or stands
///   among the conflicts; and the final one was not replaced so;
/// - of siblings, those are left that nobody who had seen them has replaced.
///
/// Only the world's thread uses it.
final class ActiveActiveAccount: @unchecked Sendable {
    struct Proof: Sendable {
        var token: CausalToken
        var key: RowName
        var witness: Int
    }

    var mixed: [RowName: [MixedChange]] = [:]
    var whole: [RowName: [WholeChange]] = [:]
    var tokens: [Proof] = []

    var isFinished = false
    var isComplete = false
    var mixedRows: [RowName: MixedRow] = [:]
    var mixedSiblings: [RowName: [String]] = [:]
    var wholeRows: [RowName: WholeRow] = [:]
    /// The values that conflicts say were lost.
    var mixedConflicts: [RowName: Set<String>] = [:]
    var wholeConflicts: [RowName: Set<String>] = [:]
    private var problem: String?

    func report(_ text: String) { problem = problem ?? text }

    /// The rows of whole rows after a copy was made anew: as they were, but for writes of unknown outcome. Such a
    /// commit
    /// can be under way long after its client has given up: it waited for a lock whose owner is gone (seed 9000494).
    func noteRenewed(_ rows: [RowName: WholeRow]) {
        for key in Set(rows.keys).union(wholeRows.keys).sorted() where rows[key] != wholeRows[key] {
            let mayHaveCome = (whole[key] ?? []).contains { !$0.isAcknowledged && $0.value == rows[key]?.text }
            if !mayHaveCome { report("row \(key) of whole is not the same after a copy was made anew") }
        }
    }

    func anomaly() -> String? {
        if let problem { return problem }
        guard isComplete else { return "the copies were not compared at the end" }
        for key in mixed.keys.sorted() {
            if let text = anomaly(ofMixed: key, mixed[key]!) { return "row \(key) of mixed: \(text)" }
        }
        for key in whole.keys.sorted() {
            if let text = anomaly(ofWhole: key, whole[key]!) { return "row \(key) of whole: \(text)" }
        }
        return nil
    }

    // MARK: Columns

    private func anomaly(ofMixed key: RowName, _ changes: [MixedChange]) -> String? {
        guard let row = mixedRows[key] else {
            return changes.contains(where: \.isAcknowledged) ? "it is not there, and was never deleted" : nil
        }
        if let lost = changes.first(where: { $0.isAcknowledged && !row.items.contains($0.witness) }) {
            return "the acknowledged write \(lost.witness) is not in it"
        }
        // A write that is in the row has happened, whatever its client was told.
        let happened = changes.filter { row.items.contains($0.witness) }
        let known = Set(changes.map(\.witness))
        if let stranger = row.items.filter({ $0 >= 0 }).subtracting(known).min() {
            return "it has a write \(stranger), which nobody has made or which was refused"
        }
        for (name, shown, counted) in [
            ("visits", row.visits, happened.reduce(0) { $0 + $1.visits }),
            ("total", row.total, happened.reduce(0) { $0 + $1.total }),
        ] where shown != counted {
            return "\(name) is \(shown), and the changes that were made sum up to \(counted)"
        }
        return setAnomaly(row, happened)
            ?? registerAnomaly(row.text, happened.compactMap(\.text), mixedConflicts[key] ?? [])
            ?? siblingAnomaly(Set(mixedSiblings[key] ?? []), happened.compactMap(\.note))
    }

    private func setAnomaly(_ row: MixedRow, _ happened: [MixedChange]) -> String? {
        for tag in Set(happened.compactMap(\.added)).union(row.items.filter { $0 < 0 }).sorted() {
            let removals = happened.filter { $0.removed == tag }
            let left = happened.first { change in
                change.added == tag && !removals.contains { $0.seen.contains(change.witness) }
            }
            if let left, !row.items.contains(tag) {
                return "\(tag) is not in the set, and no removal had seen its addition by \(left.witness)"
            }
            if left == nil, row.items.contains(tag) {
                return "\(tag) is in the set, although removals have seen all of its additions"
            }
        }
        return nil
    }

    private func registerAnomaly(
        _ final: String, _ changes: [MixedChange.Replacement], _ conflicts: Set<String>
    ) -> String? {
        let replaced = Set(changes.flatMap(\.priors))
        if replaced.contains(final) { return "it holds \(final), which a writer who had seen it has replaced" }
        guard changes.contains(where: { $0.new == final }) else { return "it holds \(final), which nobody has written" }
        for change in changes where change.new != final && !replaced.contains(change.new) {
            if !conflicts.contains(change.new) { return "\(change.new) was lost, and no conflict tells of it" }
        }
        return nil
    }

    private func siblingAnomaly(_ final: Set<String>, _ changes: [MixedChange.Replacement]) -> String? {
        let expected = Set(changes.map(\.new)).subtracting(changes.flatMap(\.priors))
        guard final != expected else { return nil }
        return "its siblings are \(final.sorted()) instead of \(expected.sorted())"
    }

    // MARK: Whole rows

    /// Which writes of unknown outcome have happened is not known here: they may have, or not.
    private func anomaly(ofWhole key: RowName, _ changes: [WholeChange]) -> String? {
        let final = wholeRows[key]?.text
        let certain = changes.filter(\.isAcknowledged)
        if let final {
            if certain.contains(where: { $0.prior == final }) {
                return "it holds \(final), which a writer who had seen it has replaced or deleted"
            }
            if !changes.contains(where: { $0.value == final }) { return "it holds \(final), which nobody has written" }
        } else if !certain.isEmpty, !changes.contains(where: { $0.value == nil }) {
            return "it is not there, and nobody has deleted it"
        }
        let replaced = Set(changes.compactMap(\.prior))
        let conflicts = wholeConflicts[key] ?? []
        for value in certain.compactMap(\.value) where value != final && !replaced.contains(value) {
            if !conflicts.contains(value) { return "\(value) was lost, and no conflict tells of it" }
        }
        return nil
    }

    // MARK: Words

    /// How the copies of one table differ, without what is in them.
    static func describe(_ copies: [StoredCopy]) -> String {
        copies.map { "\($0.region) has \($0.records.count) records, \($0.deleted.count) of them deleted" }
            .joined(separator: ", ")
    }
}
