import MeridianCore

/// Whose row it is, for minimum sizes.
enum Contributor: Hashable, Sendable {
    case person(String)
    /// Nobody said whose it is, and no rule asks.
    case row(RangeID, Int)
}

/// Which values of one group may leave a jurisdiction (cell suppression, Hundepool and others, "Statistical Disclosure
/// Control", 2012, chapter 4).
///
/// A *cell* is a value of an aggregation, or one bucket of a histogram. Each row lies in some of them: where its number
/// is not null. A cell is told when
/// - **primary**: at least the minimum of persons contribute to it, buckets without a person included;
/// - **complementary**: what is not told does not follow from what is. Rows that lie in the same told cells cannot be
///   told apart by sums and differences of these cells, so each such *atom* must have the minimum of persons. And the
///   buckets of a histogram that are not told must together have it, since their sum follows from a count: not even
///   that they are empty, or where a bound would have to lie for them to be so, is told.
///
/// It sees to one answer. Two answers over rows that differ by one person tell of that person (docs/RESIDENCY.md).
struct CellSuppression {
    /// For each aggregation the number of its cells.
    let widths: [Int]
    /// Where a row lies in each aggregation, if it does, and who has such rows.
    let patterns: [[Int?]: Set<Contributor>]
    let minimum: Int

    private typealias Cell = Int

    /// For each aggregation which of its cells are told.
    var told: [[Bool]] {
        let starts = widths.indices.map { widths[..<$0].reduce(0, +) }
        var told = Set<Cell>(0..<widths.reduce(0, +))
        /// The cells of each kind of row, and who has such rows; in an order of their own, since a set has none.
        let rows = patterns.map { pattern, persons in
            (
                cells: pattern.enumerated().compactMap { position, cell in cell.map { starts[position] + $0 } },
                persons: persons
            )
        }.sorted { $0.cells.lexicographicallyPrecedes($1.cells) }
        func persons(in cells: Set<Cell>) -> Int {
            rows.reduce(into: Set<Contributor>()) { found, row in
                if row.cells.contains(where: cells.contains) { found.formUnion(row.persons) }
            }.count
        }
        let sizes = told.sorted().map { persons(in: [$0]) }
        told = told.filter { sizes[$0] >= minimum }
        while true {
            if let cell = smallestBesideFew(told, starts, sizes, persons) {
                told.remove(cell)
                continue
            }
            let separating = cellsOfASmallAtom(told, rows)
            if separating.isEmpty { break }
            told.subtract(separating)
        }
        return zip(starts, widths).map { start, width in (start..<start + width).map(told.contains) }
    }

    /// Of a histogram of whose buckets some are not told and together hold too few, the smallest bucket that is told.
    private func smallestBesideFew(
        _ told: Set<Cell>, _ starts: [Int], _ sizes: [Int], _ persons: (Set<Cell>) -> Int
    ) -> Cell? {
        for (start, width) in zip(starts, widths) where width > 1 {
            let buckets = Set(start..<start + width)
            let withheld = buckets.subtracting(told)
            guard !withheld.isEmpty, persons(withheld) < minimum else { continue }
            if let cell = buckets.intersection(told).min(by: { (sizes[$0], $0) < (sizes[$1], $1) }) { return cell }
        }
        return nil
    }

    /// Told cells without which an atom that is too small becomes part of another one; none without such an atom.
    private func cellsOfASmallAtom(
        _ told: Set<Cell>, _ rows: [(cells: [Cell], persons: Set<Contributor>)]
    ) -> Set<Cell> {
        var atoms: [(cells: Set<Cell>, persons: Set<Contributor>)] = []
        for (cells, persons) in rows {
            let cells = told.intersection(cells)
            if cells.isEmpty { continue }
            if let known = atoms.firstIndex(where: { $0.cells == cells }) {
                atoms[known].persons.formUnion(persons)
            } else {
                atoms.append((cells, persons))
            }
        }
        guard let small = atoms.first(where: { $0.persons.count < minimum }) else { return [] }
        let differences = atoms.map { $0.cells.symmetricDifference(small.cells) }.filter { !$0.isEmpty }
        return differences.min { $0.count < $1.count } ?? small.cells
    }
}
