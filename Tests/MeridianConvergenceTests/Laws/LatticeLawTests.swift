import MeridianCore
import Testing

@testable import MeridianConvergence

/// A record is a lattice: what copies know does not depend on how they heard of it. Held against records that
/// generated histories have shipped, as values and as bytes.
struct LatticeLawTests {
    private static let seeds: Range<UInt64> = 0..<60

    @Test(arguments: TestTable.all) func mergeIsCommutativeAssociativeIdempotentAndMonotone(_ table: TestTable) throws {
        for seed in Self.seeds {
            let history = try History(table, seed: seed)
            var random = SplitMix64(seed: seed)
            let records = (history.shipments + history.settled).map(\.record)
            for _ in 0..<15 {
                let (a, b, c) = (random.pick(records), random.pick(records), random.pick(records))
                try expectLaws(a, b, c, history)
            }
        }
    }

    private func expectLaws(_ a: Record, _ b: Record, _ c: Record, _ history: History) throws {
        let (shape, comment) = (history.shape, history.comment)
        let (ab, ba) = (a.merged(with: b, shape), b.merged(with: a, shape))
        #expect(ab == ba, comment)
        #expect(try ab.bytes(shape) == ba.bytes(shape), comment)
        let (left, right) = (ab.merged(with: c, shape), a.merged(with: b.merged(with: c, shape), shape))
        #expect(left == right, comment)
        #expect(try left.bytes(shape) == right.bytes(shape), comment)
        #expect(a.merged(with: a, shape) == a, comment)
        #expect(ab.merged(with: b, shape) == ab, comment)
        #expect(ab.merged(with: a, shape) == ab, comment)
        // Monotone: it covers both, and knows no more than both.
        #expect(ab.seen.covers(a.seen) && ab.seen.covers(b.seen), comment)
        #expect(ab.seen.entries.allSatisfy { a.seen.contains($0) || b.seen.contains($0) }, comment)
    }

    @Test(arguments: TestTable.all) func copiesThatHaveHeardOfAllWritesAreEqualByteForByte(_ table: TestTable) throws {
        for seed in Self.seeds {
            let history = try History(table, seed: seed)
            let first = try #require(history.settled.first)
            for other in history.settled {
                #expect(other.record == first.record, history.comment)
                #expect(try other.record.bytes(history.shape) == first.record.bytes(history.shape), history.comment)
            }
        }
    }

    /// And in the order of any permutation, from what was shipped alone.
    @Test(arguments: TestTable.all) func theOrderOfShipmentsDoesNotMatter(_ table: TestTable) throws {
        for seed in Self.seeds {
            let history = try History(table, seed: seed)
            var random = SplitMix64(seed: seed)
            var results: Set<[UInt8]> = []
            for _ in 0..<3 {
                var records = (history.shipments + history.settled).map(\.record).shuffled(using: &random)
                records += records.shuffled(using: &random).prefix(3)
                let result = records.dropFirst().reduce(records[0]) { $0.merged(with: $1, history.shape) }
                results.insert(try result.bytes(history.shape))
            }
            results.insert(try history.settled[0].record.bytes(history.shape))
            #expect(results.count == 1, history.comment)
        }
    }

    @Test(arguments: TestTable.all) func whatWasSeenIsWhatTheLedgerSays(_ table: TestTable) throws {
        for seed in Self.seeds {
            let history = try History(table, seed: seed)
            for merge in history.merges {
                let known = merge.mine.writes.union(merge.other.writes)
                #expect(merge.result.seen == history.vector(known), history.comment)
                #expect(merge.hasChanged == !merge.mine.writes.isSuperset(of: merge.other.writes), history.comment)
                #expect(merge.hasChanged == (merge.result != merge.mine.record), history.comment)
            }
        }
    }
}
