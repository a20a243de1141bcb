import MeridianCore
import Testing

@testable import Meridian

/// What of a group's values may leave, so that nothing of fewer persons than the minimum follows from it.
@Suite struct CellSuppressionTests {
    /// - Parameter rows: how many persons have rows that lie in these cells of the aggregations.
    private func told(_ widths: [Int], _ rows: [(pattern: [Int?], persons: Int)], minimum: Int = 10) -> [[Bool]] {
        var number = 0
        var patterns: [[Int?]: Set<Contributor>] = [:]
        for (pattern, persons) in rows {
            for _ in 0..<persons {
                number += 1
                patterns[pattern, default: []].insert(.person("\(number)"))
            }
        }
        return CellSuppression(widths: widths, patterns: patterns, minimum: minimum).told
    }

    @Test func valuesOfEnoughPersonsAreTold() {
        #expect(told([1, 3], [([0, 0], 10), ([0, 1], 12), ([0, 2], 11)]) == [[true], [true, true, true]])
    }

    @Test func aValueOfFewPersonsIsNot() {
        #expect(told([1], [([0], 9)]) == [[false]])
        #expect(told([1, 1], [([0, nil], 20), ([0, 0], 1)]) == [[true], [false]])
    }

    @Test func whatFewLackIsNotToldBesideWhatAllHave() {
        // 30 persons, of whom 29 have a number: the difference would be the one's.
        #expect(told([1, 1], [([0, 0], 29), ([0, nil], 1)]) == [[true], [false]])
        #expect(told([1, 1, 1], [([0, 0, 0], 29), ([0, nil, nil], 1)]) == [[true], [false], [false]])
        #expect(told([1, 1], [([0, 0], 20), ([0, nil], 10)]) == [[true], [true]])
    }

    @Test func aSmallBucketTakesAnotherWithIt() {
        #expect(told([1, 3], [([0, 0], 1), ([0, 1], 12), ([0, 2], 20)]) == [[true], [false, false, true]])
        #expect(told([3], [([0], 1), ([1], 12), ([2], 20)]) == [[false, false, true]])
    }

    /// Else the bound at which the answer changes would be the largest person's value.
    @Test func anEmptyBucketIsNotToldFromASmallOne() {
        let empty = told([1, 2], [([0, 0], 30)])
        let small = told([1, 2], [([0, 0], 29), ([0, 1], 1)])
        #expect(empty == [[true], [false, false]])
        #expect(small == empty)
    }

    @Test func twoHistogramsDoNotTellOfWhoLiesBetweenTheirBounds() {
        let told = told([2, 2], [([0, 0], 15), ([1, 0], 1), ([1, 1], 15)])
        #expect(told[0] == [false, false] || told[1] == [false, false])
    }

    /// Persons count, not rows: whoever has rows in two buckets is one in each.
    @Test func manyRowsOfOnePersonAreOne() {
        let patterns: [[Int?]: Set<Contributor>] = [[0]: [.person("a")], [1]: Set((0..<20).map { .person("\($0)") })]
        #expect(CellSuppression(widths: [2], patterns: patterns, minimum: 10).told == [[false, false]])
    }

    /// The rule itself, over random tables: what is told has no atom, and no rest of a histogram, that is too small.
    @Test(arguments: 1...UInt64(300)) func nothingSmallFollowsFromWhatIsTold(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let widths = (0...random.below(2)).map { _ in 1 + Int(random.below(4)) }
        let rows = (0...random.below(8)).map { _ in
            (
                pattern: widths.map { random.below(4) == 0 ? nil : Int(random.below(UInt64($0))) },
                persons: Int(random.below(15))
            )
        }
        let told = told(widths, rows)
        var atoms: [[Int?]: Int] = [:]
        for (pattern, persons) in rows {
            let seen = pattern.enumerated().map { position, cell in cell.flatMap { told[position][$0] ? $0 : nil } }
            if seen.contains(where: { $0 != nil }) { atoms[seen, default: 0] += persons }
        }
        #expect(atoms.values.allSatisfy { $0 == 0 || $0 >= 10 }, "seed \(seed)")
        for (position, buckets) in told.enumerated() where buckets.count > 1 && buckets.contains(true) {
            guard buckets.contains(false) else { continue }
            let rest = rows.filter { row in row.pattern[position].map { !buckets[$0] } ?? false }
            #expect(rest.reduce(0) { $0 + $1.persons } >= 10, "seed \(seed)")
        }
    }
}
